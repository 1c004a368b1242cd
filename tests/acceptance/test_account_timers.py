"""Timers of whole accounts: strategies and worker die, and the exchanges cancel in time."""

from __future__ import annotations

import random
from collections import defaultdict
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
SCOPES = {
    "ok": ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP"),
    "kr": ("XBTUSD", "ETHUSD"),
    "hl": ("BTC", "ETH", "@107"),
}
"""By alias, the pairs of the orders that its switch of everything covers."""
KEEPS = {"ok": "keep", "kr": "take", "hl": "take"}
"""Whether stop orders stay; at Kraken they are plain orders, which the timer takes."""
HOLDERS = {"ok": "exchange", "kr": "exchange", "hl": "both"}
OTHER = "bn"
TIMEOUT_MS = 15_000
"""Just above the shortest that OKX's timer is used for."""
LATE_MS = 300
EACH_MS = {"ok": 20, "kr": 0, "hl": 0}
"""From one order to the next once the timer has fired, as the simulator has it."""
ROUNDING_MS = 1_000
"""Of a timer in seconds; at Hyperliquid as much for doubt about its clock."""
CALL_MS = 1_000
EARLY = 4
"""A timer may fire up to a quarter of the timeout, its rounding, and a request's time early."""
COUNTED = "cx:lane:hyperliquid:hl:switch"
"""Where workers count how often Hyperliquid's timer fired on a day."""


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with the accounts, and one that must not be touched."""
    made = World(sim, redis_url, tmp_path, aliases=(*SCOPES, OTHER))
    made.top = {"redis_timeout_ms": 10_000}  # a busy machine is no outage
    sim.set_option("hyperliquid_firings", 1_000)
    yield made
    made.close()


@pytest.mark.timeout(7_200)
def test_silent_strategies_accounts_are_empty_by_their_deadlines(world: World, rounds: int) -> None:
    """Each death is judged by the exchange's own times; `--rounds 50` makes 50 an exchange."""
    rng, late = random.Random(7), defaultdict[str, list[float]](list)
    spared = [(OTHER, world.place(OTHER)[0]), ("ok", world.place("ok", stop=True)[0])]
    former: list[Switch] = []
    for _ in range(rounds if rounds > SUITE_ROUNDS else 1):
        former, found = _die(world, rng, former)
        for alias, each in found.items():
            late[alias] += each
            # A worker that a busy machine does not run in time renews too late.
            early_ms = TIMEOUT_MS / EARLY + ROUNDING_MS + CALL_MS
            assert rounds <= SUITE_ROUNDS or min(each) >= -early_ms
        assert {world.status(*each) for each in spared} == {"open"}
        world.store().client.hdel(COUNTED, "firings")  # another day
    for alias, times in late.items():
        figures = f"{min(times):+.0f} to {max(times):+.0f} ms from the deadlines"
        print(f"{ALL_KEYS[alias][0]}: orders went {figures}")  # noqa: T201


def _die(
    world: World, rng: random.Random, former: list[Switch]
) -> tuple[list[Switch], dict[str, list[float]]]:
    """Have the strategies and their worker die.

    Args:
        world: The exchanges and the workers.
        rng: When they die.
        former: Switches that must have tripped before.

    Returns:
        The switches, and by alias how late each order went, in ms.
    """
    worker = world.worker()

    def tripped() -> bool:
        records = [switch.record() for switch in former]
        return all(each and each.state is SwitchState.TRIPPED for each in records)

    eventually(tripped, within_ms=90_000, what="the former switches have tripped")
    switches: dict[str, Switch] = {}

    def set_by_worker() -> bool:
        for alias in SCOPES:
            if alias in switches:
                switches[alias].beat()
                continue
            with suppress(SwitchClearing):  # of the round before
                switches[alias] = world.producer().arm(
                    alias,
                    everything=True,
                    timeout_ms=TIMEOUT_MS,
                    clear_wait_ms=0,
                    stops=KEEPS[alias],
                )
        return len(world.sim.timers()) == len(SCOPES)

    eventually(set_by_worker, within_ms=90_000, pause_ms=100, what="each account has a timer")
    placed = {
        alias: [order for pair in pairs for order in world.place(alias, 2, pair=pair)]
        for alias, pairs in SCOPES.items()
    }
    dies_ms = clock.monotonic_ms() + rng.randrange(500, 6_000)
    while clock.monotonic_ms() < dies_ms:
        for switch in switches.values():
            switch.beat()
        clock.sleep_ms(100)
    records = {alias: switch.record() for alias, switch in switches.items()}
    worker.kill()
    every = [(alias, order) for alias, ids in placed.items() for order in ids]
    eventually(
        lambda: {world.status(*each) for each in every} == {"canceled"},
        within_ms=2 * TIMEOUT_MS,
        what="the timers have fired",
    )
    late: dict[str, list[float]] = {}
    for alias, ids in placed.items():
        record = records[alias]
        assert record is not None
        assert record.held == HOLDERS[alias]
        orders = [world.sim.order(ALL_KEYS[alias][0], order_id) for order_id in ids]
        assert {order.closed_by for order in orders} == {"countdown"}
        late[alias] = [(order.closed_ms or 0) - record.deadline_ms for order in orders]
        for n, late_ms in enumerate(late[alias]):
            assert late_ms <= LATE_MS + n * EACH_MS[alias]
    return [*switches.values()], late
