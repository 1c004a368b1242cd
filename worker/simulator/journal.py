"""What arrived, in order, and the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.simulator.signing import fingerprint

PAIRS = "pairs"
"""The operation that asks for the public list of pairs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a request says it wants, read without judging it.

    Attributes:
        operation: `cancel`, `bulk`, `scope`, `query`, `history`, `open_orders`,
            `countdown`, `token`, `time` or `unknown`.
        api_key: Whose request it is; empty if it does not say.
        nonce: As given.
        timestamp_ms: As given.
        order_ids: The orders named.
        pairs: The pairs named.
        countdown_ms: As given, or the documented default.
        token: The bearer token itself; it never enters the journal.
        fields: The parameters of query and body.
    """

    operation: str
    api_key: str = ""
    nonce: int | None = None
    timestamp_ms: int | None = None
    order_ids: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    countdown_ms: int | None = None
    token: str | None = field(default=None, repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def token_fingerprint(self) -> str | None:
        """Name the token without giving it away."""
        return None if self.token is None else fingerprint(self.token)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as the exchange saw it.

    Attributes:
        seq: 1 for the first; the order of arrival.
        at_ms: Unix ms by the host's clock when its bytes had all been read.
        path: As sent, without the query.
        fault: The fault that met it, or None.
        applied: Whether it took effect; for a question, whether it was answered.
        refusal: Why the exchange refused it by its own rules, or None:
            `key`, `signature`, `whitelist`, `nonce`, `timestamp`, `token`,
            `rate`, `order` (unknown or no longer open), `request`.
            What a fault did is in `fault` alone.
    """

    seq: int
    at_ms: float
    exchange: str
    source: str
    method: str
    path: str
    operation: str
    api_key: str
    nonce: int | None
    timestamp_ms: int | None
    order_ids: tuple[str, ...]
    pairs: tuple[str, ...]
    countdown_ms: int | None
    token_fingerprint: str | None
    fault: str | None
    applied: bool
    refusal: str | None
