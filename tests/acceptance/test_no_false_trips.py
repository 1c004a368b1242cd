"""A switch with heartbeats never trips, whatever happens to the workers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.world import KEYS, World
from worker import StoreUnavailable, Switch, clock
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis

STRATEGIES = 50
NATIVE_MS = (24_000, 60_000)
EMULATED_MS = (4_000, 20_000)
BEATS = 0.45


@dataclass
class Held:
    """A switch in a strategy's hand, and when it last beat."""

    switch: Switch
    timeout_ms: int
    beaten_ms: float


@pytest.fixture
def fragile(sim: Simulator, own_redis: EmbeddedRedis, tmp_path: Path) -> Iterator[World]:
    """A world whose Redis may be restarted."""
    made = World(sim, own_redis.url, tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(240)
def test_no_switch_trips_while_its_strategy_sends_heartbeats(
    fragile: World, own_redis: EmbeddedRedis, rounds: int
) -> None:
    """Every worker restarts in turn, beat is killed, Redis restarts: no order is canceled."""
    over_ms = 22_000 if rounds <= 3 else 120_000
    rng = random.Random(3)
    workers = [fragile.worker(), fragile.worker()]
    beat = fragile.beat()
    producer = fragile.producer()
    aliases = list(KEYS)
    held: list[Held] = []
    for n in range(STRATEGIES):
        alias = aliases[n % len(aliases)]
        bounds = NATIVE_MS if KEYS[alias][0] == "indodax" else EMULATED_MS
        timeout_ms = rng.randrange(*bounds)
        pair = f"p{n}_idr"
        fragile.place(alias, pair=pair)
        switch = producer.arm(alias, pairs=[pair], timeout_ms=timeout_ms)
        held.append(Held(switch, timeout_ms, clock.monotonic_ms()))

    def redis_restarts() -> None:
        assert own_redis.process is not None
        own_redis.process.kill()
        own_redis.process.wait()
        own_redis.start()

    acts = [
        workers[0].stop,
        lambda: workers[0].start(wait=False),
        beat.kill,
        workers[1].kill,
        lambda: workers[1].start(wait=False),
        redis_restarts,
        fragile.beat,
    ]
    begun = clock.monotonic_ms()
    step_ms = over_ms * 0.6 / len(acts)
    beats = 0

    def act() -> None:
        for n, each in enumerate(acts, 1):
            clock.sleep_ms(max(0, begun + n * step_ms - clock.monotonic_ms()))
            each()

    # In a thread of its own: strategies go on while a worker stops and Redis starts.
    with ThreadPoolExecutor(1) as operator:
        acting = operator.submit(act)
        while clock.monotonic_ms() - begun < over_ms or not acting.done():
            for row in held:
                if clock.monotonic_ms() - row.beaten_ms >= BEATS * row.timeout_ms:
                    try:
                        row.switch.beat()
                    except StoreUnavailable:
                        continue
                    row.beaten_ms = clock.monotonic_ms()
                    beats += 1
            clock.sleep_ms(10)
        acting.result()
    assert beats > STRATEGIES
    states = {record.state for record in producer.switches(limit=200)}
    assert states == {"armed"}
    closed = [
        row
        for exchange in ("everstrike", "indodax", "bitmart")
        for row in fragile.sim.orders(exchange)
        if row.status != "open"
    ]
    assert not closed
