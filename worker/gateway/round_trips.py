"""How long the requests to an exchange take, and so how long the next may take."""

from __future__ import annotations

import threading

from worker.config.settings import Settings
from worker.policy.timers import CALL_MAX_MS, Terms, longest_call_ms

MARGIN = 1.25
"""How much longer than recently a request may take."""
DECAY = 0.9
"""How the longest way to an exchange is forgotten with each reply."""
TIMED_OUT = 0.9
"""Part of its time after which a call that failed was too slow."""
SHORT_SHARE = 16
"""What a call may take of a timeout that is shorter than any that is promised."""
SLOW_MAX = 4
"""After so many calls in a row that took all the time that their timers allow, these
timers cannot be kept."""


class RoundTrips:
    """The ways to the exchange of each lane of switches, as one worker knows them."""

    def __init__(self, settings: Settings) -> None:
        self._least_ms = settings.switches.transit_ms
        self._most_ms = min(settings.http.deadline_ms, CALL_MAX_MS)
        self._lock = threading.Lock()
        self._way_ms: dict[str, float] = {}
        """How long requests have recently taken, at most."""
        self._call_ms: dict[str, int] = {}
        self._slow: dict[str, int] = {}
        """How many calls in a row have taken all their time."""

    def call_ms(self, lane: str, *, longest_ms: int | None = None) -> int:
        """Return how long the next request may take."""
        with self._lock:
            call_ms = self._call_ms.get(lane, min(self._least_ms, self._most_ms))
        return call_ms if longest_ms is None else min(call_ms, longest_ms)

    def longest_ms(self, terms: Terms, timeout_ms: int, *, stop: bool = False) -> int:
        """Return how long a request for a timer of this timeout, or its stop, may take at most."""
        if stop:
            return self._most_ms
        # Armed where no worker has registered, it may be shorter than can be promised.
        least_ms = min(self._least_ms, timeout_ms // SHORT_SHARE)
        return min(self._most_ms, max(least_ms, longest_call_ms(terms, timeout_ms)))

    def learn(
        self, lane: str, took_ms: float, call_ms: int, longest_ms: int, *, answered: bool
    ) -> bool:
        """Note how long a call took.

        Args:
            lane: Of switches.
            took_ms: From its leave to its reply, or until it ended without one.
            call_ms: How long it might take.
            longest_ms: How long any might take for its timers.
            answered: Whether the exchange took it.

        Returns:
            Whether timers as short as these cannot be kept on this way.
        """
        timed_out = not answered and took_ms >= TIMED_OUT * call_ms
        with self._lock:
            if answered:
                way_ms = max(took_ms, DECAY * self._way_ms.get(lane, 0.0))
                self._way_ms[lane] = way_ms
                self._call_ms[lane] = min(
                    self._most_ms, max(self._least_ms, round(MARGIN * way_ms))
                )
            elif timed_out:
                known_ms = max(self._call_ms.get(lane, 0), 2 * call_ms)
                self._call_ms[lane] = min(self._most_ms, known_ms)
            if timed_out or took_ms > call_ms:
                bounded = call_ms >= longest_ms and longest_ms < self._most_ms
                self._slow[lane] = self._slow.get(lane, 0) + bounded
            elif answered:
                self._slow.pop(lane, None)
            if self._slow.get(lane, 0) < SLOW_MAX:
                return False
            del self._slow[lane]
            return True
