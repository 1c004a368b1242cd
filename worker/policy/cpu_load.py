"""Whether a process is short of CPU time, and what follows.

A doorbell costs more than an attempt: each has a message, a thread and a claim. A process
that is busy lets jobs gather for a moment and claims them together, as a network driver
replaces interrupts by polling under load. A process that is not answers each doorbell.
"""

from __future__ import annotations

GATHER_MS = 3.0
"""How long jobs gather."""
BUSY = 0.6
"""Share of a core: a process that uses more is busy."""
CALM = 0.25
"""Share of a core: a busy process that uses less is busy no longer. Lower by more than half, as
gathered jobs cost less than half."""
WINDOW_MS = 100
"""Over how long the share is measured, at least."""


class CpuLoad:
    """Whether a process is short of CPU time, by what it has used recently.

    Attributes:
        busy: Whether it is.
    """

    def __init__(self) -> None:
        self.busy = False
        self._since_ms = self._spent_ms = 0.0

    def due(self, now_ms: float) -> bool:
        """Return whether the CPU time is to be noted again."""
        return now_ms - self._since_ms >= WINDOW_MS

    def note(self, now_ms: float, spent_ms: float) -> None:
        """Note the CPU time that the process has used so far, in ms."""
        share = (spent_ms - self._spent_ms) / max(1.0, now_ms - self._since_ms)
        self.busy = share > (CALM if self.busy else BUSY)
        self._since_ms, self._spent_ms = now_ms, spent_ms
