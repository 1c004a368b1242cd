"""Fifty strategies that beat for minutes, or with `--rounds` for hours: no switch trips."""

from __future__ import annotations

import pytest

from tests.support.fleet import EMULATED, NATIVE, STRATEGIES, Fleet, one_time
from tests.support.stepped_time import Stepped
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis

PART_MS = 6 * 60_000
"""Between two restarts of Redis."""


@pytest.mark.timeout(1_200)
def test_no_strategy_that_beats_is_tripped(
    own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """Native and emulated, over workers restarted and killed, and a restart of Redis."""
    stepped = Stepped(own_redis.url)
    fleets: list[Fleet] = []
    one_time(monkeypatch, stepped, fleets)
    with Simulator(3, clock=lambda: float(stepped.now_ms)) as sim:
        fleet = Fleet(own_redis.url, sim, stepped, seed=rounds)
        fleets.append(fleet)
        for part in range(2 * rounds // 3):
            if part:
                own_redis.stop()
                own_redis.start()
            fleet.run(PART_MS)
        keys = {"indodax": NATIVE, "everstrike": EMULATED}
        orders = [
            order
            for exchange, named in keys.items()
            for key in named.values()
            for order in sim.orders(exchange, key)
        ]
        assert len(orders) == 2 * STRATEGIES
        assert {order.status for order in orders} == {"open"}
        assert {arrival.operation for arrival in sim.journal()} == {"countdown"}
        assert "rate" not in {arrival.refusal for arrival in sim.journal()}
        native = sum(strategy.armed.native for strategy in fleet.strategies)
        assert len(sim.timers()) == native >= 14
    assert fleet.switches.next_tripped() is None
    assert fleet.restarted > 6
    assert fleet.killed > 1
