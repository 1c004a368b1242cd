"""How many jobs to claim at once, and by how many threads: arithmetic on the last attempts."""

from __future__ import annotations

BATCH_MS = 20
"""How long one batch should keep its thread busy."""
BATCH_MAX = 25
START_WITHIN_MS = 60
"""A job of a batch that has not been started by then is put back for other threads."""
SOON_MS = 3
"""An exchange that takes less than this a job is asked for more sooner than by a doorbell."""
HANGS_MS = 100
CPU_MS = 0.5
"""CPU time of an attempt, before one is known."""
WEIGHT = 0.2
"""Of the latest attempt in the average."""
SLOWER_WEIGHT = 0.05
"""Of a slower attempt in what the exchange takes by itself."""
THREADS_MIN = 2
"""While one thread waits for Redis to settle its batch, another attempts jobs. Measured
against one thread: 7 to 18 % more jobs a second, at the same CPU time a job."""


class BatchSizing:
    """How long attempts at one exchange take, as measured in this process.

    Jobs of a fast exchange are claimed in batches, since Redis costs most there, and by
    few threads, since more would only wait for one another. Jobs of a slow exchange are
    claimed one by one, so that none waits behind another while threads are free.
    """

    def __init__(self) -> None:
        self._each_ms = self._least_ms = float(BATCH_MS)
        self._cpu_ms = CPU_MS

    @property
    def batch(self) -> int:
        """How many jobs to claim at once: 1 to `BATCH_MAX`."""
        return max(1, min(BATCH_MAX, int(BATCH_MS / max(self._each_ms, 0.01))))

    @property
    def back_ms(self) -> float:
        """How many ms a job a thread takes to ask for more; 0 if not `SOON_MS` at most."""
        return 2 * self._each_ms if self._each_ms <= SOON_MS else 0.0

    def threads(self, waiting_ms: float = 0) -> int:
        """Return how many threads are worth having in this process: `THREADS_MIN` or more.

        One, and half as many more as would keep a core busy while the first waits for the
        exchange. The time that threads wait for each other, or for a core, looks like the
        exchange's time, and must not add threads, which would wait still longer: counted is
        what the faster attempts take.

        Args:
            waiting_ms: How long an attempt in progress has taken so far; less than
                `HANGS_MS` may be the CPU's doing and is ignored.
        """
        each_ms = max(self._least_ms, waiting_ms if waiting_ms >= HANGS_MS else 0.0)
        cpu_ms = max(self._cpu_ms, 0.01)
        return max(THREADS_MIN, 1 + int(max(0.0, each_ms - cpu_ms) / cpu_ms / 2))

    def learn(self, took_ms: float, cpu_ms: float, *, busy: bool = False) -> None:
        """Add the time and the CPU time of an attempt to the averages, in ms.

        Of a process that is `busy`, short of CPU time, a slower attempt says nothing of the
        exchange. It would make the exchange look slow, and add doorbells and threads, which
        cost more CPU time. A slow exchange leaves the process time to spare.
        """
        if took_ms < self._each_ms or not busy:
            self._each_ms += WEIGHT * (took_ms - self._each_ms)
        slower = took_ms > self._least_ms
        if not (slower and busy):
            self._least_ms += (SLOWER_WEIGHT if slower else WEIGHT) * (took_ms - self._least_ms)
        self._cpu_ms += WEIGHT * (cpu_ms - self._cpu_ms)
