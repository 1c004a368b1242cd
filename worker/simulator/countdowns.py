"""Countdown timers per key and pair."""

from __future__ import annotations

from dataclasses import dataclass

CHECK_EVERY_MS = 10.0
"""The system will check all countdowns approximately every 10 milliseconds."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A running countdown; `fires_at_ms` is Unix ms by the host's clock."""

    api_key: str
    pair: str
    fires_at_ms: float


class Countdowns:
    """The running timers."""

    def __init__(self) -> None:
        self._fires_at: dict[tuple[str, str], float] = {}

    def set(self, api_key: str, pair: str, countdown_ms: int, at_ms: float) -> None:
        """Replace the pair's countdown by a new one; 0 stops it.

        "The existing countdown time can be canceled and replaced by a new
        one. … If this endpoint is called with an countdownTime of 0, the
        countdown timer will be stopped."
        """
        if countdown_ms:
            self._fires_at[api_key, pair] = at_ms + countdown_ms
        else:
            self._fires_at.pop((api_key, pair), None)

    def running(self) -> list[Timer]:
        """Return all timers, soonest first."""
        timers = [Timer(key, pair, at) for (key, pair), at in list(self._fires_at.items())]
        return sorted(timers, key=lambda timer: timer.fires_at_ms)

    def pop_due(self, at_ms: float) -> list[Timer]:
        """Remove and return the timers that have run out."""
        if not self._fires_at:
            return []
        due = [timer for timer in self.running() if timer.fires_at_ms <= at_ms]
        for timer in due:
            del self._fires_at[timer.api_key, timer.pair]
        return due
