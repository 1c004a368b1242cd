"""How many threads of one process may work for one exchange, and on what."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from worker import clock
from worker.model.outcomes import Outcome
from worker.policy.batch_sizing import BatchSizing
from worker.policy.cpu_load import CpuLoad

SWITCH_THREADS = 2
"""Kept for switches, which must not wait for cancels."""
NAMED_THREADS = 2
"""Kept for named jobs, which pass a backlog."""
PREFETCHED = 4
"""Messages that a process reads ahead for each of its threads for plain messages."""
NAMED_SHARE = 2
"""Part of them, 1/2, that doorbells of jobs may be that wait for an exchange's threads."""
NAMED_AT_ONCE = 64
"""Named jobs that one settlement has Redis name."""


@dataclass(frozen=True, slots=True)
class NamedJob:
    """A job that is asked for by name.

    Attributes:
        ended: Called once its turn is over, with the outcome of its attempt; None if it was
            not attempted.
        left: Called instead if Redis has it named for whichever thread asks next.
    """

    lane: str
    job_id: str
    ended: Callable[[Outcome | None], object]
    left: Callable[[], object]


class Answered(Enum):
    """What the dispatcher does with a named job."""

    BEGUN = "begun"
    """A thread attempts it."""
    WAITS = "waits"
    """All threads are busy; the next free one attempts it, or has Redis name it."""
    LEFT = "left"
    """It runs or has ended here, or is another worker's. Its end is not reported."""


class ThreadLimit:
    """Counts the threads busy with one exchange. Never waits."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._inside = 0
        self._lock = threading.Lock()

    def enter(self, most: int | None = None) -> bool:
        """Take a place; return false if none is free, or `most` are taken."""
        with self._lock:
            if self._inside >= self._size or (most is not None and self._inside >= most):
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            self._inside -= 1

    @property
    def inside(self) -> int:
        """How many places are taken."""
        return self._inside


class ExchangeThreads:
    """The thread limits of one exchange, and how long its attempts take.

    Attributes:
        sizing: How long attempts take, and so how many jobs a thread claims at once.
        for_jobs: Threads that run whatever is due; at most `most` at a time.
        for_named: Threads that run named jobs while all of those are busy with attempts that
            take long.
        for_switches: Threads that bring the exchange's timers in line.
        gathering: The thread that lets jobs gather before it asks for them.
        named: Named jobs that wait for a thread.
    """

    def __init__(self, size: int, load: CpuLoad, *, named_max: int) -> None:
        self._size = size
        self._named_max = named_max
        self._load = load
        self.sizing = BatchSizing()
        self._learning = threading.Lock()
        self.for_jobs = ThreadLimit(size)
        self.for_named = ThreadLimit(NAMED_THREADS)
        self.for_switches = ThreadLimit(SWITCH_THREADS)
        self.gathering = ThreadLimit(1)
        self.named: deque[NamedJob] = deque()
        self._since: dict[int, tuple[float, float]] = {}
        """Thread → when its attempt began, and the CPU time that it had used, in ms."""

    @property
    def saturated(self) -> bool:
        """Whether as many named jobs wait for a thread as may."""
        return len(self.named) >= self._named_max

    def take_named(self) -> list[NamedJob]:
        """Take the named jobs that wait, at most `NAMED_AT_ONCE`, the oldest first."""
        taken = list[NamedJob]()
        with suppress(IndexError):
            while self.named and len(taken) < NAMED_AT_ONCE:
                taken.append(self.named.popleft())
        return taken

    def begin(self) -> None:
        """Note that an attempt of this thread begins; `end` follows."""
        self._since[threading.get_ident()] = (clock.monotonic_ms(), clock.cpu_ms())

    def end(self) -> tuple[float, float]:
        """Return how long this thread's attempt took, and its CPU time, in ms."""
        since, spent = self._since.pop(threading.get_ident())
        return clock.monotonic_ms() - since, clock.cpu_ms() - spent

    def learn(self, took_ms: float, cpu_ms: float) -> None:
        """Add the time and the CPU time of an attempt to the averages."""
        with self._learning:
            if self._load.due(now_ms := clock.monotonic_ms()):
                self._load.note(now_ms, clock.process_cpu_ms())
            self.sizing.learn(took_ms, cpu_ms, busy=self._load.busy)

    def gather(self) -> bool:
        """Return whether a thread is to let jobs gather, and take the one place for it.

        Not where attempts take long: jobs would wait while threads are free.
        """
        return self._load.busy and self.sizing.back_ms > 0 and self.gathering.enter()

    @property
    def most(self) -> int:
        """How many threads for jobs are worth having now."""
        now = clock.monotonic_ms()
        waiting_ms = now - min((since for since, _ in list(self._since.values())), default=now)
        return min(self._size, self.sizing.threads(waiting_ms))

    @property
    def crowded(self) -> bool:
        """Whether there are more threads for jobs than are worth having."""
        return self.for_jobs.inside > self.most

    def enter(self) -> bool:
        """Take a place for jobs; return false if there is none."""
        return self.for_jobs.enter(self.most)
