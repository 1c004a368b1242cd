"""Strategies die at random moments; their orders are canceled by the deadline."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.world import KEYS, World
from worker import Switch, SwitchTripped, clock
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis

DEATHS = 24
BATCH = ("ev", "bm", "ix", "it", "ev", "bm", "ix", "it", "ev", "bm", "ev", "bm")
TIMEOUT_MS = {"ev": 2_000, "bm": 2_000, "ix": 8_000, "it": 8_000}
"""Ten countdown requests in 10 s an address bound how many native switches of
which timeout can be kept; `it` has an address of its own."""
BEATS = 0.35
"""Part of the timeout from beat to beat."""
NATIVE_LATE_MS = 300
EMULATED_LATE_MS = 2_500
KILLED_TIMEOUT_MS = 1_000
KILLED_LATE_MS = 2_000
EARLY = 4
"""A native timer may fire up to a quarter of the timeout before the deadline."""


@dataclass
class Strategy:
    """One strategy: its switch, its orders, and when it fell silent."""

    alias: str
    switch: Switch
    order_ids: list[str]
    dies_ms: float
    beat_ms: float = 0.0
    beaten_ms: float = 0.0
    """When the last beat was sent: the deadline is a timeout after it, or later."""
    returned_ms: float = 0.0

    def beat(self) -> None:
        """Beat once."""
        begun = clock.now_ms()
        self.switch.beat()
        self.beaten_ms, self.returned_ms = begun, clock.now_ms()
        self.beat_ms = clock.monotonic_ms()

    @property
    def timeout_ms(self) -> int:
        """From a beat to the deadline."""
        return TIMEOUT_MS[self.alias]


@pytest.fixture
def fragile(sim: Simulator, own_redis: EmbeddedRedis, tmp_path: Path) -> Iterator[World]:
    """A world whose Redis may be restarted."""
    made = World(sim, own_redis.url, tmp_path)
    yield made
    made.close()


def strategies(world: World, rng: random.Random, batch: int) -> list[Strategy]:
    """Arm a switch for each strategy of a batch, with orders of its own."""
    producer = world.producer()
    made = []
    for n, alias in enumerate(BATCH):
        pair = f"p{batch}x{n}_idr"
        order_ids = world.place(alias, 2, pair=pair)
        switch = producer.arm(alias, pairs=[pair], timeout_ms=TIMEOUT_MS[alias])
        dies_ms = clock.monotonic_ms() + rng.randrange(500, 4_000)
        made.append(Strategy(alias, switch, order_ids, dies_ms))
        made[-1].beat()
    return made


@pytest.mark.timeout(300)
def test_orders_are_canceled_by_the_deadline_of_a_dead_strategy(
    fragile: World, own_redis: EmbeddedRedis, rounds: int
) -> None:
    """With a backlog, killed workers, slow replies and a restart of Redis."""
    world = fragile
    rng = random.Random(11)
    world.tables = {"jobs": {"lease_ms": 5_000}}
    world.sim.set_option("delay_ms", 500)
    world.worker()
    victim = world.worker()
    producer = world.producer()
    for alias in ("ev", "bm"):
        producer.cancel_many(alias, world.place(alias, 150, pair="backlog_idr"))
    world.sim.set_faults({"delay": 0.1})
    late: dict[str, list[float]] = {alias: [] for alias in KEYS}
    deaths = max(DEATHS, 4 * rounds)
    for start in range(0, deaths, len(BATCH)):
        alive = strategies(world, rng, start)
        silent: list[Strategy] = []
        acts = {1: victim.kill} if start == 0 else {}
        if start == len(BATCH):
            acts = {1: lambda: restart(own_redis)}
        begun = clock.monotonic_ms()
        while alive:
            now = clock.monotonic_ms()
            for when in [when for when in acts if now - begun > when * 1_000]:
                acts.pop(when)()
            for strategy in list(alive):
                if now >= strategy.dies_ms:
                    alive.remove(strategy)
                    silent.append(strategy)
                elif now - strategy.beat_ms >= BEATS * strategy.timeout_ms:
                    strategy.beat()
            clock.sleep_ms(5)
        for strategy in silent:
            late[strategy.alias] += lateness(world, strategy)
        if start == 0:
            victim = world.worker(wait=False)
    for alias, values in late.items():
        bound = NATIVE_LATE_MS if KEYS[alias][0] == "indodax" else EMULATED_LATE_MS
        assert max(values) <= bound, (alias, sorted(values)[-5:])
    print({alias: (round(min(v)), round(max(v))) for alias, v in late.items()}, deaths)  # noqa: T201


@pytest.mark.timeout(300)
def test_another_worker_trips_the_switch_when_one_dies_at_the_deadline(
    world: World, rounds: int
) -> None:
    """The worker that was about to trip an emulated switch is killed."""
    alive = [world.worker(), world.worker()]
    producer = world.producer()
    late = []
    for n in range(rounds):
        pair = f"p{n}_idr"
        (order_id,) = world.place("ev", pair=pair)
        switch = producer.arm("ev", pairs=[pair], timeout_ms=KILLED_TIMEOUT_MS)
        switch.beat()
        deadline_ms = clock.now_ms() + KILLED_TIMEOUT_MS
        eventually(lambda: clock.now_ms() >= deadline_ms, pause_ms=1)  # noqa: B023
        alive.pop(0).kill()
        alive.append(world.worker())
        eventually(lambda: world.status("ev", order_id) == "canceled")  # noqa: B023
        late.append((world.sim.order("everstrike", order_id).closed_ms or 0) - deadline_ms)
    print(f"after the deadline, ms: {sorted(round(ms) for ms in late)}")  # noqa: T201
    assert max(late) <= KILLED_LATE_MS


def lateness(world: World, strategy: Strategy) -> list[float]:
    """Return how long after its deadline each order of a silent strategy left the book."""
    exchange = KEYS[strategy.alias][0]
    rows = []
    for order_id in strategy.order_ids:
        eventually(
            lambda: world.sim.order(exchange, order_id).status == "canceled",  # noqa: B023
            within_ms=60_000,
            what=f"{order_id} off the book",
        )
        row = world.sim.order(exchange, order_id)
        assert row.closed_ms is not None
        rows.append(row.closed_ms - strategy.returned_ms - strategy.timeout_ms)
        early = strategy.beaten_ms + strategy.timeout_ms * (1 - 1 / EARLY)
        assert row.closed_ms >= early - 50, (strategy.alias, row, early)
    with pytest.raises(SwitchTripped):
        strategy.switch.beat()
    return rows


def restart(redis: EmbeddedRedis) -> None:
    """Kill Redis and start it on the data it had written."""
    assert redis.process is not None
    redis.process.kill()
    redis.process.wait()
    redis.start()
