"""Redis fails in every way and returns."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from celery import Celery

from tests.support.delaying_proxy import Held
from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import World
from worker import Outcome, Producer, StoreUnavailable, Ticket, clock
from worker.model.jobs import State
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis
from worker.store.ledger import Ledger

BACK_MS = 5_000
AWAY_MS = 1_000
LONG_LEASE_MS = 600_000
BACKLOG = 300
DOWN = "Redis is down: "
BACK = "Redis is back"
NEVER_SENT = "not sent: who claimed it never heard so"


@pytest.fixture
def fragile(sim: Simulator, own_redis: EmbeddedRedis, tmp_path: Path) -> Iterator[World]:
    """A world whose Redis may be killed."""
    made = World(sim, own_redis.url, tmp_path)
    yield made
    made.close()


def test_a_worker_recovers_soon_after_a_redis_restart(
    fragile: World, own_redis: EmbeddedRedis
) -> None:
    """The same process does the jobs accepted before and after the restart."""
    worker = fragile.worker()
    producer = fragile.producer()
    orders = fragile.place("ev", 3)
    assert producer.cancel("ev", orders[0]).wait(timeout_ms=5_000).proven
    assert own_redis.process is not None
    own_redis.process.kill()
    own_redis.process.wait()
    with pytest.raises(StoreUnavailable):
        producer.cancel("ev", orders[1])
    own_redis.start()
    back_ms = clock.monotonic_ms()
    result = producer.cancel("ev", orders[2]).wait(timeout_ms=BACK_MS)
    assert result.outcome is Outcome.CANCELED, worker.text()[-2_000:]
    assert clock.monotonic_ms() - back_ms < BACK_MS
    assert worker.process is not None
    assert worker.process.poll() is None


def test_a_worker_survives_a_lost_broker_connection_with_an_unacknowledged_message(
    world: World,
) -> None:
    """With late acknowledgement, such a worker exits with code 1 under Celery 5.7.0.

    The pinned Celery, kombu and redis-py do not have that fault.
    """
    world.sim.set_option("delay_ms", 1_500)
    world.sim.fault_next("delay", exchange="everstrike")
    worker = world.worker()
    orders = world.place("ev", 2)
    stranger = Celery("stranger", broker=world.redis_url)
    stranger.send_task("worker.cancel", args=["ev", orders[0]])
    eventually(world.sim.journal)
    client = world.store().client
    assert client.zcard("cx:unacked_index") == 1
    client.client_kill_filter(_type="normal", skipme=True)
    eventually(lambda: world.status("ev", orders[0]) == "canceled")
    second = world.producer().cancel("ev", orders[1]).wait(timeout_ms=BACK_MS)
    assert second.outcome is Outcome.CANCELED
    eventually(
        lambda: "Connected" in worker.text(worker.text().rfind("onnection to broker lost")),
        what="reconnected",
    )
    assert worker.process is not None
    assert worker.process.poll() is None


def test_a_frozen_redis_is_reported_within_a_second(
    fragile: World, own_redis: EmbeddedRedis
) -> None:
    """A producer raises in time on new and open connections; the worker continues later."""
    fragile.worker()
    warm = fragile.producer()
    orders = fragile.place("ev", 2)
    assert warm.cancel("ev", orders[0]).wait(timeout_ms=5_000).proven
    assert own_redis.process is not None
    os.kill(own_redis.process.pid, signal.SIGSTOP)
    try:
        for producer in (warm, fragile.producer()):
            begun_ms = clock.monotonic_ms()
            with pytest.raises(StoreUnavailable):
                producer.cancel("ev", orders[1])
            assert clock.monotonic_ms() - begun_ms < AWAY_MS
    finally:
        os.kill(own_redis.process.pid, signal.SIGCONT)
    ticket = eventually(lambda: _again(warm, orders[1]))
    assert ticket is not None
    assert ticket.wait(timeout_ms=BACK_MS).outcome is Outcome.CANCELED


def test_a_backlog_continues_at_once_after_redis_was_frozen(
    fragile: World, own_redis: EmbeddedRedis, rounds: int
) -> None:
    """Calls that timed out have leased no job, or are refused when Redis runs again."""
    fragile.tables["jobs"] = {"lease_ms": LONG_LEASE_MS}
    workers = [fragile.worker() for _ in range(2)]
    producer = fragile.producer()
    for _ in range(rounds):
        orders = fragile.place("ev", BACKLOG)
        missed = _outages(workers)
        jobs = [ticket.id for ticket in producer.cancel_many("ev", orders)]
        _freeze_amid(fragile, own_redis, orders, workers, missed)
        eventually(
            partial(_all_done, fragile.ledger(), jobs),
            within_ms=BACK_MS,
            what="a backlog worked off without waiting for leases",
        )


def test_claims_whose_replies_were_lost_are_returned_at_once(
    fragile: World, own_redis: EmbeddedRedis, tmp_path: Path, rounds: int
) -> None:
    """Redis ran the claims in time, but their replies were lost.

    Each round loses all replies from one with claimed jobs on, in the middle of a backlog.
    """
    producer, ledger = fragile.producer(), fragile.ledger()
    (tmp_path / "far").mkdir()
    with Held(own_redis.port) as way:
        url = f"redis://127.0.0.1:{way.port}/0"
        far = World(fragile.sim, url, tmp_path / "far")
        far.tables["jobs"] = {"lease_ms": LONG_LEASE_MS}
        try:
            workers = [far.worker() for _ in range(2)]
            for _ in range(rounds):
                orders = fragile.place("ev", BACKLOG)
                missed = _outages(workers)
                way.hold_answers_from(b"everstrike:ev", skipped=4)
                jobs = [ticket.id for ticket in producer.cancel_many("ev", orders)]
                for worker, before in zip(workers, missed, strict=True):
                    eventually(partial(_misses, worker, before))
                way.deliver()
                eventually(
                    partial(_all_done, ledger, jobs),
                    within_ms=BACK_MS,
                    what="a backlog worked off without waiting for leases",
                )
                history = [line for job in ledger.many(jobs) if job for line in job.history]
                assert NEVER_SENT in [line["detail"] for line in history]
        finally:
            way.deliver()
            far.close()


def _begun(world: World, orders: list[str]) -> None:
    """Wait for the first of these orders to be canceled."""
    eventually(lambda: any(world.status("ev", each) == "canceled" for each in orders))


def _freeze_amid(
    world: World,
    server: EmbeddedRedis,
    orders: list[str],
    workers: list[WorkerProcess],
    missed: list[int],
) -> None:
    """Freeze Redis once the first of these orders is canceled, until all workers miss it."""
    assert server.process is not None
    _begun(world, orders)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        for worker, before in zip(workers, missed, strict=True):
            eventually(partial(_misses, worker, before))
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def _outages(workers: list[WorkerProcess]) -> list[int]:
    """Return how many outages each worker has seen, once all of them are over."""
    for worker in workers:
        eventually(partial(_is_back, worker))
    return [worker.text().count(DOWN) for worker in workers]


def _is_back(worker: WorkerProcess) -> bool:
    text = worker.text()
    return text.count(BACK) == text.count(DOWN)


def _misses(worker: WorkerProcess, before: int) -> bool:
    return worker.text().count(DOWN) > before


def _all_done(ledger: Ledger, jobs: list[str]) -> bool:
    return all(job and job.state is State.DONE for job in ledger.many(jobs))


def _again(producer: Producer, order_id: str) -> Ticket | None:
    try:
        return producer.cancel("ev", order_id)
    except StoreUnavailable:
        return None
