"""Shared time as one caller knows it: from one measurement, between two bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

DRIFT = 0.001
"""By how much of the time that passes two clocks may drift apart: twice the most that
NTP slews a clock by."""
OLD_MS = 60_000
"""A measurement older than this is made again, as the drift takes off a call's time."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Shared time, read once. It belongs to the connection that it was read on.

    Attributes:
        sent_ms: When it was asked for, on the local clock.
        shared_ms: The answer, rounded down.
        received_ms: When the answer came, on the local clock.
    """

    sent_ms: float
    shared_ms: int
    received_ms: float

    def earliest(self, local_ms: float) -> int:
        """Return the earliest that shared time can be at a later local time."""
        return math.floor(self.shared_ms + (local_ms - self.received_ms) - self._drift(local_ms))

    def latest(self, local_ms: float) -> int:
        """Return the latest that shared time can be at a later local time."""
        return math.ceil(self.shared_ms + 1 + (local_ms - self.sent_ms) + self._drift(local_ms))

    def old(self, local_ms: float) -> bool:
        """Whether to measure again."""
        return not 0 <= local_ms - self.received_ms < OLD_MS

    def _drift(self, local_ms: float) -> float:
        return max(0.0, local_ms - self.received_ms) * DRIFT
