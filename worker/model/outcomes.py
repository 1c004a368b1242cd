"""What an exchange's reply says: one closed enum, and the answers that carry it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from worker.model.pairs import ListedPair


class Outcome(StrEnum):
    """What is known of a cancel. Anything not proven is not `CANCELED`."""

    CANCELED = "CANCELED"
    """The exchange's answer proves that the order was canceled."""
    GONE = "GONE"
    """Proven not open, and not proven to be by a cancel: an order was filled, or nothing was
    open in a scope."""
    REJECTED = "REJECTED"
    """The exchange refuses this request for good; repeating it cannot help."""
    THROTTLED = "THROTTLED"
    """Refused for the rate alone; nothing was done."""
    UNAVAILABLE = "UNAVAILABLE"
    """The exchange says that it could not; it may have."""
    UNAUTHORIZED = "UNAUTHORIZED"
    """The exchange refuses these credentials."""
    UNKNOWN = "UNKNOWN"
    """Nothing is proven: no reply, or one that no document describes."""

    @property
    def proven(self) -> bool:
        """Whether the order is proven not to be open."""
        return self in (Outcome.CANCELED, Outcome.GONE)


class OrderState(StrEnum):
    """What an exchange reports of one order when asked."""

    OPEN = "OPEN"
    CANCELED = "CANCELED"
    FILLED = "FILLED"
    MISSING = "MISSING"
    """The exchange does not know the order. No proof: live orders have been
    reported missing for minutes."""


class Evidence(StrEnum):
    """What an attempt shows of the account, beside what it shows of its order."""

    NONE = ""
    CANCELS = "cancels"
    """The exchange accepts the account's cancels."""
    READS = "reads"
    """It answers the account's questions."""
    NO_CANCELS = "no cancels"
    """It refuses the credentials for a cancel."""
    NO_READS = "no reads"
    """It refuses them for a question."""
    NO_TOKEN = "no token"  # noqa: S105 - no secret
    """It refuses them a bearer token, so that nothing could be sent."""
    PUT_OFF = "put off"
    """It asked that this request be made later, for a reason other than the rate."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The order of a `CancelOrder` is proven not open."""

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ClosedMany:
    """The orders of a `CancelOrders` that the reply proves, each with its own outcome.

    What is not named here is not proven.

    Attributes:
        outcomes: By order id.
        others: How many orders it names that it was not asked to cancel.
    """

    outcomes: dict[str, Outcome]
    others: int = 0


@dataclass(frozen=True, slots=True)
class CancelAccepted:
    """The exchange accepted a `CancelOrder`, which proves nothing yet. Ask about the order."""

    detail: str = "cancel accepted, not proven"


@dataclass(frozen=True, slots=True)
class ScopeCanceled:
    """The exchange accepted a `CancelScope`. List the scope to prove it.

    Attributes:
        canceled: How many orders it says it has canceled; None if it does not say.
        order_ids: Those that it names.
    """

    canceled: int | None = None
    order_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderReport:
    """The answer to a `QueryOrder`.

    `stop_kind` is the exchange's word for its kind of stop order, where a cancel must have it.
    """

    state: OrderState
    detail: str = ""
    stop_kind: str = ""


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """One row of a list of open orders. `stop`: it is a stop, take-profit or trigger order."""

    order_id: str
    pair: str | None = None
    side: str | None = None
    stop: bool = False


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """The answer to a `ListOpenOrders` or `ListStopOrders`, in the command's scope.

    Attributes:
        orders: Those of the scope.
        complete: False when the exchange may hold more than it listed, apart from the
            pages that follow.
        next: The page that follows, as the next command's `after`; empty for none.
        seen: Ids of all rows, of any scope, where an order that is closed moves the others
            to another page; see `Capabilities.pages_shift`.
    """

    orders: tuple[OpenOrder, ...]
    complete: bool
    next: str = ""
    seen: tuple[str, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PairList:
    """The answer to a `ListPairs`; `next` is as in `OpenOrders`."""

    pairs: tuple[ListedPair, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class CountdownSet:
    """The exchange's timer is set to what the `SetCountdown` asked for."""


@dataclass(frozen=True, slots=True)
class TimerReading:
    """The answer to a `ReadTimer`.

    Attributes:
        denied: Why the exchange keeps no timer for the account; empty if it says no such thing.
        left_ms: Until the timer fires; 0 if none runs, None if the exchange does not say.
        pairs: What it is for, as the exchange writes them; empty for every pair.
    """

    denied: str = ""
    left_ms: int | None = None
    pairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """The answer to a `FetchToken`: the token and when it ends, as Unix ms."""

    token: str
    expires_ms: int

    def __repr__(self) -> str:
        """Hide the token."""
        return f"TokenGrant(token=***, expires_ms={self.expires_ms})"


@dataclass(frozen=True, slots=True)
class Unproven:
    """Every other answer: why the command is not known to be done.

    Attributes:
        outcome: Any `Outcome` but `CANCELED` and `GONE`.
        detail: The exchange's own words, cut short, for people.
        retry_after_ms: How long the exchange asks to be left alone.
        missing: The exchange says that it knows no such open order, which may
            mean filled, canceled, or a mistake of its own: ask before judging.
        token_refused: The bearer token is no longer accepted; fetch another.
        nonce_floor: Only nonces above this number are accepted from now on; 0 if the
            exchange refused the nonce without naming one.
        clock_refused: The exchange finds the request's timestamp too far from
            its own clock.
        banned: The exchange refuses every request until `retry_after_ms` is over, and may
            for longer if it is asked before.
        timer_denied: The exchange keeps no timer for this account, for now.
        final: Refused here, before it was sent: the same again would be, too.
    """

    outcome: Outcome
    detail: str = ""
    retry_after_ms: int | None = None
    missing: bool = False
    token_refused: bool = False
    nonce_floor: int | None = None
    clock_refused: bool = False
    banned: bool = False
    timer_denied: bool = False
    final: bool = False


Answer = (
    Closed
    | ClosedMany
    | CancelAccepted
    | ScopeCanceled
    | OrderReport
    | OpenOrders
    | PairList
    | CountdownSet
    | TimerReading
    | TokenGrant
    | Unproven
)
