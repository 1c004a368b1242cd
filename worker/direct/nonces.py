"""Nonces: one rising sequence for each API key, in the memory of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from worker import clock
from worker.store.nonces import MS_DIGITS, key_id


class MemoryNonces:
    """Allocates nonces to the threads of this process; `Nonces` does so for all workers.

    A sequence starts at the local time, above a workers' sequence in ms. If a key's
    nonces have more digits, the first refusal of the exchange shows it.

    Args:
        now_ms: Returns Unix time in ms.
    """

    def __init__(self, now_ms: Callable[[], int] = clock.now_ms) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._last: dict[str, int] = {}

    def allocate(self, api_key: str, offered: str = "") -> int:  # noqa: ARG002  no claim offers one
        """Return the next nonce: above all earlier ones, at least the time in the key's unit."""
        return self._next(api_key, 0)

    def raise_above(self, api_key: str, floor: int) -> None:
        """Allocate only nonces above `floor` from now on."""
        self._next(api_key, floor)

    def _next(self, api_key: str, floor: int) -> int:
        name = key_id(api_key)
        with self._lock:
            last = max(self._last.get(name, 0), floor)
            unit = max(0, len(str(last)) - MS_DIGITS)
            nonce = max(last + 1, int(f"{self._now_ms()}{'0' * unit}"))
            self._last[name] = nonce
        return nonce
