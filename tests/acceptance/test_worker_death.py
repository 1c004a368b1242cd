"""A worker dies at the worst moment, and the job is still done."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import World
from worker import Outcome, clock
from worker.store.ledger import Ledger

LEASE_MS = 1_500
SWEEP_SLACK_MS = 1_000
LISTENERS = 2
"""Each worker waits for messages on one connection."""


def pid_of(ledger: Ledger, job_id: str) -> int:
    """Return the process that holds a job."""

    def holder() -> str:
        job = ledger.get(job_id)
        return (job.claimed_by if job else None) or ""

    return int(eventually(holder).split(":")[1])


@pytest.mark.timeout(600)
def test_another_worker_continues_a_killed_workers_job_after_its_lease(
    world: World, rounds: int
) -> None:
    """SIGKILL mid-request: the order is canceled when the lease ends."""
    world.tables = {"jobs": {"lease_ms": LEASE_MS}, "http": {"deadline_ms": 900}}
    world.sim.set_option("delay_ms", 5_000)
    alive = {worker.process.pid: worker for worker in (world.worker(), world.worker())}  # type: ignore[union-attr]
    producer, ledger = world.producer(), world.ledger()
    for _ in range(rounds):
        (order_id,) = world.place("ev")
        world.sim.fault_next("delay", exchange="everstrike")
        seen = len(world.sim.journal())
        ticket = producer.cancel("ev", order_id)
        eventually(lambda: len(world.sim.journal()) > seen)  # noqa: B023
        victim = alive.pop(pid_of(ledger, ticket.id))
        victim.kill()
        killed_ms = clock.monotonic_ms()
        replacement = world.worker(wait=False)
        result = ticket.wait(timeout_ms=LEASE_MS + 5_000)
        took_ms = clock.monotonic_ms() - killed_ms
        assert result.outcome is Outcome.CANCELED, result
        assert took_ms < LEASE_MS + SWEEP_SLACK_MS, took_ms
        job = ledger.get(ticket.id)
        assert job is not None
        assert job.history[0]["detail"] == "the worker was lost in mid-attempt"
        replacement.wait_ready()
        assert replacement.process is not None
        alive[replacement.process.pid] = replacement


@pytest.mark.timeout(600)
def test_a_job_survives_the_loss_of_its_doorbell(world: World, rounds: int) -> None:
    """A frozen worker reads the doorbell and is killed; another worker's sweep finds the job."""
    world.worker(options=("-Q", "celery"))  # gets no exchange's doorbells
    producer, client = world.producer(), world.store().client
    done = 0
    while done < rounds:
        victim = world.worker()
        eventually(lambda: blocked(client) == LISTENERS, what="both workers wait for messages")
        with frozen(victim):
            (order_id,) = world.place("ev")
            ticket = producer.cancel("ev", order_id)
            popped = client.llen("cx:everstrike") == 0
            victim.kill()
        result = ticket.wait(timeout_ms=5_000)
        assert result.outcome is Outcome.CANCELED, result
        done += popped


def test_a_stopping_worker_settles_its_running_job(world: World) -> None:
    """SIGTERM mid-request: the reply is awaited and recorded, and the exit code is 0."""
    world.sim.set_option("delay_ms", 700)
    world.sim.fault_next("delay", exchange="everstrike")
    worker = world.worker()
    (order_id,) = world.place("ev")
    ticket = world.producer().cancel("ev", order_id)
    eventually(world.sim.journal)
    assert worker.stop() == 0
    result = ticket.result()
    assert result.outcome is Outcome.CANCELED
    assert result.attempts == 1


def blocked(client: redis.Redis) -> int:
    """Return how many connections wait for a message."""
    found: Any = client.info("clients")
    return int(found["blocked_clients"])


@contextlib.contextmanager
def frozen(worker: WorkerProcess) -> Iterator[None]:
    """Hold a worker still."""
    worker.send_signal(signal.SIGSTOP)
    assert worker.process is not None
    stat = Path(f"/proc/{worker.process.pid}/stat")
    eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
    yield
