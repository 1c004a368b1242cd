"""The parts of a run as processes: Redis, exchanges, proxy, workers, beat."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import redis

from tests.chaos import planted
from tests.chaos.deployment import Deployment, Standalone, told
from tests.chaos.history import Bounds, Life, Limit, Recorder
from tests.chaos.links import ROOT, Links
from tests.chaos.planted import Bug, in_producer
from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import World
from worker import Producer, clock
from worker.simulator import SimulatorClient

BM_LIMIT = Limit(40, 1_000, frozenset({"cancel", "scope", "query", "open_orders"}))
"""The exchange counts what reads orders with what cancels them."""
TABLES: dict[str, dict[str, Any]] = {
    "http": {"deadline_ms": 1_000, "resend_budget_ms": 300},
    "jobs": {"lease_ms": 3_000, "backoff_max_ms": 1_000, "missing_max_ms": 4_000},
    "worker": {"concurrency": 8, "exchange_threads": 4},
}
"""Shorter waits than the defaults, so that faults are gone through in less time."""
BOUNDS = Bounds(
    http_ms=1_000,
    lease_ms=3_000,
    backoff_max_ms=1_000,
    limits={"indodax": Limit(30, 1_000), "bitmart": BM_LIMIT},
)
LIMITS = {"bm": {"orders": {"max_requests": BM_LIMIT.most, "window_ms": BM_LIMIT.window_ms}}}
TOKEN_S = 90
"""BitMart's tokens last for 15 minutes; so short, some end in each kind of trouble."""
LOOK_MS = 50
STOP_MS = 15_000


class _Through(SimulatorClient):
    """A simulator whose exchanges are reached by another port."""

    def __init__(self, control: str, port: int) -> None:
        super().__init__(control)
        self._through = port

    def url(self, exchange: str) -> str:
        parts = urlsplit(super().url(exchange))
        return urlunsplit(parts._replace(netloc=f"127.0.0.1:{self._through}"))


@dataclass
class Slot:
    """One place for a worker (or beat): its settings, links and clock; and who has it."""

    name: str
    world: World
    clock_file: Path
    command: str = "worker"
    """`worker`, `beat` or `producer`, which is also its user of Redis."""
    process: WorkerProcess | None = None
    ready_ms: float = 0.0
    lives: int = 0
    expected_end: bool = False
    told_ms: float = 0.0
    """When it was last asked to stop."""

    @property
    def pid(self) -> int:
        """The process that has the place."""
        assert self.process is not None
        assert self.process.process is not None
        return self.process.process.pid


