"""How far an exchange's clock is from ours, learned from the Date of its replies.

A reply's Date is cut to the second, and was written between sending and
receiving. So each reply bounds the difference; the bounds of several narrow it
down. While the clocks may agree nothing is corrected. Else it is the middle of
the bounds that is used: an exchange that refuses what is a second ahead would
refuse the edge as soon as one request is faster than the one that taught it.
"""

from __future__ import annotations

import threading
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache

from worker import clock
from worker.model.wire import Reply

SECOND_MS = 1_000
FORGET_MS = 600_000
"""Clocks drift: bounds older than this are learned again."""
APART_MAX_MS = 86_400_000
"""No exchange's clock is further off: a Date that says so is another server's."""


TOLERABLE_MS = 1_000
"""Clocks that are provably further apart than this are worth an alert."""


class ClockSkew:
    """One exchange's clock as seen from this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._low: float = float("-inf")
        self._high: float = float("inf")
        self._since = 0.0
        self._apart = False

    @property
    def ahead_ms(self) -> float:
        """What to add to local time to have the exchange's."""
        with self._lock:
            agreed = self._low <= 0 <= self._high
            return 0.0 if agreed else (self._low + self._high) / 2

    @property
    def doubt_ms(self) -> int:
        """How far the exchange's clock may be behind what `now_ms` returns; a second at most."""
        with self._lock:
            low, high = self._low, self._high
        ahead = 0.0 if low <= 0 <= high else (low + high) / 2
        return min(SECOND_MS, max(0, round(ahead - low))) if low > float("-inf") else SECOND_MS

    def now_ms(self) -> int:
        """Return the exchange's time, Unix ms."""
        return round(clock.now_ms() + self.ahead_ms)

    def learn(self, reply: Reply, *, sent_ms: float) -> bool:
        """Take in a reply to a request that left no sooner than local time `sent_ms`.

        Returns:
            Whether the clocks are found to be apart, having been thought together.
        """
        dated_ms = _dated_ms(reply.headers.get("date", ""))
        if dated_ms is None:
            return False
        low, high = dated_ms - reply.received_ms, dated_ms + SECOND_MS - 1 - sent_ms
        if low > high or low < -APART_MAX_MS or high > APART_MAX_MS:
            return False
        now = clock.monotonic_ms()
        with self._lock:
            if now - self._since > FORGET_MS or low > self._high or high < self._low:
                self._low, self._high, self._since = low, high, now
            else:
                self._low, self._high = max(self._low, low), min(self._high, high)
            before, self._apart = self._apart, min(abs(self._low), abs(self._high)) > TOLERABLE_MS
            if self._low <= 0 <= self._high:
                self._apart = False
            return self._apart and not before


@lru_cache(maxsize=16)
def _dated_ms(date: str) -> float | None:
    """Read a Date as Unix ms; the replies of one second all say the same."""
    try:
        read = parsedate_to_datetime(date)
        # One of HTTP's forms names no zone: it is UTC as well.
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * SECOND_MS
    except (ValueError, TypeError, OverflowError):
        return None
