"""Breaks one part after another, repairs it, and takes down when which was broken."""

from __future__ import annotations

import heapq
import itertools
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.history import Fault
from tests.chaos.stage import Slot, Stage
from worker import clock

WEIGHTS = {
    "worker.kill": 12,
    "worker.term": 6,
    "worker.stop": 9,
    "beat.kill": 4,
    "beat.term": 2,
    "beat.stop": 3,
    "redis": 12,
    "redis.stop": 4,
    "worker-link": 14,
    "producer-link": 14,
    "beat-link": 3,
    "exchange-link": 8,
    "clock.jump": 9,
    "redis-clock.step": 3,
    "exchange.faults": 7,
}
"""How often each is done. What excuses lateness is kept rare enough that
there is calm in between, in which nothing is excused."""
MODES = ("cut", "delay", "mute", "hang", "hold")
DELAY_MS = (20, 500)
HOLD_MS = {
    "worker.kill": (0, 600),
    "worker.term": (0, 600),
    "worker.stop": (100, 4_500),
    "beat.kill": (0, 1_500),
    "beat.term": (0, 500),
    "beat.stop": (100, 4_000),
    "redis": (50, 1_200),
    "redis.stop": (1_500, 7_000),
    "redis.failover": (50, 1_200),
    "worker-link": (50, 2_500),
    "producer-link": (50, 1_500),
    "beat-link": (50, 2_500),
    "exchange-link": (50, 800),
    "clock.jump": (200, 4_000),
    "redis-clock.step": (0, 0),
    "exchange.faults": (100, 900),
}
STEP_MS = (-60_000, -5_000, -1_500, 1_500, 5_000, 12_000)
"""By how much the clock of Redis's host steps, for good."""
JUMP_MS = (-30_000, -5_000, -1_500, 1_500, 5_000, 30_000)
EXCHANGE_FAULTS = (
    "accept_then_drop",
    "drop_before",
    "delay",
    "half_body",
    "html_5xx",
    "throttle",
    "everstrike_503",
    "indodax_error",
    "reject_nonce",
    "garbage",
)
ORDER_PATHS = ("cancel", "query", "open_orders")
"""BitMart gives five tokens a minute: to lose some would end its part in this."""
FAULT_RATE = 0.4
TRIES = 10
"""Of finding something that is whole."""
AGAIN_MS = 100
"""From finding a worker still running to looking again."""


@dataclass(order=True)
class _Broken:
    """Something to be repaired at a time."""

    until: float
    n: int
    key: str = field(compare=False)
    kind: str = field(compare=False)
    target: str = field(compare=False)
    from_ms: float = field(compare=False)
    mend: Callable[[], bool | None] = field(compare=False)


