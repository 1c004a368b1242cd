"""The threads of one exchange in one process: how many may do what."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker import clock
from worker.bulkhead import Bulkhead
from worker.pace import Pace

TENDERS = 2
"""Kept for switches, which must not wait for cancels."""
SINGLES = 2
"""Kept for single cancels, which pass a backlog."""
NAMED_MAX = 1_000
"""Single cancels that may wait for those; the oldest beyond them queue."""


class Crew:
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
        self.pace = Pace()
        self.workers = Bulkhead(size)
        self.singles = Bulkhead(SINGLES)
        self.tenders = Bulkhead(TENDERS)
        self.named: deque[tuple[str, str]] = deque(maxlen=NAMED_MAX)
        self._since: dict[int, float] = {}
        """Thread → when its attempt began."""

    @contextmanager
    def attempting(self) -> Iterator[Callable[[], tuple[float, float]]]:
        """Know of an attempt while it lasts.

        Yields:
            What tells how long it has taken, and how much of a processor, in ms.
        """
        thread = threading.get_ident()
        since, spent = clock.monotonic_ms(), clock.cpu_ms()
        self._since[thread] = since
        try:
            yield lambda: (clock.monotonic_ms() - since, clock.cpu_ms() - spent)
        finally:
            del self._since[thread]

    @property
    def most(self) -> int:
        """How many workers are worth having as things stand."""
        now = clock.monotonic_ms()
        waiting_ms = now - min(list(self._since.values()), default=now)
        return min(self._size, self.pace.threads(waiting_ms))

    @property
    def crowded(self) -> bool:
        """Whether there are more workers than are worth having, so that one should leave."""
        return self.workers.inside > self.most

    def enter(self) -> bool:
        """Take a place among the workers; false if there is none."""
        return self.workers.enter(self.most)
