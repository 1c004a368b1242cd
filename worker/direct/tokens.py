"""Bearer tokens in the memory of one process."""

from __future__ import annotations

import os
import threading

from worker.exchanges.base import Access
from worker.model.tokens import SharedToken


class MemoryTokens:
    """Tokens shared by the threads of this process; `Tokens` does so for all workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, Access], SharedToken] = {}
        self._fetching: dict[str, int] = {}
        """By account, the thread that may fetch a token."""

    def get(self, account: str, access: Access, *, now_ms: int) -> SharedToken | None:
        """Return the account's token, or None without a valid one."""
        with self._lock:
            shared = self._tokens.get((account, access))
        return shared if shared and shared.expires_ms > now_ms else None

    def begin_refresh(self, account: str, *, lease_ms: int) -> bool:  # noqa: ARG002  threads do not die alone
        """Become the one thread that fetches a token; false if another thread fetches it."""
        with self._lock:
            if account in self._fetching:
                return False
            self._fetching[account] = threading.get_ident()
            return True

    def end_refresh(self, account: str) -> None:
        """Allow another thread to fetch, if this one was fetching."""
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
        now_ms: int,  # noqa: ARG002  entries do not expire here
    ) -> SharedToken:
        """Keep a token until `until_ms`."""
        # A random mark in place of the sealed form: it distinguishes tokens.
        shared = SharedToken(token, os.urandom(8).hex(), until_ms)
        with self._lock:
            self._tokens[account, access] = shared
        return shared

    def drop(self, account: str, shared: SharedToken) -> None:
        """Remove a token that the exchange refused, unless a newer one replaced it."""
        with self._lock:
            for key, kept in list(self._tokens.items()):
                if key[0] == account and kept.sealed == shared.sealed:
                    del self._tokens[key]
