"""A lane that must rest rests: what was claimed with the one that has to wait is not tried."""

from __future__ import annotations

from tests.support.polling import eventually
from tests.support.world import World
from worker import Outcome
from worker.factory import build_dispatcher
from worker.telemetry import metrics

ROOM = 50


def waits() -> float:
    """Return how many requests found no room under a limit."""
    return sum(
        sample.value
        for family in metrics.REGISTRY.collect()
        for sample in family.samples
        if sample.name == "cancel_worker_limit_wait_seconds_count"
    )


def test_a_spent_limit_is_asked_for_once(world: World) -> None:
    """The others of its chunk are put back untried, and none of them is lost or counted."""
    world.limits = {"bm": {"orders": {"max_requests": ROOM, "window_ms": 60_000}}}
    engine = build_dispatcher(world.settings())
    engine.register()
    tickets = world.producer().cancel_many("bm", world.place("bm", 3 * ROOM))
    before = waits()

    def spent() -> bool:
        engine.run_exchange("bitmart")
        return waits() > before

    eventually(spent, what="the limit is spent")
    assert waits() - before == 1
    results = [ticket.result() for ticket in tickets]
    assert sum(result.outcome is Outcome.CANCELED for result in results) == ROOM
    put_back = [result for result in results if result.state == "pending"]
    assert len(put_back) == 2 * ROOM
    assert {result.attempts for result in put_back} == {0}
