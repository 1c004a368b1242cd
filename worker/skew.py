"""How far an exchange's clock is from ours, learned from the Date of its replies.

A reply's Date is cut to the second, and was written between sending and
receiving. So each reply bounds the difference; the bounds of several narrow it
down. What is used is the least correction that the bounds allow: none at all
while the clocks may agree.
"""

from __future__ import annotations

import threading
from email.utils import parsedate_to_datetime

from worker import clock
from worker.wire import Reply

SECOND_MS = 1_000
FORGET_MS = 600_000
"""Clocks drift: bounds older than this are learned anew."""


class Skew:
    """One exchange's clock as seen from this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._low: float = float("-inf")
        self._high: float = float("inf")
        self._since = 0.0

    @property
    def ahead_ms(self) -> float:
        """What to add to local time to have the exchange's."""
        with self._lock:
            return min(max(0.0, self._low), self._high)

    def now_ms(self) -> int:
        """Return the exchange's time, Unix ms."""
        return round(clock.now_ms() + self.ahead_ms)

    def learn(self, reply: Reply, *, sent_ms: float) -> None:
        """Take in a reply to a request that left no sooner than local time `sent_ms`."""
        try:
            date = parsedate_to_datetime(reply.headers.get("date", ""))
            dated_ms = date.timestamp() * SECOND_MS
        except (ValueError, TypeError, OverflowError):
            return
        low, high = dated_ms - reply.received_ms, dated_ms + SECOND_MS - 1 - sent_ms
        now = clock.monotonic_ms()
        with self._lock:
            if now - self._since > FORGET_MS or low > self._high or high < self._low:
                self._low, self._high, self._since = low, high, now
            else:
                self._low, self._high = max(self._low, low), min(self._high, high)
