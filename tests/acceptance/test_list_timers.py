"""One timer with a list of pairs: strategies and worker die, and the exchange cancels in time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import World
from worker import Switch, SwitchClearing, clock
from worker.model.switches import SwitchState
from worker.simulator import Simulator

SUITE_ROUNDS = 3
ALIAS = "ku"
FIRST, SECOND, THIRD, SPARED = "BTC-USDT", "ETH-USDT", "XRP-USDT", "LTC-USDT"
SHARED_MS = 60_000
TIMEOUT_MS = 30_000
"""Above the shortest that the exchange's timer is used for, on a machine that is not slow."""
LATE_MS = 300
DELAY_MS = 10_000
"""How late the exchange may cancel the orders, by its document; only long runs have that."""
ROUNDING_MS = 1_000
EARLY = 4
"""A timer may fire up to a quarter of the timeout, and its rounding, early."""
SILENT_MS = 3_000
"""How much sooner than the others one strategy dies at most: less than that quarter."""


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with the account."""
    made = World(sim, redis_url, tmp_path, aliases=(ALIAS,))
    made.top = {"redis_timeout_ms": 10_000}  # a busy machine is no outage
    yield made
    made.close()


@pytest.mark.timeout(7_200)
def test_two_switches_share_the_one_timer(world: World, rounds: int) -> None:
    """What is disarmed leaves the list, and the others stay. `--rounds 50` makes 50 deaths."""
    long, rng = rounds > SUITE_ROUNDS, random.Random(7)
    world.sim.set_option("more_pairs", (THIRD, SPARED))
    if not long:
        _share(world, SHARED_MS)
        return
    world.sim.set_option("kucoin_fires_within_ms", DELAY_MS)
    spared = world.place(ALIAS, pair=SPARED) + world.place(ALIAS, pair=FIRST, stop=True)
    late: list[float] = []
    former: tuple[Switch, ...] = ()
    for _ in range(rounds):
        former, found = _die(world, rng, former)
        late += found
        assert {world.status(ALIAS, order) for order in spared} == {"open"}
    figures = f"timers fired {min(late):+.0f} to {max(late):+.0f} ms from the deadlines"
    print(f"{rounds} deaths: {figures}")  # noqa: T201


def _share(
    world: World, timeout_ms: int, former: tuple[Switch, ...] = ()
) -> tuple[WorkerProcess, Switch, Switch]:
    """Have two switches share the timer; return their worker, and them.

    Args:
        world: The exchange and the workers.
        timeout_ms: Of each switch.
        former: Switches that must have tripped before.
    """
    worker, producer = world.worker(), world.producer()

    def tripped() -> bool:
        records = [switch.record() for switch in former]
        return all(each and each.state is SwitchState.TRIPPED for each in records)

    eventually(tripped, within_ms=90_000, what="the former switches have tripped")
    switches: list[Switch] = []

    def all_armed() -> bool:
        """Arm the next switch once its pair is clear of the last round; keep the others armed."""
        for switch in switches:
            switch.beat()
        pair = (FIRST, SECOND, THIRD)[len(switches)]
        with suppress(SwitchClearing):
            switches.append(
                producer.arm(
                    ALIAS, pairs=[pair], timeout_ms=timeout_ms, clear_wait_ms=0, stops="keep"
                )
            )
        return len(switches) == 3

    eventually(all_armed, within_ms=120_000, pause_ms=100, what="three switches are armed")
    first, second, third = switches

    def listed(*pairs: str) -> bool:
        for switch in (first, second, third)[: len(pairs)]:
            switch.beat()
        return sorted(timer.pair for timer in world.sim.timers()) == sorted(pairs)

    # Those armed late are left to workers until heartbeats have brought the deadlines together.
    eventually(
        lambda: listed(FIRST, SECOND, THIRD), what="one list has all pairs", within_ms=90_000
    )
    third.disarm()
    eventually(lambda: listed(FIRST, SECOND), what="the list lost one pair", within_ms=90_000)
    return worker, first, second


def _die(
    world: World, rng: random.Random, former: tuple[Switch, ...]
) -> tuple[tuple[Switch, ...], list[float]]:
    """Have two strategies and their worker die; judge by the exchange's own times.

    Returns:
        The switches, and how late the timer fired for each, in ms.
    """
    worker, first, second = _share(world, TIMEOUT_MS, former)
    placed = {pair: world.place(ALIAS, 2, pair=pair) for pair in (FIRST, SECOND)}
    first_dies_ms = clock.monotonic_ms() + rng.randrange(1_000, 6_000)
    dies_ms = first_dies_ms + rng.randrange(SILENT_MS)
    while clock.monotonic_ms() < dies_ms:
        second.beat()
        if clock.monotonic_ms() < first_dies_ms:
            first.beat()
        clock.sleep_ms(100)
    records = {FIRST: first.record(), SECOND: second.record()}
    worker.kill()
    fires_ms = {timer.pair: timer.fires_at_ms for timer in world.sim.timers()}

    def closed() -> bool:
        orders = [each for ids in placed.values() for each in ids]
        return {world.status(ALIAS, order) for order in orders} == {"canceled"}

    eventually(closed, within_ms=TIMEOUT_MS + DELAY_MS + 30_000, what="the timer has fired")
    late: list[float] = []
    for pair, record in records.items():
        assert record is not None
        assert record.held == "exchange"
        late.append(fires_ms[pair] - record.deadline_ms)
        assert -TIMEOUT_MS / EARLY - ROUNDING_MS <= late[-1] <= LATE_MS
        for order_id in placed[pair]:
            order = world.sim.order("kucoin", order_id)
            assert order.closed_by == "countdown"
            assert order.closed_ms is not None
            late_ms = order.closed_ms - record.deadline_ms
            assert -TIMEOUT_MS / EARLY - ROUNDING_MS <= late_ms <= LATE_MS + DELAY_MS
    return (first, second), late
