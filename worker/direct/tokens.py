"""Bearer tokens of one process, held by nobody else and gone when it ends."""

from __future__ import annotations

import os
import threading

from worker.exchanges.base import Access
from worker.model.tokens import SharedToken


class MemoryTokens:
    """The tokens of this process's threads; as `Tokens` for all workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, Access], SharedToken] = {}
        self._fetching: dict[str, int] = {}
        """Account → the thread whose turn it is to fetch."""

    def get(self, account: str, access: Access, *, now_ms: int) -> SharedToken | None:
        """Return the account's token, or None if there is none to use."""
        with self._lock:
            shared = self._tokens.get((account, access))
        return shared if shared and shared.expires_ms > now_ms else None

    def begin_refresh(self, account: str, *, lease_ms: int) -> bool:  # noqa: ARG002  threads do not die alone
        """Become the one thread that fetches a token; false if another is at it."""
        with self._lock:
            if account in self._fetching:
                return False
            self._fetching[account] = threading.get_ident()
            return True

    def end_refresh(self, account: str) -> None:
        """Let another thread fetch, if the turn is this one's."""
        with self._lock:
            if self._fetching.get(account) == threading.get_ident():
                del self._fetching[account]

    def put(
        self,
        account: str,
        access: Access,
        token: str,
        *,
        until_ms: int,
        now_ms: int,  # noqa: ARG002  nothing here ends by itself
    ) -> SharedToken:
        """Keep a token until `until_ms`."""
        # The mark stands for the sealed form, by which a token is told from the next.
        shared = SharedToken(token, os.urandom(8).hex(), until_ms)
        with self._lock:
            self._tokens[account, access] = shared
        return shared

    def drop(self, account: str, shared: SharedToken) -> None:
        """Forget a token that the exchange refused, unless a newer one is there."""
        with self._lock:
            for key, kept in list(self._tokens.items()):
                if key[0] == account and kept.sealed == shared.sealed:
                    del self._tokens[key]
