"""When to notify that Redis is down: then no lease says who sends."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path

from worker import clock
from worker.notify.outages import duration

LEADER_MS = 10_000
"""How long Redis must be down until the process that sends reports it."""
OTHERS_MS = 60_000
"""The same for others: the sender may have died with Redis."""


class RedisDown:
    """Chooses, on each host, one process that reports an outage of Redis.

    With workers on several hosts each host may report it, the sender's first.

    Args:
        place: Names the Redis; only its hash is used.
    """

    def __init__(self, place: str) -> None:
        digest = hashlib.sha256(place.encode()).hexdigest()[:16]
        name = f"cancel-worker-{os.getuid()}-{digest}.lock"
        self._path = Path(tempfile.gettempdir()) / name
        self._since_ms: float | None = None
        self._lock: int | None = None

    def due(self, *, leads: bool) -> bool:
        """Note that Redis does not answer; return whether to report it now."""
        now_ms = clock.monotonic_ms()
        if self._since_ms is None:
            self._since_ms = now_ms
        wait_ms = LEADER_MS if leads else OTHERS_MS
        return self._lock is None and now_ms - self._since_ms >= wait_ms and self._take()

    def over(self) -> str:
        """Note that Redis answers; return how long it was down if that was reported here."""
        since_ms, self._since_ms = self._since_ms, None
        if self._lock is None or since_ms is None:
            return ""
        os.close(self._lock)
        self._lock = None
        return duration(round(clock.monotonic_ms() - since_ms))

    def _take(self) -> bool:
        """Return whether no other process of this host reports it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            lock = os.open(self._path, flags, 0o600)
        except OSError:
            return True  # rather twice than not at all
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        return True
