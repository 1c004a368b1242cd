"""Nonces: one rising sequence per API key, shared by all workers."""

from __future__ import annotations

import hashlib
import threading

from worker.store.connection import Store

MS_DIGITS = 13
"""Digits of a Unix time in ms, from 2001 to 2286."""


def key_id(api_key: str) -> str:
    """Name an API key in Redis without giving it away."""
    return hashlib.sha256(b"nonce:" + api_key.encode()).hexdigest()[:24]


class Nonces:
    """Allocates nonces. Arriving in order is the lane's business: width 1."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._highest: dict[str, int] = {}
        """Per key, what this process has seen: it outlives the loss of Redis's data."""

    def allocate(self, api_key: str, offered: str = "") -> int:
        """Take the next nonce for a key.

        No number is handed out twice, but some are never used: a caller that
        dies, or sees `StoreUnavailable`, leaves a gap. Exchanges accept gaps.

        Args:
            api_key: The key.
            offered: The key's id and a nonce, as a claim has brought them, whose caller still
                has the hold of the account; or empty. It is taken, without a call of Redis, if
                it is this key's and above what this process has seen.

        Returns:
            An integer above every nonce given before for the key, and not
            below Redis time in the unit that the key has used so far (ms for
            a new one), so that a lost sequence restarts above the old one.

        Raises:
            StoreUnavailable: Redis did not answer. Retrying is safe.
        """
        name, _, given = offered.partition(" ")
        if name == key_id(api_key):
            nonce = int(given)
            with self._lock:
                if nonce > self._highest.get(name, 0):
                    self._highest[name] = nonce
                    return nonce
        return self._next(api_key, 0)

    def raise_above(self, api_key: str, floor: int) -> None:
        """Give only nonces above `floor` from now on.

        Raises:
            StoreUnavailable: Redis did not answer. Retrying is safe.
        """
        self._next(api_key, floor)

    def _next(self, api_key: str, floor: int) -> int:
        name = key_id(api_key)
        with self._lock:
            seen = max(self._highest.get(name, 0), floor)
        unit = max(0, len(str(seen)) - MS_DIGITS)
        above = str(seen + 1) if seen else "0"
        nonce = int(self._store.run("nonce", name, above, unit))
        with self._lock:
            self._highest[name] = max(self._highest.get(name, 0), nonce)
        return nonce
