"""Redis time that is stopped until a test moves it."""

from __future__ import annotations

import redis

from worker.store.connection import Store, connect

KEY = "stepped:now"
CLOCK = f"local function raw_ms() return tonumber(redis.call('GET', '{KEY}')) end"
START_MS = 1_700_000_000_000
TIMEOUT_MS = 5_000


class SteppedStore(Store):
    """A store whose clock is that of its scripts."""

    def clocks(self) -> tuple[int, int]:
        """Return the stepped time."""
        return int(self.local_ms()), 0


class Stepped:
    """One Redis whose scripts read the time from a key.

    Args:
        url: An empty Redis; its keys' own expiry still runs on real time.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: redis.Redis = connect(url, timeout_ms=TIMEOUT_MS)
        self.now_ms = START_MS
        self.set(START_MS)

    def set(self, now_ms: int) -> None:
        """Set the time."""
        self.now_ms = now_ms
        self.client.set(KEY, now_ms)

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.set(self.now_ms + ms)

    def store(self, prefix: str = "cx:") -> Store:
        """Return a store on this clock."""
        client = connect(self.url, timeout_ms=TIMEOUT_MS)
        return SteppedStore(client, prefix=prefix, clock=CLOCK, local=lambda: float(self.now_ms))
