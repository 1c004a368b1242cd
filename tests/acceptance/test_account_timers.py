"""A timer of the whole account: strategy and worker die, and the exchange cancels in time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.world import World
from worker import clock
from worker.simulator import Simulator

SUITE_ROUNDS = 3
ALIAS, OTHER = "ok", "kr"
TIMEOUT_MS = 15_000
"""Just above the shortest that the exchange's timer is used for."""
LATE_MS = 300
EACH_MS = 20
"""From one order to the next once the timer has fired, as the simulator has it."""
ROUNDING_MS = 1_000
EARLY = 4
"""A native timer may fire up to a quarter of the timeout, and its rounding, early."""


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with the account, and one that must not be touched."""
    made = World(sim, redis_url, tmp_path, aliases=(ALIAS, OTHER))
    made.top = {"redis_timeout_ms": 10_000}  # a busy machine is no outage
    yield made
    made.close()


@pytest.mark.timeout(3_600)
def test_a_silent_strategys_account_is_empty_by_its_deadline(world: World, rounds: int) -> None:
    """Each death is judged by the exchange's own times; `--rounds 50` makes 50."""
    producer, rng = world.producer(), random.Random(7)
    (spared,) = world.place(OTHER)
    for _ in range(rounds if rounds > SUITE_ROUNDS else 1):
        worker = world.worker()
        switch = producer.arm(ALIAS, everything=True, timeout_ms=TIMEOUT_MS, clear_wait_ms=30_000)
        pairs = ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP")
        mine = [order for pair in pairs for order in world.place(ALIAS, 2, pair=pair)]
        dies_ms = clock.monotonic_ms() + rng.randrange(1_000, 6_000)
        eventually(lambda: switch.beat().in_time, what="the timer is set")  # noqa: B023
        while clock.monotonic_ms() < dies_ms:
            switch.beat()
            clock.sleep_ms(100)
        record = switch.record()
        assert record is not None
        worker.kill()

        def closed() -> bool:
            return {world.status(ALIAS, order) for order in mine} == {"canceled"}  # noqa: B023

        eventually(closed, within_ms=2 * TIMEOUT_MS, what="the timer has fired")
        for n, order_id in enumerate(mine):
            order = world.sim.order("okx", order_id)
            assert order.closed_by == "countdown"
            assert order.closed_ms is not None
            late_ms = order.closed_ms - record.deadline_ms
            early_ms = TIMEOUT_MS / EARLY + ROUNDING_MS
            assert -early_ms <= late_ms <= LATE_MS + n * EACH_MS
        assert world.status(OTHER, spared) == "open"
