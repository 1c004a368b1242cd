"""How many jobs to take at once: pure arithmetic on how long the last ones took."""

from __future__ import annotations

import threading

CHUNK_MS = 20
"""How long one thread should be busy with what it takes at once."""
CHUNK_MAX = 25
FLUSH_MS = 60
"""What was taken and has not been begun by then is put back for others."""
WEIGHT = 0.2
"""Of the latest attempt in the average."""


class Pace:
    """How long attempts at one exchange take, as seen from this process.

    A fast exchange is worked off in chunks, since then it is the ledger that
    costs; a slow one job by job, so that what one thread has taken does not
    wait for it while others are free. Safe to use from many threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._each_ms = float(CHUNK_MS)

    @property
    def chunk(self) -> int:
        """How many jobs to take at once, at least 1."""
        return max(1, min(CHUNK_MAX, int(CHUNK_MS / max(self._each_ms, 0.01))))

    def learn(self, took_ms: float) -> None:
        """Take in how long an attempt took."""
        with self._lock:
            self._each_ms += WEIGHT * (took_ms - self._each_ms)


class Taken:
    """The names of what this process has lately taken, for as many as are kept."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._names: dict[str, None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        """Keep a name, and forget the oldest if there are too many."""
        with self._lock:
            self._names[name] = None
            if len(self._names) > self._keep:
                del self._names[next(iter(self._names))]
