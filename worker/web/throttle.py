"""Limits on calls: by token, and by address for wrong secrets. Pure, apart from the clock."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from worker import clock

SOURCES_MAX = 10_000
"""Most buckets that are kept; the one used least recently is dropped."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at_ms: float


class Throttle:
    """Token buckets by name: `burst` calls at once, `per_s` calls a second on average.

    Safe to use from many threads. Kept in this process: two processes count apart.
    """

    def __init__(
        self, *, per_s: float, burst: float, now_ms: Callable[[], float] = clock.monotonic_ms
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str) -> int:
        """Count a call; return 0, or the ms until a call is allowed, if this one is not."""
        with self._lock:
            bucket = self._current(name)
            if bucket.left < 1:
                return self._wait_ms(bucket)
            bucket.left -= 1
            return 0

    def wait_ms(self, name: str) -> int:
        """Return the ms until a call is allowed, without counting one."""
        with self._lock:
            bucket = self._current(name)
            return 0 if bucket.left >= 1 else self._wait_ms(bucket)

    def _wait_ms(self, bucket: _Bucket) -> int:
        return max(1, round((1 - bucket.left) / self._per_s * 1_000))

    def _current(self, name: str) -> _Bucket:
        now_ms = self._now_ms()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._burst, now_ms)
            if len(self._buckets) > SOURCES_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        gained = (now_ms - bucket.at_ms) / 1_000 * self._per_s
        bucket.left = min(self._burst, bucket.left + gained)
        bucket.at_ms = now_ms
        return bucket
