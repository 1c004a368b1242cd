"""Secret addresses by which a switch takes heartbeats without other authority."""

from __future__ import annotations

import secrets
from typing import Any

from worker.model.authority import BEAT_PREFIX, digest_of
from worker.store.connection import Store, unavailable

SECRET_BYTES = 32
KEPT_MS = 7 * 86_400_000
"""An address expires after this time without a heartbeat."""


class BeatAddresses:
    """The addresses in one Redis, by the hash of their secret."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, switch_id: str, epoch: int, *, timeout_ms: int) -> str:
        """Return a new secret for heartbeats of one arming of a switch.

        Raises:
            StoreUnavailable: Redis did not answer. No address is known.
        """
        secret = f"{BEAT_PREFIX}{secrets.token_urlsafe(SECRET_BYTES)}"
        with unavailable():
            self._store.client.set(
                self._key(secret), f"{switch_id} {epoch}", px=_kept_ms(timeout_ms)
            )
        return secret

    def find(self, secret: str) -> tuple[str, int] | None:
        """Return the switch and the epoch of an address, and keep it; None if it is unknown.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        with unavailable():
            text: Any = self._store.client.getex(self._key(secret), px=KEPT_MS)
        if text is None:
            return None
        switch_id, epoch = text.split(" ")
        return switch_id, int(epoch)

    def _key(self, secret: str) -> str:
        return self._store.key(f"web:beat:{digest_of(secret)}")


def _kept_ms(timeout_ms: int) -> int:
    return max(KEPT_MS, 2 * timeout_ms)
