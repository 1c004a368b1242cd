"""What can be asked of an exchange, in the words of this program."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Take one order off the book. `side` is `buy` or `sell`.

    The order is named by the exchange's `order_id`, or by the `client_order_id` that its
    strategy gave it; then `order_id` is empty.
    """

    order_id: str = ""
    pair: str | None = None
    side: str | None = None
    client_order_id: str | None = None
    stop: bool = False
    """A list has shown it as a stop order, which some exchanges cancel by other means."""
    stop_kind: str = ""
    """The exchange's word for its kind of stop order, where a question has shown it."""


@dataclass(frozen=True, slots=True)
class CancelOrders:
    """Take these orders off the book in one request. Never empty."""

    order_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CancelScope:
    """Take every open order of a scope off the book in one request."""

    pair: str | None = None
    side: str | None = None


@dataclass(frozen=True, slots=True)
class QueryOrder:
    """Ask about one order, named as in `CancelOrder`."""

    order_id: str = ""
    pair: str | None = None
    client_order_id: str | None = None
    stop: bool = False
    past: bool = False
    """It is asked about where the exchange keeps orders that are no longer open."""


@dataclass(frozen=True, slots=True)
class ListOpenOrders:
    """Ask for the open orders of a scope.

    With a `client_id_prefix` only those whose client order id begins with it.

    Attributes:
        after: Which page: what the answer to the page before gave as `next`; empty for the
            first.
    """

    pair: str | None = None
    side: str | None = None
    client_id_prefix: str | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class ListStopOrders:
    """Ask for the open stop orders of a scope, where the exchange lists them apart.

    There a `CancelScope` does not reach them, nor does a `ListOpenOrders` show them.
    """

    pair: str | None = None
    side: str | None = None
    client_id_prefix: str | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class ListPairs:
    """Ask which pairs the exchange has.

    Attributes:
        part: Which of its lists, where several make up all of them; see `Capabilities`.
        after: Which page, as in `ListOpenOrders`.
    """

    part: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class SetCountdown:
    """Set the exchange's own timer; 0 stops it.

    `pairs` is empty where the timer is for the whole account, and only there.
    """

    pairs: tuple[str, ...]
    countdown_ms: int


@dataclass(frozen=True, slots=True)
class ReadTimer:
    """Ask what the exchange says of its own timer."""


@dataclass(frozen=True, slots=True)
class FetchToken:
    """Ask for a bearer token."""


Command = (
    CancelOrder
    | CancelOrders
    | CancelScope
    | QueryOrder
    | ListOpenOrders
    | ListStopOrders
    | ListPairs
    | SetCountdown
    | ReadTimer
    | FetchToken
)
