"""The threads of one exchange in one process: how many may do what."""

from __future__ import annotations

import threading
from collections import deque

from worker import clock
from worker.policy.batch_sizing import BatchSizing

TENDERS = 2
"""Kept for switches, which must not wait for cancels."""
SINGLES = 2
"""Kept for single cancels, which pass a backlog."""
NAMED_MAX = 1_000
"""Single cancels that may wait for those; the oldest beyond them queue."""


class ThreadLimit:
    """Counts the threads busy with one exchange. Never waits."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._inside = 0
        self._lock = threading.Lock()

    def enter(self, most: int | None = None) -> bool:
        """Take a place; false if none is free, or `most` are inside."""
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
        """How many have a place."""
        return self._inside


class ExchangeThreads:
    """Who may enter, and how fast they are.

    Attributes:
        pace: How long attempts take.
        workers: Work off whatever is due; at most `most` at a time.
        singles: Do what is asked for by name while all workers are busy.
        tenders: Bring the exchange's timers in line.
        named: Jobs asked for by name that wait for one of the singles: lane, id.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.pace = BatchSizing()
        self._learning = threading.Lock()
        self.workers = ThreadLimit(size)
        self.singles = ThreadLimit(SINGLES)
        self.tenders = ThreadLimit(TENDERS)
        self.named: deque[tuple[str, str]] = deque(maxlen=NAMED_MAX)
        self._since: dict[int, tuple[float, float]] = {}
        """Thread → when its attempt began, and what the thread had used of a processor."""

    def begin(self) -> None:
        """Know of an attempt of this thread from now on, until `end`."""
        self._since[threading.get_ident()] = (clock.monotonic_ms(), clock.cpu_ms())

    def end(self) -> tuple[float, float]:
        """Return how long the attempt has taken, and how much of a processor, in ms."""
        since, spent = self._since.pop(threading.get_ident())
        return clock.monotonic_ms() - since, clock.cpu_ms() - spent

    def learn(self, took_ms: float, cpu_ms: float) -> None:
        """Take in how long an attempt took, and what of that was a processor's."""
        with self._learning:
            self.pace.learn(took_ms, cpu_ms)

    @property
    def most(self) -> int:
        """How many workers are worth having as things stand."""
        now = clock.monotonic_ms()
        waiting_ms = now - min((since for since, _ in list(self._since.values())), default=now)
        return min(self._size, self.pace.threads(waiting_ms))

    @property
    def crowded(self) -> bool:
        """Whether there are more workers than are worth having, so that one should leave."""
        return self.workers.inside > self.most

    def enter(self) -> bool:
        """Take a place among the workers; false if there is none."""
        return self.workers.enter(self.most)
