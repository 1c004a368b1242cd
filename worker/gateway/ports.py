"""What an attempt needs of what is shared: by all workers in Redis, or by one process's threads.

The parts in `worker.store` and those in `worker.memory` both fit, and the same
tests judge both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.exchanges.base import Access
from worker.model.limits import Grant, Rule
from worker.model.pairs import Freshness, PairBook
from worker.model.tokens import SharedToken


class Slots(Protocol):
    """Grants slots under rules; see `store.limiter.Limiter`."""

    def reserve(self, rules: Sequence[Rule], *, flight_ms: int, urgent: bool = True) -> Grant:
        """Take one slot under every rule, or under none."""

    def landed(self, grant: Grant, *, sent: bool = True) -> None:
        """Say that a granted request has arrived, or never left."""

    def ban(self, rules: Sequence[Rule], ban_ms: int) -> None:
        """Send nothing for `ban_ms` where any of these ban rules counts."""


class Sequences(Protocol):
    """Allocates nonces; see `store.nonces.Nonces`."""

    def allocate(self, api_key: str, offered: str = "") -> int:
        """Take the next nonce for a key, the one offered by a claim if that will do."""

    def raise_above(self, api_key: str, floor: int) -> None:
        """Give only nonces above `floor` from now on."""


class TokenBox(Protocol):
    """Keeps bearer tokens; see `store.tokens.Tokens`."""

    def get(self, account: str, access: Access, *, now_ms: int) -> SharedToken | None:
        """Return the account's token, or None if there is none to use."""

    def begin_refresh(self, account: str, *, lease_ms: int) -> bool:
        """Become the one that fetches a token; false if another does."""

    def end_refresh(self, account: str) -> None:
        """Let another fetch."""

    def put(
        self, account: str, access: Access, token: str, *, until_ms: int, now_ms: int
    ) -> SharedToken:
        """Share a token until `until_ms`."""

    def drop(self, account: str, shared: SharedToken) -> None:
        """Forget a token that the exchange refused, unless a newer one is there."""


class Scopes(Protocol):
    """Knows which scopes are armed; see `store.switches.Switches`."""

    def owners(self, lane: str, pairs: Sequence[str]) -> list[str]:
        """Return the switches that hold these pairs."""


class PairBox(Protocol):
    """Keeps lists of pairs by site; see `store.pair_lists.SharedPairLists`."""

    def freshness(self, site: str) -> Freshness:
        """Return how old a list is."""

    def read(self, site: str) -> PairBook | None:
        """Return a list; None if it was never fetched."""

    def begin(self, site: str, *, lease_ms: int) -> bool:
        """Become the one that fetches a list; false if another does."""

    def end(self, site: str) -> None:
        """Let another fetch."""

    def put(self, site: str, names: Mapping[str, str], *, fetched_ms: int) -> PairBook:
        """Replace a list."""


@dataclass(frozen=True, slots=True)
class Ports:
    """All of them together."""

    limiter: Slots
    nonces: Sequences
    tokens: TokenBox
    switches: Scopes
    pairs: PairBox
