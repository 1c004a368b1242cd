"""Shared time as one caller knows it: from measurements, between two bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from worker.model.constants import STEP_MS

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
        offset_ms: What of the answer is not the server's own clock.
    """

    sent_ms: float
    shared_ms: int
    received_ms: float
    offset_ms: int = 0

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


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what shared time less the local clock lies, by all that was read so far.

    Attributes:
        at_ms: The local time for which that holds; with time the clocks drift apart.
    """

    low_ms: float
    high_ms: float
    at_ms: float

    @classmethod
    def of(cls, reading: Reading) -> Bounds:
        """Return what one reading says, however long its answer was on the way."""
        return cls(
            reading.shared_ms - reading.received_ms,
            reading.shared_ms + 1 - reading.sent_ms,
            reading.received_ms,
        )

    @property
    def width_ms(self) -> float:
        """How much is not known."""
        return self.high_ms - self.low_ms

    def step(self, reading: Reading) -> int:
        """Return by how much shared time has stepped, if a reading proves that it has; else 0.

        A delayed call or a frozen server proves nothing: it only widens the reading's
        own bounds.
        """
        new, drift = Bounds.of(reading), abs(reading.received_ms - self.at_ms) * DRIFT
        ahead = new.low_ms - (self.high_ms + drift)
        behind = (self.low_ms - drift) - new.high_ms
        if max(ahead, behind) <= STEP_MS:
            return 0
        return round((new.low_ms + new.high_ms - self.low_ms - self.high_ms) / 2)

    def narrowed(self, reading: Reading) -> Bounds:
        """Return what is known with one reading more, which is no step.

        One that is outside of the bounds does not move them: many small slips are a step.
        """
        new, drift = Bounds.of(reading), abs(reading.received_ms - self.at_ms) * DRIFT
        old = Bounds(self.low_ms - drift, self.high_ms + drift, max(self.at_ms, new.at_ms))
        low, high = max(old.low_ms, new.low_ms), min(old.high_ms, new.high_ms)
        return Bounds(low, high, old.at_ms) if low <= high else old

    def earliest(self, local_ms: float) -> int:
        """Return the earliest that shared time can be at a local time."""
        drift = abs(local_ms - self.at_ms) * DRIFT
        return math.floor(self.low_ms + local_ms - drift)

    def latest(self, local_ms: float) -> int:
        """Return the latest that shared time can be at a local time."""
        drift = abs(local_ms - self.at_ms) * DRIFT
        return math.ceil(self.high_ms + local_ms + drift)
