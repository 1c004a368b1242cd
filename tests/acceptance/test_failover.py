"""A Sentinel failover under way: nothing that was replicated is lost, and nothing trips."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import WorkerProcess
from tests.support.sentinels import SentinelRedis
from tests.support.world import KEYS, World
from worker import Outcome, Producer, StoreUnavailable, Switch, Ticket, clock
from worker.simulator import Simulator

FIRST_DONE_MS = 10_000
PROVEN = {Outcome.CANCELED, Outcome.GONE}
BACKLOG = 12
STRATEGIES = 8
TIMEOUTS_MS = (9_000, 20_000)
"""Native switches need to outlast a failover between two beats and a renewal."""
GUARDED = "_guarded"
BEATS = 0.4
ANSWER_MS = 1_000


@dataclass
class Held:
    """A switch in a strategy's hand, and when it last beat."""

    switch: Switch
    timeout_ms: int
    beaten_ms: float


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[SentinelRedis]:
    """A Redis under Sentinels, each process of which the test may kill."""
    with SentinelRedis(tmp_path / "redis") as made:
        yield made


@pytest.fixture
def world(sim: Simulator, watched: SentinelRedis, tmp_path: Path) -> Iterator[World]:
    """A world whose workers log in as such."""
    made = World(sim, watched.url("worker"), tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(120)
def test_the_master_is_killed(
    world: World,
    watched: SentinelRedis,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Jobs that had reached the replica are done, the first soon, and beating switches stay."""
    workers = [world.worker(), world.worker()]
    environment = {"WORKER_REDIS_URL": watched.url("beat")}
    beat = WorkerProcess(
        world.config(), tmp_path / "beat.log", command="beat", environment=environment
    )
    world.workers.append(beat.start(wait=False))
    producer = Producer(world.settings(redis_url=watched.url("producer")))
    strategies = _armed(world, producer)
    assert producer.cancel("ev", world.place("ev")[0]).wait(timeout_ms=5_000).proven

    for worker in workers:
        worker.send_signal(signal.SIGSTOP)
    backlog = [producer.cancel("ev", order) for order in world.place("ev", BACKLOG)]
    watched.until_replicated()
    old = watched.kill_master()
    killed_ms = clock.monotonic_ms()
    for worker in workers:
        worker.send_signal(signal.SIGCONT)

    fresh = world.place("ev")[0]
    ticket: Ticket | None = None
    refused = 0
    while not (ticket and ticket.result().proven):
        assert clock.monotonic_ms() - killed_ms < FIRST_DONE_MS, workers[0].text()[-3_000:]
        begun_ms = clock.monotonic_ms()
        try:
            ticket = ticket or producer.cancel("ev", fresh)
        except StoreUnavailable:
            refused += 1
            assert clock.monotonic_ms() - begun_ms < ANSWER_MS
        _beat(strategies)
        clock.sleep_ms(5)
    record_property("first_done_ms", round(clock.monotonic_ms() - killed_ms))
    assert refused
    watched.until_failed_over(old)

    for each in backlog:
        assert each.wait(timeout_ms=FIRST_DONE_MS).outcome in PROVEN
        _beat(strategies)
    until_ms = killed_ms + TIMEOUTS_MS[0]
    while clock.monotonic_ms() < until_ms:
        _beat(strategies)
        clock.sleep_ms(20)
    states = {record.state for record in producer.switches(limit=100)}
    assert states == {"armed"}
    for alias in KEYS:
        guarded = [row for row in world.sim.orders(KEYS[alias][0]) if row.pair.endswith(GUARDED)]
        assert {row.status for row in guarded} == {"open"}
    for process in (*workers, beat):
        assert process.process is not None
        assert process.process.poll() is None, process.text()[-3_000:]


def _armed(world: World, producer: Producer) -> list[Held]:
    rng = random.Random(11)
    held = []
    for n in range(STRATEGIES):
        alias = [*KEYS][n % len(KEYS)]
        timeout_ms = rng.randrange(*TIMEOUTS_MS)
        pair = f"p{n}{GUARDED}"
        world.place(alias, pair=pair)
        switch = producer.arm(alias, pairs=[pair], timeout_ms=timeout_ms)
        held.append(Held(switch, timeout_ms, clock.monotonic_ms()))
    return held


def _beat(strategies: list[Held]) -> None:
    """Beat whose turn it is; who cannot tries again at the next call."""
    for row in strategies:
        if clock.monotonic_ms() - row.beaten_ms >= BEATS * row.timeout_ms:
            try:
                row.switch.beat()
            except StoreUnavailable:
                continue
            row.beaten_ms = clock.monotonic_ms()