class Nemesis(threading.Thread):
    """Acts every so often until stopped; then repairs all that is broken."""

    def __init__(
        self, stage: Stage, seed: str, *, pause_ms: float, failovers: int, stop: threading.Event
    ) -> None:
        super().__init__(name="nemesis", daemon=True)
        self._stage = stage
        self._rng = random.Random(f"nemesis {seed}")
        self._pause_ms = pause_ms
        self._weights = {**WEIGHTS, "redis.failover": failovers if stage.redis.failovers else 0}
        self._stop_event = stop
        self._broken: list[_Broken] = []
        self._count = itertools.count()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Break and repair."""
        try:
            next_ms = clock.monotonic_ms() + self._pause_ms
            while not self._stop_event.is_set():
                now = clock.monotonic_ms()
                self._mend_until(now)
                if now >= next_ms:
                    self.act()
                    next_ms += self._rng.uniform(0, 2 * self._pause_ms)
                first = min([next_ms, *(broken.until for broken in self._broken[:1])])
                clock.wait_ms(self._stop_event, max(1.0, first - clock.monotonic_ms()))
            self._mend_until(float("inf"))
        except BaseException as error:  # noqa: BLE001  reported by the thread that waits for this one
            self.failure = error

    def act(self) -> None:
        """Break something that is whole."""
        count = len(self._broken)
        for _ in range(TRIES):
            self._try(self._rng.choices(list(self._weights), list(self._weights.values()))[0])
            if len(self._broken) > count:
                return

    def step(self, ms: int) -> None:
        """Step the clock of Redis's host, for good."""
        self._break(
            "redis-clock",
            "redis-clock.step",
            "redis",
            0.0,
            lambda: self._stage.step(ms),
            lambda: True,
        )

    def _try(self, what: str) -> None:
        low, high = HOLD_MS[what]
        hold_ms = self._rng.uniform(low, high)
        part, _, how = what.partition(".")
        busy = {broken.key for broken in self._broken}
        match part:
            case "worker":
                whole = [s for s in self._stage.slots.values() if s.ready_ms and s.name not in busy]
                if whole:
                    self._process(what, self._rng.choice(whole), how, hold_ms)
            case "beat":
                if self._stage.beat and "beat" not in busy:
                    self._process(what, self._stage.beat, how, hold_ms)
            case "redis" | "redis-clock" if "redis" not in busy:
                self._harm_redis(how, hold_ms)
            case "clock":
                name = self._rng.choice(list(self._stage.slots))
                if f"clock {name}" not in busy:
                    self.jump(name, self._rng.choice(JUMP_MS), hold_ms)
            case "redis-clock" if self._stage.redis.freezes and "redis" not in busy:
                ms = self._rng.choice(STEP_MS)
                self._break(
                    "redis-clock",
                    what,
                    "redis",
                    hold_ms,
                    lambda: self._stage.step(ms),
                    lambda: True,
                )
            case "exchange" if "exchange" not in busy:
                self._fail_exchange(hold_ms)
            case "beat-link" if self._stage.beat is None:
                pass
            case "worker-link" | "producer-link" | "beat-link" | "exchange-link":
                self._link(part, busy, hold_ms)
            case _:
                pass

    def _harm_redis(self, how: str, hold_ms: float) -> None:
        redis = self._stage.redis
        if how == "step":
            if redis.freezes:
                self.step(self._rng.choice(STEP_MS))
            return
        choice = {"": redis.faults, "failover": redis.failovers, "stop": redis.freezes}[how]
        if choice:
            self.redis(self._rng.choice(choice), hold_ms)

    def redis(self, fault: str, hold_ms: float) -> None:
        """Harm Redis for a while."""
        redis = self._stage.redis
        self._break(
            "redis",
            f"redis.{fault}",
            "redis",
            hold_ms,
            lambda: redis.harm(fault),
            lambda: redis.mend(fault),
        )

    def jump(self, name: str, offset_ms: int, hold_ms: float) -> None:
        """Have a worker's wall clock be off for a while."""
        slot = self._stage.slots[name]
        self._break(
            f"clock {name}",
            "clock.jump",
            name,
            hold_ms,
            lambda: self._stage.set_clock(slot, offset_ms),
            lambda: self._stage.set_clock(slot, 0),
        )

    def _process(self, kind: str, slot: Slot, how: str, hold_ms: float) -> None:
        stage = self._stage

        def harm() -> None:
            number = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}[how]
            stage.signal(slot, number)

        def mend() -> bool:
            if how == "stop":
                stage.signal(slot, signal.SIGCONT)
                return True
            if how == "term" and not stage.has_ended(slot):
                return False
            stage.start(slot)
            return True

        self._break(slot.name, kind, slot.name, hold_ms, harm, mend)

    def _link(self, part: str, busy: set[str], hold_ms: float) -> None:
        worker = self._rng.choice(list(self._stage.slots))
        target, link = {
            "worker-link": (worker, f"{worker}-redis"),
            "producer-link": ("producers", "producers-redis"),
            "beat-link": ("beat", "beat-redis"),
            "exchange-link": (worker, f"{worker}-exchange"),
        }[part]
        mode, delay_ms = self._rng.choice(MODES), self._rng.uniform(*DELAY_MS)
        if link in busy:
            return
        links = self._stage.links
        self._break(
            link,
            f"{part}.{mode}",
            target,
            hold_ms,
            lambda: links.turn(link, mode, delay_ms=delay_ms),
            lambda: links.turn(link, "pass"),
        )

    def _fail_exchange(self, hold_ms: float) -> None:
        sim, name = self._stage.sim, self._rng.choice(EXCHANGE_FAULTS)

        def harm() -> None:
            sim.set_faults({name: FAULT_RATE})
            sim.set_faults({name: FAULT_RATE}, exchange="bitmart", paths=ORDER_PATHS)

        kind = f"exchange.{name}"
        self._break("exchange", kind, "exchanges", hold_ms, harm, lambda: sim.set_faults({}))

    def _break(  # noqa: PLR0917  three to name it, three to do it
        self,
        key: str,
        kind: str,
        target: str,
        hold_ms: float,
        harm: Callable[[], None],
        mend: Callable[[], bool | None],
    ) -> None:
        from_ms = clock.now_ms()
        harm()
        until = clock.monotonic_ms() + hold_ms
        broken = _Broken(until, next(self._count), key, kind, target, from_ms, mend)
        heapq.heappush(self._broken, broken)

    def _mend_until(self, now: float) -> None:
        while self._broken and self._broken[0].until <= now:
            broken = heapq.heappop(self._broken)
            if broken.mend() is False:
                broken.until = clock.monotonic_ms() + AGAIN_MS
                heapq.heappush(self._broken, broken)
                clock.sleep_ms(AGAIN_MS if now == float("inf") else 0)
                continue
            self._stage.recorder.fault(
                Fault(broken.kind, broken.target, broken.from_ms, clock.now_ms())
            )
