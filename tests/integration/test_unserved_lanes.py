"""Lanes that are due and that no worker serves: accounts whose workers are gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.ledgers import new_job
from tests.support.polling import eventually
from tests.support.world import World
from worker.dispatch.dispatcher import Dispatcher
from worker.factory import build_dispatcher
from worker.model.names import lane_of

MANY = 400


@pytest.fixture
def engine(world: World) -> Iterator[Dispatcher]:
    """A worker's engine."""
    engine = build_dispatcher(world.settings())
    engine.register()
    yield engine
    engine.stop()


def test_they_hide_none_that_is_served(world: World, engine: Dispatcher) -> None:
    """However many are due before it: no bell rings for its job, and the sweep finds it."""
    ledger = world.ledger()
    gone = [new_job("a1", lane_of("bitmart", f"gone{n}")) for n in range(MANY)]
    ledger.accept(gone)
    (order,) = world.place("ev")
    (job,) = ledger.accept([new_job(order, lane_of("everstrike", "ev"))])
    engine.start()
    eventually(lambda: world.status("ev", order) == "canceled", what="the served one is attempted")
    eventually(lambda: (found := ledger.get(job.id)) and found.state == "done", what="it ends")


def test_they_do_not_keep_a_retry_waiting(world: World, engine: Dispatcher) -> None:
    """The sweep wakes for what is served at its time, though others are always due."""
    ledger = world.ledger()
    ledger.accept([new_job("a1", lane_of("bitmart", "gone"))])
    lane = lane_of("everstrike", "ev")
    store = world.store()
    store.client.zadd(store.key("lanes"), {lane: ledger.now_ms() + 60_000})
    engine._membership.heartbeat()  # noqa: SLF001  for the time of Redis
    assert engine._poll() == world.settings().worker.sweep_ms  # noqa: SLF001  how long it sleeps
    store.client.zadd(store.key("lanes"), {lane: ledger.now_ms() + 40})
    assert engine._poll() < world.settings().worker.sweep_ms - 20  # noqa: SLF001  how long it sleeps
