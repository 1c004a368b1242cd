"""BitMart's bearer tokens."""

from __future__ import annotations

import random
from dataclasses import dataclass

from worker.simulator.clock import next_midnight_ms
from worker.simulator.limits import SlidingWindow


@dataclass(slots=True)
class Grant:
    """A token's owner, and its end by the exchange's clock."""

    api_key: str
    expires_ms: float


class Tokens:
    """Every token ever handed out."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._grants: dict[str, Grant] = {}
        self._limit = SlidingWindow(5, 60_000)

    def admit(self, api_key: str, at_ms: float) -> bool:
        """Keep to 5 token requests a minute per key."""
        return self._limit.admit(api_key, at_ms)

    def grant(self, api_key: str, now_ms: float, *, lasts_s: int, only: bool) -> str:
        """Hand out a token for `lasts_s`, or until 00:00:00 UTC if that is sooner."""
        if only:
            for grant in self._grants.values():
                if grant.api_key == api_key:
                    grant.expires_ms = min(grant.expires_ms, now_ms)
        token = f"{self._rng.getrandbits(256):064x}"
        ends_ms = min(now_ms + lasts_s * 1_000, next_midnight_ms(now_ms))
        self._grants[token] = Grant(api_key, ends_ms)
        return token

    def owner(self, token: str) -> str:
        """Return whose token it is or was; empty if no account's."""
        grant = self._grants.get(token)
        return grant.api_key if grant else ""

    def valid(self, token: str, now_ms: float) -> bool:
        """Say whether a token is accepted now."""
        grant = self._grants.get(token)
        return grant is not None and now_ms < grant.expires_ms

    def expire(self, token: str | None = None) -> None:
        """End one token at once, or all."""
        for held, grant in self._grants.items():
            if token in (None, held):
                grant.expires_ms = 0.0
