"""During a Sentinel failover no replicated job is lost and no switch trips."""

from __future__ import annotations

import logging
import random
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.sentinels import Node, SentinelRedis
from tests.support.world import KEYS, World
from worker import Outcome, Producer, StoreUnavailable, Switch, Ticket, clock
from worker.simulator import Simulator
from worker.store.doorbell import LATER, queue_key
from worker.store.ledger import Ledger
from worker.store.opening import build_store

log = logging.getLogger(__name__)

IN_GOOD_ORDER = "in good order"
WAYS = ("kill", "freeze", IN_GOOD_ORDER)
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


@dataclass
class Running:
    """Workers, beat, a producer and its strategies, on a Redis that fails over."""

    world: World
    watched: SentinelRedis
    workers: list[WorkerProcess]
    beat: WorkerProcess
    producer: Producer
    strategies: list[Held]

    def fail_over(self, how: str) -> float:
        """Lose the master with jobs accepted; return the ms until the first new job was done."""
        for worker in self.workers:
            worker.send_signal(signal.SIGSTOP)
        backlog = [self.producer.cancel("ev", order) for order in self.world.place("ev", BACKLOG)]
        self.watched.until_replicated()
        old = self.watched.master
        lost_ms = clock.monotonic_ms()
        match how:
            case "kill":
                old.kill()
            case "freeze":
                old.send_signal(signal.SIGSTOP)
            case _:
                while not self.watched.begin_failover():
                    _beat(self.strategies)
                    clock.sleep_ms(20)
                lost_ms = clock.monotonic_ms()
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
        self._cancel_one(lost_ms)
        done_ms = clock.monotonic_ms() - lost_ms
        self.watched.until_failed_over(old)
        for each in backlog:
            assert each.wait(timeout_ms=FIRST_DONE_MS).outcome in PROVEN
            _beat(self.strategies)
        old.kill()
        return done_ms

    def watch(self, until_ms: float) -> None:
        """Keep beating for a while; then every switch is armed, and all processes live."""
        while clock.monotonic_ms() < until_ms:
            _beat(self.strategies)
            clock.sleep_ms(20)
        assert {row.state for row in self.producer.switches(limit=100)} == {"armed"}
        for alias in KEYS:
            rows = self.world.sim.orders(KEYS[alias][0])
            assert {row.status for row in rows if row.pair.endswith(GUARDED)} == {"open"}
        for process in (*self.workers, self.beat):
            assert process.process is not None
            assert process.process.poll() is None, process.text()[-3_000:]

    def _cancel_one(self, lost_ms: float) -> None:
        order = self.world.place("ev")[0]
        ticket: Ticket | None = None
        while True:
            assert clock.monotonic_ms() - lost_ms < FIRST_DONE_MS, self.workers[0].text()[-3_000:]
            begun_ms = clock.monotonic_ms()
            try:
                ticket = ticket or self.producer.cancel("ev", order)
                if ticket.result().proven:
                    return
            except StoreUnavailable:
                assert clock.monotonic_ms() - begun_ms < ANSWER_MS
            _beat(self.strategies)
            clock.sleep_ms(5)


@pytest.fixture
def running(world: World, watched: SentinelRedis) -> Running:
    """Each part as its own user."""
    workers = [world.worker(wait=False), world.worker()]
    beat = WorkerProcess(
        world.config(),
        world.folder / "beat.log",
        command="beat",
        environment={"WORKER_REDIS_URL": watched.url("beat")},
    )
    world.workers.append(beat.start(wait=False))
    for worker in workers:
        worker.wait_ready()
    producer = Producer(world.settings(redis_url=watched.url("producer")))
    assert producer.cancel("ev", world.place("ev")[0]).wait(timeout_ms=5_000).proven
    return Running(world, watched, workers, beat, producer, _armed(world, producer))


@pytest.mark.timeout(600)
def test_a_failover_loses_no_replicated_job_and_trips_no_switch(
    running: Running, watched: SentinelRedis, rounds: int
) -> None:
    """Replicated jobs are done, the first one soon, and switches with heartbeats stay.

    The suite kills the master once; `--rounds` repeats it in every way.
    """
    for n in range(rounds if rounds > 3 else 1):
        how = WAYS[n % len(WAYS)]
        old = watched.master
        begun_ms = clock.monotonic_ms()
        done_ms = running.fail_over(how)
        log.info("%s: first job done after %.0f ms", how, done_ms)
        running.watch(begun_ms + TIMEOUTS_MS[0])
        if n + 1 < rounds and rounds > 3:
            _restore(running, old)

    # The broker has moved too: garbage is still buried, and beat ticks on the new master.
    ledger = Ledger(build_store(running.world.settings()))
    buried = ledger.dead_count()
    watched.master.ask("LPUSH", "celery", "rubbish")
    eventually(lambda: ledger.dead_count() == buried + 1, what="the rubbish is buried")
    for worker in running.workers:
        worker.kill()
    ticks = "cx:" + queue_key("celery", LATER)
    eventually(lambda: watched.master.ask("LLEN", ticks), what="beat ticks")


def _restore(running: Running, node: Node) -> None:
    """Bring the lost one back as a replica, while the strategies continue."""
    restoring = threading.Thread(target=running.watched.restore, args=(node,))
    restoring.start()
    while restoring.is_alive():
        _beat(running.strategies)
        restoring.join(0.02)


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
