"""Nonces: one rising sequence per API key, shared by all workers."""

from __future__ import annotations

import hashlib

from worker.store.connection import Store


def key_id(api_key: str) -> str:
    """Name an API key in Redis without giving it away."""
    return hashlib.sha256(b"nonce:" + api_key.encode()).hexdigest()[:24]


class Nonces:
    """Allocates nonces. Arriving in order is the lane's business: width 1."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def allocate(self, api_key: str) -> int:
        """Take the next nonce for a key.

        No number is handed out twice, but some are never used: a caller that
        dies, or sees `StoreUnavailable`, leaves a gap. Exchanges accept gaps.

        Returns:
            An integer above every nonce given before for the key, and not
            below Redis time in ms, so that a lost sequence restarts above the
            old one.

        Raises:
            StoreUnavailable: Redis did not answer. Retrying is safe.
        """
        return int(self._store.run("nonce", key_id(api_key), ""))

    def raise_above(self, api_key: str, floor: int) -> None:
        """Give only nonces above `floor` from now on.

        Raises:
            StoreUnavailable: Redis did not answer. Retrying is safe.
        """
        self._store.run("nonce", key_id(api_key), str(floor))
