"""How many jobs to take at once, and by how many threads: pure arithmetic on the last ones."""

from __future__ import annotations

CHUNK_MS = 20
"""How long one thread should be busy with what it takes at once."""
CHUNK_MAX = 25
FLUSH_MS = 60
"""What was taken and has not been begun by then is put back for others."""
SMOOTH_MS = FLUSH_MS / 2
"""What is claimed while others are attempted must not wait for longer than these took."""
HANGS_MS = 100
CPU_MS = 0.5
"""What an attempt costs, before one is known."""
WEIGHT = 0.2
"""Of the latest attempt in the average."""


class BatchSizing:
    """How long attempts at one exchange take, as seen from this process.

    A fast exchange is worked off in chunks, since then it is the ledger that
    costs, and by few threads, since they would only wait for one another; a slow
    one job by job, so that what one thread has taken does not wait for it while
    others are free.
    """

    def __init__(self) -> None:
        self._each_ms = float(CHUNK_MS)
        self._cpu_ms = CPU_MS

    @property
    def chunk(self) -> int:
        """How many jobs to take at once, at least 1."""
        return _fitting(self._each_ms)

    def threads(self, waiting_ms: float = 0) -> int:
        """Return how many threads are worth having in this process, at least 1.

        One, and for what it waits, half as many as would keep one core busy
        meanwhile: what they wait for each other looks like the exchange's time,
        and must not bring more of them.

        Args:
            waiting_ms: How long an attempt under way has been so; what is less than
                `HANGS_MS` may be the processor's doing.
        """
        each_ms = max(self._each_ms, waiting_ms if waiting_ms >= HANGS_MS else 0.0)
        cpu_ms = max(self._cpu_ms, 0.01)
        return 1 + int(max(0.0, each_ms - cpu_ms) / cpu_ms / 2)

    def learn(self, took_ms: float, cpu_ms: float) -> None:
        """Take in how long an attempt took, and what of that was a processor's."""
        self._each_ms += WEIGHT * (took_ms - self._each_ms)
        self._cpu_ms += WEIGHT * (cpu_ms - self._cpu_ms)


def _fitting(each_ms: float) -> int:
    """Return how many attempts of this length keep a thread busy for `CHUNK_MS`."""
    return max(1, min(CHUNK_MAX, int(CHUNK_MS / max(each_ms, 0.01))))
