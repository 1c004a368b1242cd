"""A stalled exchange does not delay others."""

from __future__ import annotations

from tests.support.polling import eventually
from tests.support.world import World

STALLED = 60
PROMPT_MS = 1_000


def test_a_single_cancel_passes_a_backlog(world: World) -> None:
    """One cancel of a slow account does not wait for the backlog that occupies all threads."""
    world.tables = {"worker": {"exchange_threads": 2}}
    world.sim.set_option("delay_ms", 500)
    world.sim.set_faults({"delay": 1.0}, exchange="everstrike")
    world.worker()
    producer = world.producer()
    *backlog, single = world.place("ev", 41)
    tickets = producer.cancel_many("ev", backlog)
    eventually(lambda: len(world.sim.journal()) >= 2, what="the threads are busy")
    assert producer.cancel("ev", single).wait(timeout_ms=10_000).proven
    assert sum(not ticket.result().proven for ticket in tickets) > len(tickets) / 2


def test_many_single_cancels_pass_a_backlog_in_order(world: World) -> None:
    """More cancels than threads: none goes to the end of the backlog."""
    world.tables = {"worker": {"exchange_threads": 2}}
    world.sim.set_option("delay_ms", 200)
    world.sim.set_faults({"delay": 1.0}, exchange="everstrike")
    world.worker()
    producer = world.producer()
    placed = world.place("ev", 132)
    backlog, singles = placed[:120], placed[120:]
    tickets = producer.cancel_many("ev", backlog)
    eventually(lambda: len(world.sim.journal()) >= 2, what="the threads are busy")
    for single in [producer.cancel("ev", each) for each in singles]:
        assert single.wait(timeout_ms=10_000).proven
    assert sum(not ticket.result().proven for ticket in tickets) > len(tickets) / 2


def test_an_exchange_that_never_answers_delays_no_other(world: World) -> None:
    """With every thread of one exchange blocked, another exchange's cancels are prompt."""
    world.sim.set_option("delay_ms", 60_000)
    world.sim.set_faults({"delay": 1.0}, exchange="everstrike")
    world.worker()
    producer = world.producer()
    stuck = producer.cancel_many("ev", world.place("ev", STALLED))
    eventually(lambda: len(world.sim.journal()) >= 8, what="the threads are stuck")
    for order_id in world.place("bm", 20):
        result = producer.cancel("bm", order_id).wait(timeout_ms=5_000)
        assert result.proven
        assert (result.latency_ms or 0) < PROMPT_MS
    assert not any(ticket.result().proven for ticket in stuck)
