"""Plain messages read by a worker that lacks their account, and doorbells of lost jobs."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import Celery

from tests.support.polling import eventually
from tests.support.world import World
from worker import clock
from worker.model.messages import CANCEL
from worker.store.doorbell import ring
from worker.tasks import LATER_MS

OTHERS = ("ix", "it", "bm")
T_MS = 600_000


@pytest.fixture
def client(world: World) -> Celery:
    """Another Celery client: defaults alone."""
    return Celery("stranger", broker=world.redis_url)


@pytest.fixture
def partial(world: World, tmp_path: Path) -> World:
    """Settings without the account `ev`, as of a worker before a rollout."""
    folder = tmp_path / "partial"
    folder.mkdir()
    made = World(world.sim, world.redis_url, folder, aliases=OTHERS)
    made.workers = world.workers
    return made


def is_off(world: World, order_ids: list[str]) -> bool:
    """Whether these orders are off the book."""
    return all(world.status("ev", order_id) == "canceled" for order_id in order_ids)


def test_a_worker_without_the_account_leaves_its_cancels_to_others(
    world: World, partial: World, client: Celery
) -> None:
    """Whichever worker reads a message, the worker that has the account does the job."""
    partial.worker()
    world.worker()
    orders = world.place("ev", 20)
    for order_id in orders:
        client.send_task("worker.cancel", kwargs={"account": "ev", "order_id": order_id})
    eventually(lambda: is_off(world, orders))
    assert not world.ledger().dead_count()


def test_messages_wait_until_a_worker_has_their_account(
    world: World, partial: World, client: Celery
) -> None:
    """A cancel and a countdown that arrived before are done then."""
    first = partial.worker()
    orders = world.place("ev", 2, pair="btc_usd")
    kwargs = {"account": "ev", "pairs": ["btc_usd"], "timeout_ms": 600_000}
    client.send_task("worker.countdown", kwargs=kwargs)
    client.send_task("worker.cancel", kwargs={"account": "ev", "order_id": orders[0]})
    eventually(lambda: len(world.ledger().deferred()) == 2)
    first.kill()
    world.worker()
    eventually(lambda: is_off(world, orders[:1]))
    (switch,) = eventually(world.producer().switches)
    assert (switch.state, switch.pairs) == ("armed", ("btc_usd",))
    eventually(lambda: not world.ledger().deferred())
    assert not world.ledger().dead_count()
    assert world.status("ev", orders[1]) == "open"


@pytest.mark.parametrize("task", ["cancel", "countdown"])
def test_a_message_that_redis_refuses_stays_in_its_queue(
    world: World, partial: World, client: Celery, task: str
) -> None:
    """It is neither lost nor a dead letter, and it is not retried in a busy loop."""
    redis = world.store().client
    redis.set("cx:deferred", "no list, so that Redis refuses")
    worker = partial.worker()
    order_id = world.place("ev")[0]
    which = {"order_id": order_id} if task == "cancel" else {"pairs": ["a"], "timeout_ms": T_MS}
    client.send_task(f"worker.{task}", kwargs={"account": "ev", **which}, task_id="the-one")

    def given_back() -> int:
        return worker.text().count("[the-one] reject requeue=True")

    eventually(given_back)
    begun_ms, before = clock.monotonic_ms(), given_back()
    eventually(lambda: given_back() >= before + 2)
    assert clock.monotonic_ms() - begun_ms > LATER_MS
    assert not world.ledger().dead_count()
    redis.delete("cx:deferred")
    eventually(lambda: len(world.ledger().deferred()) == 1)
    assert not world.ledger().dead_count()


def test_a_message_for_an_account_that_no_worker_has_becomes_a_dead_letter(
    partial: World, client: Celery
) -> None:
    """Once, for any number of workers, and not before the time limit."""
    partial.tables = {"jobs": {"unknown_account_ms": 1_500}}
    partial.worker()
    partial.worker()
    client.send_task("worker.cancel", kwargs={"account": "ev", "order_id": "a1"})
    ledger = partial.ledger()
    eventually(ledger.deferred)
    assert not ledger.dead_count()
    eventually(lambda: ledger.dead_count() and not ledger.deferred())
    (letter,) = ledger.dead(limit=9)
    assert "unknown account 'ev'" in letter.detail
    assert "a1" in letter.raw


def test_a_clients_own_job_field_is_ignored(world: World, client: Celery) -> None:
    """Only a doorbell names a job; another client's message is an ordinary cancel."""
    world.worker()
    orders = world.place("ev", 2)
    kwargs = {"account": "ev", "order_id": orders[0], "job": "strategy-7/42"}
    client.send_task("worker.cancel", kwargs=kwargs)
    client.send_task("worker.cancel", args=["ev", orders[1], None, None, "strategy-7/43"])
    eventually(lambda: is_off(world, orders))


@pytest.mark.parametrize("alias", ["ev", "it"])
def test_a_doorbell_of_a_lost_job_cancels_its_order(world: World, alias: str) -> None:
    """Redis lost the record or never had it."""
    world.worker()
    (order_id,) = world.place(alias, pair="btc_idr")
    kwargs = {"account": alias, "order_id": order_id, "pair": "btc_idr", "side": "buy"}
    _, bell = ring(CANCEL, {**kwargs, "job": "0123456789abcdef01234567"}, queue="celery")
    world.store().client.lpush("celery", bell)
    eventually(lambda: world.status(alias, order_id) == "canceled")


def test_a_doorbell_for_another_workers_account_is_no_dead_letter(
    world: World, partial: World
) -> None:
    """Its job is recorded; the worker with the account finds it."""
    partial.worker()
    ticket = world.producer().cancel("ev", "a1")
    redis = partial.store().client
    named = {"account": "ev", "order_id": "a1", "job": ticket.id}
    redis.lpush("celery", ring(CANCEL, named, queue="celery")[1])
    eventually(lambda: not redis.exists("celery"))
    world.worker()
    assert ticket.wait(timeout_ms=10_000).attempts
    assert not world.ledger().dead_count()
    assert not world.ledger().deferred()


def test_messages_that_share_an_id_are_all_done(world: World, client: Celery) -> None:
    """Stock Celery lets a client give every message the same id."""
    world.worker()
    orders = world.place("ev", 3)
    for order_id in orders:
        kwargs = {"account": "ev", "order_id": order_id}
        client.send_task("worker.cancel", kwargs=kwargs, task_id="same")
    eventually(lambda: is_off(world, orders))
