"""Tokens of HTTP clients in Redis: made, looked up by their secret, revoked."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
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
from worker.store.steps import Key, Steps, ask, carried, run

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a token may call: so many calls a second on average, `burst` at once."""

    per_s: float
    burst: float

    @property
    def args(self) -> tuple[str, str]:
        """The arguments of scripts: ms from call to call, and the burst."""
        return f"{1_000 / self.per_s:.6f}", f"{self.burst:.6f}"


@dataclass(frozen=True, slots=True)
class Admitted:
    """What is known of a call.

    Attributes:
        token: Who calls; None if the token was revoked.
        record: The token as Redis keeps it.
        wait_ms: 0, or the ms until a call is allowed, if this one is above the limit and
            was not counted.
    """

    token: Token | None
    record: str
    wait_ms: int


def admitting(digest: str, rate: Rate) -> Steps[Admitted]:
    """Look up a token by its digest, and count a call of it: in all processes together."""
    record, wait_ms = yield run("admit", digest, *rate.args)
    return Admitted(_read(digest, record) if record else None, record, int(wait_ms))


def counting_wrong(source: str, rate: Rate, *, count: bool = True) -> Steps[int]:
    """Count a wrong secret from an address: in all processes together.

    Args:
        source: The address; it is kept by its hash.
        rate: How many wrong secrets it may send.
        count: Whether there was one, or the wait is only looked at.

    Returns:
        0, or the ms until the address may try another; this one is not counted then.
    """
    wait_ms = yield run("wrong", digest_of(source), *rate.args, int(count))
    return int(wait_ms)


def finding_token(digest: str) -> Steps[Token | None]:
    """Return the token with this digest, or None if it was revoked."""
    (text,) = yield ask(("GET", Key(f"web:token:{digest}")))
    return _read(digest, text) if text else None


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

    by_digest = carried(finding_token)

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
