"""Tokens of HTTP clients in Redis: made, looked up by their secret, revoked."""

from __future__ import annotations

import json
import secrets
from typing import Any

from worker.model.authority import (
    HOOK_PREFIX,
    TOKEN_PREFIX,
    HookScope,
    Token,
    Verb,
    digest_of,
)
from worker.store.connection import Store, unavailable

SECRET_BYTES = 32


class ApiTokens:
    """The tokens in one Redis, by the hash of their secret.

    Every method raises `StoreUnavailable` when Redis does not answer.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names = store.key("web:tokens")

    def create(
        self,
        name: str,
        *,
        now_ms: int,
        accounts: tuple[str, ...] = (),
        verbs: frozenset[Verb] = frozenset(),
        hook: HookScope | None = None,
    ) -> str | None:
        """Record a token; return its secret, or None if the name is taken.

        The secret is not stored and cannot be shown again. After a failure the name
        may be taken by a token that no secret matches: revoke it.
        """
        secret = f"{HOOK_PREFIX if hook else TOKEN_PREFIX}{secrets.token_urlsafe(SECRET_BYTES)}"
        digest = digest_of(secret)
        record: dict[str, Any] = {
            "name": name,
            "created_ms": now_ms,
            "accounts": list(accounts),
            "verbs": sorted(verbs),
        }
        if hook is not None:
            record["hook"] = [hook.account, hook.pair, hook.side]
        with unavailable():
            if not self._store.client.hsetnx(self._names, name, digest):
                return None
            self._store.client.set(self._key(digest), json.dumps(record))
        return secret

    def find(self, secret: str) -> Token | None:
        """Return the token with this secret, or None."""
        return self.by_digest(digest_of(secret))

    def by_digest(self, digest: str) -> Token | None:
        """Return the token with this digest, or None if it was revoked."""
        with unavailable():
            text: Any = self._store.client.get(self._key(digest))
        return _read(digest, text) if text else None

    def every(self) -> list[Token]:
        """Return all tokens, in order of their names."""
        with unavailable():
            names: Any = self._store.client.hgetall(self._names)
        rows = [self.by_digest(digest) for _, digest in sorted(names.items())]
        return [token for token in rows if token is not None]

    def revoke(self, name: str) -> bool:
        """Remove a token; return whether there was one. It is refused from the next call on."""
        with unavailable():
            digest: Any = self._store.client.hget(self._names, name)
            if digest is None:
                return False
            self._store.client.delete(self._key(digest))
            self._store.client.hdel(self._names, name)
        return True

    def _key(self, digest: str) -> str:
        return self._store.key(f"web:token:{digest}")


def _read(digest: str, text: str) -> Token:
    record = json.loads(text)
    known = set(Verb)
    return Token(
        name=record["name"],
        digest=digest,
        created_ms=record["created_ms"],
        accounts=tuple(record["accounts"]),
        # A newer version's verb gives no right here.
        verbs=frozenset(Verb(verb) for verb in record["verbs"] if verb in known),
        hook=HookScope(*record["hook"]) if "hook" in record else None,
    )
