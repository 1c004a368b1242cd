"""Replies kept by `Idempotency-Key`, so that a repeated call is not run again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from worker.store.connection import Store, unavailable

KEPT_MS = 86_400_000
RUNNING_MS = 30_000
"""How long a key is held by a call that has not finished: its process may have died."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a key.

    Attributes:
        fingerprint: Hash of the call that it was used for.
        status: HTTP status of the reply; 0 while the call runs.
        body: JSON text of the reply.
    """

    fingerprint: str
    status: int = 0
    body: str = ""


class Idempotency:
    """The keys in one Redis. Methods raise `StoreUnavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, key: str, fingerprint: str) -> Kept | None:
        """Take a key for a call; return None, or what is known if it was used before."""
        name, text = self._key(key), json.dumps([fingerprint, 0, ""])
        with unavailable():
            if self._store.client.set(name, text, nx=True, px=RUNNING_MS):
                return None
            known: Any = self._store.client.get(name)
        # A key that has expired in between counts as running: the client asks again.
        return Kept(*json.loads(known)) if known else Kept(fingerprint)

    def finish(self, key: str, kept: Kept) -> None:
        """Keep the reply of a call."""
        text = json.dumps([kept.fingerprint, kept.status, kept.body])
        with unavailable():
            self._store.client.set(self._key(key), text, px=KEPT_MS)

    def forget(self, key: str) -> None:
        """Release a key whose call did nothing that counts."""
        with unavailable():
            self._store.client.delete(self._key(key))

    def _key(self, key: str) -> str:
        return self._store.key(f"web:idempotency:{key}")
