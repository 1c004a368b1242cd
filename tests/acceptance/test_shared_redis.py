"""Several deployments and other Celery applications on one Redis do not interfere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.support import stock_app
from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import World
from worker import clock
from worker.celery_app import make_app
from worker.store.doorbell import LATER, queue_key

HOUR_S = 3_600


@pytest.fixture
def foreign(world: World, tmp_path: Path) -> Iterator[WorkerProcess]:
    """Another application's worker, stock but for its queue; it is not started."""
    process = WorkerProcess(
        world.config(),
        tmp_path / "foreign.log",
        app="tests.support.stock_app",
        fresh=True,
        environment={"STOCK_BROKER": world.redis_url, "STOCK_QUEUE": "theirs"},
        options=("-P", "solo", "-n", "theirs@%h", "-l", "INFO"),
    )
    yield process
    if process.process is not None and process.process.poll() is None:
        process.stop()


def ran(world: World) -> list[str]:
    """Return what the other application's tasks noted."""
    rows: Any = world.store().client.lrange(stock_app.RAN, 0, -1)
    return list(rows)


def answering(app: Celery) -> list[str]:
    """Return the workers that answer an application's remote control."""
    return [name for pong in app.control.ping(timeout=2) or [] for name in pong]


def other(world: World, tmp_path: Path, prefix: str) -> World:
    """Return another deployment on the same Redis."""
    folder = tmp_path / prefix.strip(":")
    folder.mkdir()
    made = World(world.sim, world.redis_url, folder, top={"key_prefix": prefix})
    made.workers = world.workers
    return made


def test_a_deployment_with_another_prefix_takes_no_plain_message(
    world: World, tmp_path: Path
) -> None:
    """The message waits for the deployment with the default prefix."""
    other(world, tmp_path, "staging:").worker()
    (order_id,) = world.place("ev")
    client = Celery("stranger", broker=world.redis_url)
    client.send_task("worker.cancel", kwargs={"account": "ev", "order_id": order_id})
    ticket = other(world, tmp_path, "third:").producer().cancel("ev", order_id)
    assert ticket.wait(timeout_ms=1_000).outcome is not None
    assert world.store().client.llen("celery") == 1
    assert world.status("ev", order_id) == "open"
    world.worker()
    eventually(lambda: world.status("ev", order_id) == "canceled")


@pytest.mark.parametrize("how", ["queue", "prefix", "setting"])
def test_a_client_can_choose_the_deployment(world: World, tmp_path: Path, how: str) -> None:
    """By queue name, by kombu's option, or by that deployment's settings."""
    staging = other(world, tmp_path, "staging:")
    client = Celery("stranger", broker=world.redis_url)
    if how == "queue":
        client.conf.task_default_queue = "staging:celery"
    elif how == "prefix":
        client.conf.broker_transport_options = {"global_keyprefix": "staging:"}
    else:
        staging.top["plain_queue"] = "trading"
        client.conf.task_default_queue = "trading"
    world.worker()
    staging.worker()
    (order_id,) = world.place("ev")
    sent = client.send_task("worker.cancel", kwargs={"account": "ev", "order_id": order_id})
    eventually(lambda: staging.producer().ticket(f"t-{sent.id}"))
    assert world.producer().ticket(f"t-{sent.id}") is None


def test_another_application_and_ours_do_not_see_each_other(
    world: World, foreign: WorkerProcess
) -> None:
    """Messages, remote control and bookkeeping are separate."""
    redis = world.store().client
    old = {"body": "", "headers": {}, "properties": {"delivery_info": {}, "delivery_tag": "t"}}
    redis.hset("unacked", "t", json.dumps([old, "", "theirs"]))
    redis.zadd("unacked_index", {"t": clock.now_ms() / 1_000 - HOUR_S / 2})
    before = {"unacked", "unacked_index"}
    world.worker()
    (order_id,) = world.place("ev")
    assert world.producer().cancel("ev", order_id).wait(timeout_ms=10_000).proven
    ours = make_app(world.settings())
    assert len(answering(ours)) == 1
    keys: Any = redis.keys("*")
    assert {key for key in keys if not key.startswith("cx:")} == before
    foreign.start()
    theirs = Celery("theirs", broker=world.redis_url)
    assert [name.partition("@")[0] for name in answering(theirs)] == ["theirs"]
    assert [name.partition("@")[0] for name in answering(ours)] == ["celery"]
    theirs.send_task("stock.add", args=[7], queue="theirs")
    eventually(lambda: ran(world) == ["7"])
    assert redis.hexists("unacked", "t")
    ours.close()
    theirs.close()


def test_a_foreign_task_in_our_queue_is_left_to_its_workers(
    world: World, foreign: WorkerProcess
) -> None:
    """A task that we do not know stays for another application's registered workers."""
    foreign.start()
    worker = world.worker()
    theirs = Celery("theirs", broker=world.redis_url)
    theirs.send_task("stock.add", args=[7])
    eventually(lambda: "of another application" in worker.text())
    (order_id,) = world.place("ev")
    theirs.send_task("worker.cancel", kwargs={"account": "ev", "order_id": order_id})
    eventually(lambda: world.status("ev", order_id) == "canceled")
    theirs.control.add_consumer("celery")
    eventually(lambda: ran(world) == ["7"])
    assert not world.ledger().dead_count()
    theirs.close()


@pytest.mark.parametrize("queue", ["celery", "everstrike", queue_key("everstrike", LATER)])
def test_lists_without_a_prefix_are_still_read(world: World, queue: str) -> None:
    """Older clients send to them."""
    world.worker()
    (order_id,) = world.place("ev")
    client = Celery("older", broker=world.redis_url)
    client.send_task("worker.cancel", args=["ev", order_id], queue=queue)
    eventually(lambda: world.status("ev", order_id) == "canceled")


def test_a_message_goes_back_to_the_list_that_it_came_from(world: World) -> None:
    """After its worker was killed, whatever routing the sender wrote into it."""
    world.sim.set_option("delay_ms", 60_000)
    world.sim.fault_next("delay", exchange="everstrike")
    (order_id,) = world.place("ev")
    client = Celery("stranger", broker=world.redis_url)
    client.send_task("worker.cancel", args=["ev", order_id], priority=5)
    redis, source = world.store().client, queue_key("celery", 3)
    message: dict[str, Any] = json.loads(redis.lindex(source, 0))  # type: ignore[arg-type]
    message["properties"]["delivery_info"]["exchange"] = "nosuch"
    redis.lset(source, 0, json.dumps(message))
    worker = world.worker()
    eventually(lambda: redis.hlen("cx:unacked") == 1 and world.sim.journal())
    worker.kill()
    with make_app(world.settings()).connection_for_read() as connection:
        channel: Any = connection.channel()
        (tag,) = redis.hkeys("cx:unacked")  # type: ignore[misc]
        channel.qos.restore_by_tag(tag)
    raw: Any = redis.lindex(source, 0)
    assert json.loads(raw)["properties"]["delivery_info"]["exchange"] == "nosuch"
    assert json.loads(raw)["headers"]["redelivered"] is True
    assert not redis.exists("cx:unacked", "cx:unacked_index")
