"""Timers of pairs: strategies and worker die, and the exchanges cancel in time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.world import ALL_KEYS, World
from worker import Switch, SwitchClearing, clock
from worker.model.switches import SwitchState
from worker.simulator import Simulator

SUITE_ROUNDS = 3
Scopes = dict[str, tuple[str, ...]]
SCOPES: Scopes = {
    "ga": ("BTC_USDT", "ETH_USDT"),
    "gf": ("BTC_USDT", "ETH_USDT"),
    "bu": ("BTCUSDT", "ETHUSDT"),
}
"""By alias, the pairs of its switch."""
OF_CCXT: Scopes = {"wb": ("BTC_USDT", "ETH_USDT")}
"""The same of an exchange of ccxt: `-k ccxt` runs it alone."""
OTHERS = {"ga": "XRP_USDT", "gf": "XRP_USDT", "bu": "XRPUSDT", "wb": "XRP_USDT"}
KEEPS = {"bu": "keep"}
"""Where stop orders stay: the exchange alone holds the switch, and one is spared."""
TIMEOUT_MS = 20_000
LATE_MS = 300
ROUNDING_MS = {"ga": 1_000, "gf": 1_000, "bu": 0, "wb": 1_000}
CALL_MS = 1_000
EARLY = 4
"""A timer may fire up to a quarter of the timeout, its rounding, and a request's time early."""


@pytest.fixture(params=[SCOPES, OF_CCXT], ids=["venues", "ccxt"])
def scopes(request: pytest.FixtureRequest) -> Scopes:
    """Return the pairs of each alias's switch."""
    found: Scopes = request.param
    return found


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path, scopes: Scopes) -> Iterator[World]:
    """A world with an account at each exchange."""
    made = World(sim, redis_url, tmp_path, aliases=tuple(scopes))
    made.top = {"redis_timeout_ms": 10_000}  # a busy machine is no outage
    yield made
    made.close()


@pytest.mark.timeout(3_600)
def test_silent_strategies_pairs_are_empty_by_their_deadlines(
    world: World, rounds: int, scopes: Scopes
) -> None:
    """Each death is judged by the exchange's own times; `--rounds 50` makes 50 an exchange."""
    producer, rng = world.producer(), random.Random(11)
    spared = [(alias, world.place(alias, pair=OTHERS[alias])[0]) for alias in scopes]
    spared += [(alias, world.place(alias, pair=SCOPES[alias][0], stop=True)[0]) for alias in KEEPS]
    late: dict[str, list[float]] = {alias: [] for alias in scopes}
    switches: dict[str, Switch] = {}

    def over() -> bool:
        records = [switch.record() for switch in switches.values()]
        return all(each and each.state is SwitchState.TRIPPED for each in records)

    for _ in range(rounds if rounds > SUITE_ROUNDS else 1):
        worker = world.worker()
        eventually(over, within_ms=90_000, what="the former switches have tripped")
        switches.clear()

        def set_by_worker() -> bool:
            for alias, pairs in scopes.items():
                if alias in switches:
                    switches[alias].beat()
                    continue
                with suppress(SwitchClearing):  # of the round before
                    armed = producer.arm(
                        alias,
                        pairs=pairs,
                        timeout_ms=TIMEOUT_MS,
                        clear_wait_ms=0,
                        stops=KEEPS.get(alias, "take"),
                    )
                    switches[alias] = armed
            return len(world.sim.timers()) == sum(map(len, scopes.values()))

        eventually(set_by_worker, within_ms=90_000, pause_ms=100, what="each pair has a timer")
        placed = [
            (alias, order)
            for alias, pairs in scopes.items()
            for pair in pairs
            for order in world.place(alias, 2, pair=pair)
        ]
        dies_ms = clock.monotonic_ms() + rng.randrange(500, 6_000)
        while clock.monotonic_ms() < dies_ms:
            for switch in switches.values():
                switch.beat()
            clock.sleep_ms(100)
        records = {alias: switch.record() for alias, switch in switches.items()}
        worker.kill()

        def closed() -> bool:
            return {world.status(*each) for each in placed} == {"canceled"}  # noqa: B023

        eventually(closed, within_ms=2 * TIMEOUT_MS, what="the timers have fired")
        for alias, order_id in placed:
            order, record = world.sim.order(ALL_KEYS[alias][0], order_id), records[alias]
            assert record is not None
            # Where stop orders are taken, that is left to workers.
            assert record.held == ("exchange" if alias in KEEPS else "both")
            assert order.closed_by == "countdown"
            assert order.closed_ms is not None
            late[alias].append(order.closed_ms - record.deadline_ms)
            early_ms = TIMEOUT_MS / EARLY + ROUNDING_MS[alias] + CALL_MS
            assert late[alias][-1] <= LATE_MS
            # A worker that a busy machine does not run in time renews too late.
            assert rounds <= SUITE_ROUNDS or late[alias][-1] >= -early_ms
        assert {world.status(*each) for each in spared} == {"open"}
    for alias, found in late.items():
        figures = f"{min(found):+.0f} to {max(found):+.0f} ms from the deadlines"
        print(f"{ALL_KEYS[alias][0]}: timers fired {figures}")  # noqa: T201