class Stage:
    """Everything that runs, and the supervisor that starts again what has ended.

    Args:
        folder: For data and logs; kept.
        seed: Of what the exchanges leave to chance.
        workers: How many worker processes.
        bug: Planted into workers and producers.
        deployment: How Redis is run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        workers: int = 3,
        beat: bool = True,
        bug: Bug | None = None,
        deployment: Callable[[Path], Deployment] = Standalone,
    ) -> None:
        self.folder = folder
        self.recorder = Recorder()
        self.exits: list[str] = []
        """Processes that ended without being asked to."""
        self.bug = bug
        self.ahead: list[tuple[float, float]] = []
        """See `History.ahead`."""
        self._stack = contextlib.ExitStack()
        self._stack.callback(planted.out)
        planted.step_clock()
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self.redis = deployment(folder / "redis")
        self._stack.callback(self.redis.close)
        self.sim = SimulatorClient(self._simulator(seed), timeout_s=120)
        self.sim.set_option("bitmart_token_s", TOKEN_S)
        names = [f"w{n}" for n in range(workers)]
        exchange = (urlsplit(self.sim.base_url()).port or 0,)
        upstreams: dict[str, tuple[int, ...]] = {f"{name}-exchange": exchange for name in names}
        upstreams |= {f"{name}-redis": self.redis.ports for name in (*names, "beat", "producers")}
        self.links = self._stack.enter_context(Links(upstreams))
        self.slots = {name: self._slot(name) for name in names}
        self.beat = self._slot("beat", command="beat") if beat else None
        self._world = self._slot("producers", command="producer").world
        for slot in self._all():
            self.start(slot)
        for slot in self.slots.values():
            eventually(lambda: self._ready(slot), within_ms=60_000, what=slot.name)  # noqa: B023
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._supervisor.start()
        self._clock = threading.Thread(target=self._compare_clocks, name="clocks", daemon=True)
        self._clock.start()

    def producer(self) -> Producer:
        """Return a producer, behind its link."""
        return in_producer(self.bug, self._world.producer())

    @property
    def broker(self) -> tuple[str, dict[str, Any]]:
        """What another Celery client takes, behind the producers' link."""
        return self.redis.broker(self.links.doors["producers-redis"])

    @property
    def world(self) -> World:
        """What producers and tests place orders with."""
        return self._world

    def start(self, slot: Slot) -> None:
        """Start the process of a place; the supervisor sees when it is ready."""
        with self._lock:
            log = self.folder / f"{slot.name}-{slot.lives}.log"
            slot.lives += 1
            slot.ready_ms, slot.expected_end = 0.0, False
            environment = {"CHAOS_CLOCK": str(slot.clock_file), "PYTHONPATH": str(ROOT)}
            if self.bug and slot.command == "worker":
                environment["CHAOS_BUG"] = self.bug.value
            options: tuple[str, ...] = ()
            if slot.command == "beat":
                options = ("--schedule", str(self.folder / "beat-schedule"))
            slot.process = WorkerProcess(
                slot.world.config(),
                log,
                # Beat, too: all must read the same clock of Redis.
                app="tests.chaos.child",
                options=options,
                command=slot.command,
                environment=environment,
            ).start(wait=False)

    def signal(self, slot: Slot, number: signal.Signals) -> None:
        """Send a place's process a signal; of one that is to end, the end is awaited."""
        with self._lock:
            assert slot.process is not None
            assert slot.process.process is not None
            ends = number in (signal.SIGKILL, signal.SIGTERM)
            if ends:
                slot.expected_end, slot.told_ms = True, clock.now_ms()
            if slot.process.process.poll() is None:
                slot.process.send_signal(number)
            if number is signal.SIGKILL:
                slot.process.process.wait()
                self._ended(slot)

    def has_ended(self, slot: Slot) -> bool:
        """Return whether a process that was asked to stop is gone; kill it if it is too late."""
        with self._lock:
            assert slot.process is not None
            assert slot.process.process is not None
            if slot.process.process.poll() is None:
                if clock.now_ms() < slot.told_ms + STOP_MS:
                    return False
                self.exits.append(f"{slot.name} did not stop within {STOP_MS} ms")
                slot.process.kill()
            self._ended(slot)
            return True

    def step(self, ms: int) -> None:
        """Step the clock of Redis's host."""
        told(self.redis.client(), f"INCRBY {planted.STEP_KEY} {ms}")

    def set_clock(self, slot: Slot, offset_ms: int) -> None:
        """Have a worker's wall clock be off by so much."""
        with slot.clock_file.open("r+b") as file:
            file.write(planted.CLOCK.pack(offset_ms))

    def logs(self) -> list[dict[str, Any]]:
        """Return every JSON line that workers have logged."""
        rows = []
        for path in sorted(self.folder.glob("*.log")):
            for line in path.read_text(errors="replace").splitlines():
                with contextlib.suppress(ValueError):
                    row = json.loads(line)
                    if isinstance(row, dict):
                        rows.append(row)
        return rows

    def close(self) -> None:
        """End everything, and take down the lives of the workers."""
        self._closing.set()
        if hasattr(self, "_supervisor"):
            self._supervisor.join()
            self._clock.join()
        for slot in self._all():
            if slot.process and slot.process.process and slot.process.process.poll() is None:
                slot.process.send_signal(signal.SIGCONT)
                slot.process.kill()
            self._ended(slot)
        self._stack.close()

    def take_lives(self) -> list[Life]:
        """Return the lives of workers so far, those that still run included."""
        with self._lock:
            now = clock.now_ms()
            going = [
                Life(int(slot.name[1:]), slot.pid, slot.ready_ms, now)
                for slot in self.slots.values()
                if slot.ready_ms
            ]
            return [*self.recorder.lives, *going]

    def _all(self) -> list[Slot]:
        slots = getattr(self, "slots", {})
        beat = getattr(self, "beat", None)
        return [*slots.values(), *([beat] if beat else [])]

    def _slot(self, name: str, command: str = "worker") -> Slot:
        folder = self.folder / name
        folder.mkdir()
        file = folder / "clock"
        file.write_bytes(planted.CLOCK.pack(0))
        sim: Any = self.sim
        if command == "worker":
            sim = _Through(self.sim.base_url(), self.links.doors[f"{name}-exchange"][0])
        url = self.redis.url(command, self.links.doors[f"{name}-redis"])
        top = dict(self.redis.settings)
        bulk = self.redis.bulk
        world = World(sim, url, folder, top=top, tables=TABLES, limits=LIMITS, bulk=bulk)
        return Slot(name, world, file, command)

    def _simulator(self, seed: int) -> str:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.simulator", "--seed", str(seed)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None
        self._stack.callback(process.stdout.close)
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)
        urls: dict[str, str] = json.loads(process.stdout.readline())
        return urls["control"]

    def _supervise(self) -> None:
        while not clock.wait_ms(self._closing, LOOK_MS):
            for slot in self._all():
                with self._lock:
                    self._look(slot)

    def _compare_clocks(self) -> None:
        """Note by how much shared time is ahead of the host's clock, at each change."""
        client: redis.Redis | None = None
        while not clock.wait_ms(self._closing, LOOK_MS):
            try:
                client = client or self.redis.client()
                stepped: Any = client.get(planted.STEP_KEY)
                offset: Any = client.hget("cx:clock", "offset")
            except (redis.RedisError, OSError, AssertionError):  # no master is agreed on
                if client is not None:
                    client.close()
                client = None
                continue
            ms = float(int(stepped or 0) + int(offset or 0))
            if ms != (self.ahead[-1][1] if self.ahead else 0.0):
                self.ahead.append((clock.now_ms(), ms))
        if client is not None:
            client.close()

    def _look(self, slot: Slot) -> None:
        """See whether a worker has become ready, or has ended by itself."""
        process = slot.process.process if slot.process else None
        if slot.process is None or process is None:
            return
        if process.poll() is not None and not slot.expected_end:
            self.exits.append(f"{slot.name} ended with {process.poll()}: {slot.process.log}")
            self._ended(slot)
            self.start(slot)
        elif slot.command == "worker" and not slot.ready_ms and " ready." in slot.process.text():
            slot.ready_ms = clock.now_ms()

    def _ready(self, slot: Slot) -> bool:
        self._look(slot)
        return slot.ready_ms > 0

    def _ended(self, slot: Slot) -> None:
        with self._lock:
            if slot.ready_ms and slot.command == "worker":
                life = Life(int(slot.name[1:]), slot.pid, slot.ready_ms, clock.now_ms())
                self.recorder.life(life)
            slot.ready_ms = 0.0

    def __enter__(self) -> Self:
        """Return the running stage."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()
