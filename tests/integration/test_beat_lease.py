"""Celery beat, twice: one ticks, and if it dies the other does."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery

from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import World
from worker import clock
from worker.messaging import beat
from worker.messaging.beat import LEASE_MS, LOOK_S, TICKS_MAX, LeaseScheduler
from worker.model.messages import TICK
from worker.store.connection import Store
from worker.store.doorbell import LATER, queue_key

QUEUE = "cx:" + queue_key("celery", LATER)
TAKEOVER_MS = 5_000


@pytest.fixture
def app(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """An application as beat has it, on this test's settings."""
    monkeypatch.setenv("WORKER_CONFIG", str(world.config()))
    from worker.celery_app import make_app  # noqa: PLC0415  it reads the settings

    with make_app(world.settings()) as app:
        yield app


@pytest.fixture
def store(world: World) -> Store:
    """The Redis of the test."""
    return world.store()


def due(app: Celery) -> LeaseScheduler:
    """Return a scheduler whose tick is due."""
    scheduler = LeaseScheduler(app=app)
    for entry in scheduler.schedule.values():
        assert entry.last_run_at is not None
        entry.last_run_at -= timedelta(seconds=10)
    return scheduler


def ticks(store: Store) -> list[dict[str, Any]]:
    """Return the messages that have been sent, oldest first."""
    rows: Any = store.client.lrange(QUEUE, 0, -1)
    messages = [json.loads(row)["headers"] for row in rows[::-1]]
    assert {message["task"] for message in messages} <= {TICK}
    return messages


def senders(store: Store) -> list[int]:
    """Return the processes that sent them."""
    return [int(message["origin"].split("@")[0].removeprefix("gen")) for message in ticks(store)]


def test_a_lease_is_ones_own(store: Store) -> None:
    """Taken by one, kept by it, refused to others; given up by its owner alone."""

    def lease(name: str, ttl_ms: int = LEASE_MS) -> bool:
        return bool(store.run("lease", "l", name, ttl_ms) == 1)

    assert [lease("a"), lease("a"), lease("b")] == [True, True, False]
    assert 0 < store.client.pttl("cx:l") <= LEASE_MS  # type: ignore[operator]
    assert not lease("b", 0)
    assert not lease("b")
    assert not lease("a", 0)
    assert lease("b")
    store.client.pexpire("cx:l", 1)
    eventually(lambda: lease("a"))


def test_only_the_holder_ticks(app: Celery, store: Store) -> None:
    """The other looks again soon, and ticks as soon as the lease is free."""
    one, other = due(app), due(app)
    one.tick()
    assert len(ticks(store)) == 1
    assert other.tick() == LOOK_S
    assert len(ticks(store)) == 1
    one.close()
    other.tick()
    assert len(ticks(store)) == 2
    other.close()
    assert not store.client.exists("cx:beat")


def test_one_that_lost_its_lease_unnoticed_takes_none_away(app: Celery, store: Store) -> None:
    """Frozen until another ticks, it stands by; stopped then, it leaves the other its lease."""
    frozen, other = due(app), due(app)
    frozen.tick()
    store.client.delete("cx:beat")  # it has run out
    other.tick()
    held = store.client.get("cx:beat")
    frozen.close()
    assert store.client.get("cx:beat") == held
    assert frozen.tick() == LOOK_S
    other.close()


def test_redis_away_and_back(
    world: World, app: Celery, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick against a Redis that does not answer sends nothing and ends nothing."""
    far = world.store()
    monkeypatch.setattr(beat, "build_store", lambda _: far)
    scheduler = due(app)
    scheduler.tick()
    pool = far.client.connection_pool
    monkeypatch.setitem(pool.connection_kwargs, "port", 1)
    pool.disconnect()
    pool.reset()
    assert scheduler.tick() == LOOK_S
    assert len(ticks(store)) == 1
    monkeypatch.undo()
    pool.reset()
    assert scheduler.tick() <= LOOK_S
    scheduler.close()


def test_ticks_without_a_reader_do_not_pile_up(app: Celery, store: Store) -> None:
    """Without a worker a few wait, however long that is; with one they continue."""
    scheduler = due(app)

    def tick(times: int) -> None:
        for _ in range(times):
            for entry in scheduler.schedule.values():
                entry.last_run_at = app.now() - timedelta(seconds=10)
            scheduler.populate_heap()
            scheduler.tick()

    tick(20)
    assert len(ticks(store)) == TICKS_MAX
    store.client.delete(QUEUE)
    tick(1)
    assert len(ticks(store)) == 1
    scheduler.close()


def test_the_other_takes_over_from_one_that_was_killed(world: World, store: Store) -> None:
    """Of two processes one ticks, once a second; killed, it is replaced within 5 s."""
    beats = [world.beat(), world.beat()]
    eventually(lambda: len(ticks(store)) >= 1, within_ms=30_000)
    begun_ms = clock.monotonic_ms()
    eventually(lambda: sum("standby" in beat.text() for beat in beats) == 1, within_ms=30_000)
    eventually(lambda: len(ticks(store)) >= 3)
    took_s = (clock.monotonic_ms() - begun_ms) / 1_000
    sent = senders(store)
    assert len(set(sent)) == 1, sent
    assert len(sent) <= took_s + 2
    holder, other = sorted(beats, key=lambda beat: pid(beat) != sent[0])
    holder.kill()
    killed_ms = clock.monotonic_ms()
    store.client.delete(QUEUE)  # as a worker reads them
    eventually(lambda: pid(other) in senders(store), within_ms=TAKEOVER_MS)
    assert clock.monotonic_ms() - killed_ms <= TAKEOVER_MS


def pid(beat: WorkerProcess) -> int:
    """Return the process's id."""
    assert beat.process is not None
    return beat.process.pid


class SignaledInFinalizer(LeaseScheduler):
    """A scheduler that SIGTERM reaches while an object's finalizer runs."""

    class Dying:
        """An object that is signaled as it is freed."""

        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Tick once, then be signaled."""
        next_s = super().tick(*args, **kwargs)
        self.Dying()
        return next_s


def test_a_signal_during_a_finalizer_ends_beat(world: World, store: Store) -> None:
    """Python discards what a finalizer raises; the signal counts all the same."""
    name = f"{__name__}:{SignaledInFinalizer.__qualname__}"
    beat = WorkerProcess(
        world.config(), world.folder / "beat.log", command="beat", options=("-S", name)
    )
    world.workers.append(beat)
    beat.start(wait=False)
    assert beat.process is not None
    assert beat.process.wait(60) == 0, beat.text()
    assert not store.client.exists("cx:beat"), beat.text()
