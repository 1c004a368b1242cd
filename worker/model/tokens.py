"""Bearer tokens as workers share them."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.model.outcomes import TokenGrant

MARGIN_MS = 5_000
"""How long before its end a token is no longer used: it could end on the way."""


SHORT_MS = 60_000
"""What is granted for no longer than this is used to its very end."""


@dataclass(frozen=True, slots=True)
class SharedToken:
    """A token as read from Redis, and its sealed form by which it is dropped.

    Attributes:
        expires_ms: Until when it is used; see `used_until_ms`.
    """

    token: str = field(repr=False)
    sealed: str = field(repr=False)
    expires_ms: int


def used_until_ms(grant: TokenGrant, *, now_ms: int) -> int:
    """Return until when a token granted now is used.

    Where all tokens end at midnight, each that is granted shortly before lasts no
    longer than the one before it: to ask for one after another would spend the few
    requests that an exchange allows, and leave none for the token of the new day.
    """
    long = grant.expires_ms - now_ms > SHORT_MS
    return grant.expires_ms - MARGIN_MS if long else grant.expires_ms
