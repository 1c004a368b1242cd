"""The whole state in Redis, read for metrics, probes and the page."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from worker import clock
from worker.model.limits import Budget
from worker.store.connection import Store
from worker.store.reading import LaneReading, Reading, read

FRESH_MS = 1_000
"""Maximum age of a reading that several callers share."""


class Watch:
    """Reads the state, at most once in `fresh_ms` for any number of callers."""

    def __init__(
        self, store: Store, budgets: Sequence[Budget] = (), *, fresh_ms: int = FRESH_MS
    ) -> None:
        self.store = store
        self._fresh_ms = fresh_ms
        self._budgets = tuple(budgets)
        self._lock = threading.Lock()
        self._last: tuple[float, Reading] | None = None

    def look(self) -> Reading:
        """Return the current state.

        Raises:
            StoreUnavailable: Redis did not answer in time.
        """
        with self._lock:
            now_ms = clock.monotonic_ms()
            if self._last is None or now_ms - self._last[0] > self._fresh_ms:
                self._last = None
                self._last = (now_ms, read(self.store, self._budgets, probes=True))
            return self._last[1]


__all__ = ["LaneReading", "Reading", "Watch"]
