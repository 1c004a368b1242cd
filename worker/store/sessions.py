"""Sessions of the control page: a token's authority behind a cookie."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from worker.model.authority import digest_of
from worker.store.connection import Store, unavailable

SECRET_BYTES = 32
KEPT_MS = 12 * 3_600_000
"""A session ends this long after its login."""


@dataclass(frozen=True, slots=True)
class Session:
    """One login.

    Attributes:
        token: Digest of the token that it was opened with; the session ends with it.
        csrf: What calls that change something must carry too.
    """

    token: str
    csrf: str


class Sessions:
    """The sessions in one Redis, by the hash of their secret. Methods raise `StoreUnavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, token: str) -> str:
        """Open a session with a token; return its secret, for the cookie."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        session = json.dumps([token, secrets.token_urlsafe(SECRET_BYTES)])
        with unavailable():
            self._store.client.set(self._key(secret), session, px=KEPT_MS)
        return secret

    def find(self, secret: str) -> Session | None:
        """Return a session, or None if there is none or it has ended."""
        with unavailable():
            text: Any = self._store.client.get(self._key(secret))
        return Session(*json.loads(text)) if text else None

    def close(self, secret: str) -> None:
        """End a session."""
        with unavailable():
            self._store.client.delete(self._key(secret))

    def _key(self, secret: str) -> str:
        return self._store.key(f"web:session:{digest_of(secret)}")
