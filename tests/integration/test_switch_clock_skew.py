"""A worker whose clock the exchange refuses, on real time: cancels and countdowns recover."""

from __future__ import annotations

import pytest

from tests.support.world import KEYS, World
from worker import Outcome, clock
from worker.factory import build_dispatcher

ORDERS = 12


@pytest.mark.parametrize("skew_ms", [-1_500, 5_500])
def test_only_the_first_request_is_refused(world: World, skew_ms: int) -> None:
    """By the first reply's Date the clock is known; what follows is taken, soon."""
    world.sim.set_clock_skew(skew_ms)
    engine = build_dispatcher(world.settings())
    engine.register()
    producer = world.producer()
    orders = world.place("it", ORDERS)
    tickets = producer.cancel_many("it", orders, pair="btc_idr", side="buy")
    switch = producer.arm("it", pairs=["a_idr"], timeout_ms=10_000)
    begun = clock.monotonic_ms()
    while not all(ticket.result().proven for ticket in tickets) or not world.sim.timers():
        engine.run_exchange("indodax")
        assert clock.monotonic_ms() - begun < 2_000
    assert {ticket.result().outcome for ticket in tickets} == {Outcome.CANCELED}
    (timer,) = world.sim.timers()
    assert timer.fires_at_ms <= switch.deadline_ms + 50
    mine = [arrival for arrival in world.sim.journal() if arrival.api_key == KEYS["it"][1]]
    assert [arrival.refusal for arrival in mine] == ["timestamp"] + [None] * (ORDERS + 1)
    engine.stop()
