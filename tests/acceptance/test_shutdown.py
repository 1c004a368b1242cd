"""A stopping worker ends within its bound and loses no running job."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.support.persistence import until_written
from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import KEYS, World
from worker import Outcome, Ticket, clock
from worker.model.jobs import State
from worker.model.messages import FORMAT
from worker.simulator import Arrival, Simulator
from worker.store.embedded import EmbeddedRedis

BOUND_MS = 1_500
LEASE_MS = 60_000
"""Far longer than any wait here: a job that comes back sooner was handed back."""
SLOW_MS = 50_000
QUICK_MS = 400
EXIT_S = 12.0
DONE_MS = 20_000
LATER = FORMAT + 1
CLAIMS_MAX = 20
"""Threads that hand a chunk to one another while stopping claim it hundreds of times."""
TABLES = {
    "worker": {"shutdown_ms": BOUND_MS},
    "jobs": {"lease_ms": LEASE_MS, "backoff_base_ms": 5, "backoff_max_ms": 50},
    "http": {"deadline_ms": 55_000},
}


@pytest.fixture
def patient(world: World) -> World:
    """A world whose requests may take far longer than a shutdown."""
    world.tables = TABLES
    return world


def ended(worker: WorkerProcess, number: signal.Signals | None = signal.SIGTERM) -> int:
    """Ask a worker to stop; return its exit code."""
    assert worker.process is not None
    if number is not None:
        worker.send_signal(number)
    try:
        return worker.process.wait(EXIT_S)
    except subprocess.TimeoutExpired:
        raise AssertionError(worker.text()[-3_000:]) from None


def cancels(world: World, order_id: str) -> list[Arrival]:
    """Return what arrived for an order."""
    return [arrival for arrival in world.sim.journal() if order_id in arrival.order_ids]


@pytest.mark.timeout(1_800)
def test_a_shutdown_loses_no_running_job(patient: World, rounds: int) -> None:
    """SIGTERM with requests sent, jobs claimed, doorbells read and a timer being set.

    In each round the worker has all of these: requests whose replies come before or
    after the bound, on three exchanges; a backlog; doorbells and plain messages that
    Celery has read; and a native switch to reconcile. The next worker finishes all of
    them without waiting for a lease, and queries what was sent before it sends it
    again.
    """
    world, rng = patient, random.Random(7)
    producer, ledger = world.producer(), world.ledger()
    client = Celery("stranger", broker=world.redis_url)
    worker = world.worker()
    for number in range(rounds):
        world.sim.set_option("delay_ms", SLOW_MS if number % 3 else QUICK_MS)
        slow: list[str] = []
        tickets: list[Ticket] = []
        for alias in ("ev", "bm"):
            (order_id,) = world.place(alias)
            world.sim.fault_next("delay", exchange=KEYS[alias][0], paths=["cancel"])
            tickets.append(producer.cancel(alias, order_id))
            eventually(lambda: cancels(world, order_id))  # noqa: B023
            slow.append(order_id)
        if number % 3 == 1:  # its timer, too, is being set when the time is up
            world.sim.fault_next("delay", exchange="indodax", paths=["countdown"])
        switch = producer.arm("ix", pairs=["btc_idr"], timeout_ms=60_000)
        scope = {"pair": "btc_idr", "side": "buy"}
        tickets += producer.cancel_many("ix", world.place("ix", 5), **scope)
        backlog = world.place("ev", 60)
        tickets += producer.cancel_many("ev", backlog)
        plain = world.place("ev", 8)
        for order_id in plain:
            client.send_task("worker.cancel", args=["ev", order_id])
        moment = rng.randrange(50)
        eventually(lambda: sum(bool(cancels(world, it)) for it in backlog) >= moment)  # noqa: B023
        begun_ms = clock.monotonic_ms()
        assert ended(worker) == 0, worker.text()[-3_000:]
        assert clock.monotonic_ms() - begun_ms < SLOW_MS / 3
        log = worker.text()
        assert log.count("Traceback") == 0, log[-3_000:]
        # Nor did its threads hand one another what they might not begin any more.
        assert max((job.claim for job in ledger.pending(limit=200)), default=0) < CLAIMS_MAX
        worker = world.worker()
        for ticket in tickets:
            result = ticket.wait(timeout_ms=DONE_MS)
            assert result.outcome is Outcome.CANCELED, (number, ledger.get(ticket.id))
        if number % 3:
            for order_id, ticket in zip(slow, tickets, strict=False):
                first, *later = [arrival.operation for arrival in cancels(world, order_id)]
                assert (first, later[:1]) in (("cancel", ["query"]), ("cancel", []))
                job = ledger.get(ticket.id)
                assert job is not None
                assert job.history[0]["detail"] == "the worker was stopped in mid-attempt"
        eventually(lambda: {world.status("ev", it) for it in plain} == {"canceled"})  # noqa: B023
        record = switch.record()
        assert record is not None
        assert record.state == "armed"
        eventually(lambda: (it := switch.record()) and it.fires_ms and world.sim.timers())  # noqa: B023
        switch.disarm()
        eventually(lambda: not world.sim.timers())
    assert ended(worker) == 0
    assert ledger.dead_count() == 0
    assert ledger.pending(limit=10) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_returns_jobs_at_once(patient: World, number: signal.Signals) -> None:
    """After either signal is repeated, the worker exits and the job is due."""
    world = patient
    world.tables = {**TABLES, "worker": {"shutdown_ms": 50_000}}
    world.sim.set_option("delay_ms", SLOW_MS)
    world.sim.fault_next("delay", exchange="everstrike", paths=["cancel"])
    worker = world.worker()
    (order_id,) = world.place("ev")
    ticket = world.producer().cancel("ev", order_id)
    eventually(lambda: cancels(world, order_id))
    if number is not signal.SIGQUIT:  # which means at once by itself
        worker.send_signal(number)
        eventually(lambda: "shutdown: finishing" in worker.text(), what="shutdown begun")
    assert ended(worker, number) == 0
    job = world.ledger().get(ticket.id)
    assert job is not None
    assert (job.state, job.claimed_by, job.lost) == (State.PENDING, None, True)


def test_a_shutdown_by_remote_control_ends_in_time(patient: World) -> None:
    """Celery sends no signal then; the same bound applies."""
    world = patient
    world.sim.set_option("delay_ms", SLOW_MS)
    world.sim.fault_next("delay", exchange="everstrike", paths=["cancel"])
    worker = world.worker()
    (order_id,) = world.place("ev")
    ticket = world.producer().cancel("ev", order_id)
    eventually(lambda: cancels(world, order_id))
    operator = Celery("operator", broker=world.redis_url)
    operator.conf.broker_transport_options = {"global_keyprefix": "cx:"}
    operator.control.shutdown()
    assert ended(worker, None) == 0
    job = world.ledger().get(ticket.id)
    assert job is not None
    assert (job.state, job.claimed_by, job.lost) == (State.PENDING, None, True)


def test_prefetched_messages_are_returned_at_shutdown(patient: World) -> None:
    """Messages that Celery has read and no thread has begun do not wait for a timeout."""
    world = patient
    world.tables = {**TABLES, "worker": {"shutdown_ms": BOUND_MS, "concurrency": 1}}
    world.sim.set_option("delay_ms", SLOW_MS)
    world.sim.fault_next("delay", exchange="everstrike", paths=["cancel"])
    worker = world.worker()
    slow, *others = world.place("ev", 4)  # as many as Celery takes for one thread
    client = Celery("stranger", broker=world.redis_url)
    client.send_task("worker.cancel", args=["ev", slow])
    eventually(lambda: cancels(world, slow))
    for order_id in others:
        client.send_task("worker.cancel", args=["ev", order_id])
    redis = world.store().client

    def taken() -> int:
        count: Any = redis.zcard("cx:unacked_index")
        return int(count)

    eventually(lambda: taken() == 1 + len(others))
    assert ended(worker) == 0
    assert taken() == 0
    world.worker()
    for order_id in (slow, *others):
        eventually(lambda: world.status("ev", order_id) == "canceled")  # noqa: B023
    assert [arrival.operation for arrival in cancels(world, slow)][:2] in (
        ["cancel", "query"],
        ["cancel"],
    )


def test_a_worker_that_cannot_return_its_jobs_ends_in_time(
    sim: Simulator, own_redis: EmbeddedRedis, tmp_path: Path
) -> None:
    """While Redis is down its exit code shows the failure; the lease returns the job."""
    world = World(sim, own_redis.url, tmp_path, tables=TABLES)
    world.sim.set_option("delay_ms", SLOW_MS)
    world.sim.fault_next("delay", exchange="everstrike", paths=["cancel"])
    worker = world.worker()
    (order_id,) = world.place("ev")
    ticket = world.producer().cancel("ev", order_id)
    eventually(lambda: cancels(world, order_id))
    until_written(own_redis)
    assert own_redis.process is not None
    own_redis.process.kill()
    own_redis.process.wait(10)
    assert ended(worker) == 1
    own_redis.start()
    job = world.ledger().get(ticket.id)
    assert job is not None
    assert (job.state, job.claimed_by is not None) == (State.PENDING, True)


def test_messages_of_a_later_format_are_left_to_newer_workers(world: World) -> None:
    """In a rolling upgrade no such message becomes a dead letter, is lost, or blocks others."""
    worker = world.worker()
    client = Celery("newer", broker=world.redis_url)
    client.send_task("worker.cancel", kwargs={"v": LATER, "account": "ev", "order": {"id": "a1"}})
    client.send_task("worker.countdown", kwargs={"v": LATER, "account": "ix", "scopes": []})
    client.send_task("worker.amend", kwargs={"v": LATER, "account": "ev"})
    client.send_task("worker.drain", kwargs={"v": LATER})
    bell = {"v": LATER, "job": "j1"}
    client.send_task("worker.cancel", kwargs=bell, headers={"bell": 1})
    redis = world.store().client
    redis.hset(
        "cx:job:j1",
        mapping={
            "v": LATER,
            "id": "j1",
            "lane": "everstrike:ev",
            "kind": "amend",
            "state": "pending",
            "created_ms": 1,
        },
    )
    redis.zadd("cx:due:everstrike:ev", {"j1": 1})
    (order_id,) = world.place("ev")
    assert world.producer().cancel("ev", order_id).wait(timeout_ms=10_000).proven
    eventually(lambda: worker.text().count("left to a newer worker") >= 2)
    assert worker.stop() == 0
    assert world.ledger().dead_count() == 0
    queued: Any = redis.lrange("celery", 0, -1)
    left = sorted(json.loads(raw)["headers"]["task"] for raw in queued)
    assert left == ["worker.amend", "worker.cancel", "worker.countdown"]
    assert redis.hget("cx:job:j1", "state") == "pending"
    assert redis.zscore("cx:due:everstrike:ev", "j1") is not None
