"""Bearer tokens, shared by all workers, stored sealed.

One token per account, whatever its aliases, since some exchanges refuse several at once. It is
sealed with a key derived from the account's secret, so that Redis, its dumps
and its replicas hold nothing usable.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from worker.errors import StoreUnavailable
from worker.exchanges.base import Access
from worker.model.tokens import SharedToken
from worker.store.connection import Store, unavailable

if TYPE_CHECKING:  # slow to import, and needed only for the exchanges that have tokens
    from cryptography.fernet import Fernet


class Tokens:
    """The tokens in one Redis."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns = threading.local()
        """The refreshes that this thread has begun, by account."""

    def get(self, account: str, access: Access, *, now_ms: int) -> SharedToken | None:
        """Return the account's token, or None if there is none to use.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        with unavailable():
            sealed = self._store.client.get(self._name(account))
        if not isinstance(sealed, str):
            return None
        from cryptography.fernet import InvalidToken  # noqa: PLC0415  slow

        try:
            value = json.loads(_box(account, access).decrypt(sealed.encode()))
            shared = SharedToken(value["token"], sealed, int(value["expires_ms"]))
        except (InvalidToken, ValueError, KeyError, TypeError):
            return None  # sealed under another secret: it is not ours to use
        return shared if shared.expires_ms > now_ms else None

    def begin_refresh(self, account: str, *, lease_ms: int) -> bool:
        """Become the one worker that fetches a token; false if another does.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        mark = os.urandom(8).hex()
        try:
            begun: bool = self._store.run("lease", f"token:{account}:refresh", mark, lease_ms) == 1
        except StoreUnavailable:
            with contextlib.suppress(StoreUnavailable):  # it may have begun all the same
                self._store.run("drop_token", f"{account}:refresh", mark)
            raise
        if begun:
            self._turns.__dict__[account] = mark
        return begun

    def end_refresh(self, account: str) -> None:
        """Let another worker fetch; no more than that if the lease has passed to one.

        Raises:
            StoreUnavailable: Redis did not answer; the refresh's lease ends it.
        """
        mark = self._turns.__dict__.pop(account, None)
        if mark is not None:
            self._store.run("drop_token", f"{account}:refresh", mark)

    def put(
        self, account: str, access: Access, token: str, *, until_ms: int, now_ms: int
    ) -> SharedToken:
        """Share a token until `until_ms`, which `used_until_ms` computes.

        Raises:
            StoreUnavailable: Redis did not answer. The token may be shared.
        """
        value = json.dumps({"token": token, "expires_ms": until_ms}).encode()
        sealed = _box(account, access).encrypt(value).decode()
        self._store.run("share_token", account, sealed, max(1, until_ms - now_ms))
        return SharedToken(token, sealed, until_ms)

    def drop(self, account: str, shared: SharedToken) -> None:
        """Forget a token that the exchange refused, unless a newer one is there.

        Raises:
            StoreUnavailable: Redis did not answer. Retrying is safe.
        """
        self._store.run("drop_token", account, shared.sealed)

    def _name(self, account: str) -> str:
        return self._store.key(f"token:{account}")


@lru_cache(maxsize=256)
def _box(account: str, access: Access) -> Fernet:
    from cryptography.fernet import Fernet  # noqa: PLC0415  slow
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415  slow
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415  slow

    derived = HKDF(
        algorithm=SHA256(),
        length=32,
        salt=None,
        info=b"cancel-worker token " + account.encode(),
    ).derive(access.api_secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
