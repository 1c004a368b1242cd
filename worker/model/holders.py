"""Who holds a switch's deadline, its exchange or workers, and why: codes and their words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class HeldWhy(StrEnum):
    """Why workers hold a deadline, or a part of it, though the exchange has timers."""

    NONE = ""
    """They do not, or the exchange has none."""
    SHORT = "short"
    """The timer needs a longer timeout."""
    SLOW = "slow"
    """The exchange answers slowly, so that the timer needs a longer timeout."""
    LIMIT = "limit"
    """Other switches take up the exchange's limit."""
    WIDE = "wide"
    """The timer would cancel orders outside the scope."""
    NARROW = "narrow"
    """The timer takes pairs alone, and the scope is the account."""
    REPEATS = "repeats"
    """The timer would go on after it has fired."""
    LONG = "long"
    """The timer cannot run as long as the timeout."""
    SHARED = "shared"
    """The exchange has one timer for the account, and it serves other switches."""
    MANY = "many"
    """The timer takes fewer pairs."""
    DENIED = "denied"
    """The exchange keeps no timer for the account."""
    SPENT = "spent"
    """The timer has fired as often as it does in a day."""
    KEPT = "kept"
    """Stop orders stay, and the timer may cancel them."""
    STOPS = "stops"
    """The exchange holds the plain orders, and leaves stop orders to workers."""
    OTHERS = "others"
    """The timer is not known to reach orders on some markets."""
    PREFIX = "prefix"
    """The scope is bounded by client order ids, and a timer is not."""

    @classmethod
    def _missing_(cls, value: object) -> HeldWhy:  # noqa: ARG003  as in `Enum`
        return cls.NONE


def who_holds(why: str, *, native: bool, orders: bool) -> str:
    """Return who holds a deadline: `exchange`, `workers` or `both`.

    Args:
        why: The code in the switch's record.
        native: Whether the exchange holds a timer for it.
        orders: Whether it covers orders by their ids, which no timer does.
    """
    if not native:
        return "workers"
    return "both" if orders or why in (HeldWhy.STOPS, HeldWhy.OTHERS) else "exchange"


def why_held(why: str, *, native: bool, orders: bool = False) -> str:
    """Say in words why the exchange, or why workers, hold a deadline; as for `who_holds`."""
    kind, _, figure = why.partition(" ")
    reason = HeldWhy(kind)
    if reason is not HeldWhy.NONE:
        return _REASONS[reason].format(figure=figure)
    timer = "the exchange's own timer"
    whole = f"{timer} for the pairs; workers for the orders" if orders else timer
    return whole if native else "the exchange has no timer"


_REASONS: Mapping[HeldWhy, str] = {
    HeldWhy.STOPS: "the exchange's own timer for plain orders; workers for stop orders, "
    "which it leaves open",
    HeldWhy.OTHERS: "the exchange's own timer; workers for markets that it is not known to reach",
    HeldWhy.KEPT: "the exchange's timer may cancel stop orders, which are to stay",
    HeldWhy.WIDE: "the exchange's timer cancels every order of the account, not a pair's alone",
    HeldWhy.NARROW: "the exchange's timer needs each pair by name",
    HeldWhy.REPEATS: "the exchange's timer would also cancel what is placed after it has fired",
    HeldWhy.LONG: "the exchange's timer runs for {figure} ms at most",
    HeldWhy.SHARED: "the exchange's only timer serves other switches of the account, and their "
    "deadlines or pairs leave no room for this one",
    HeldWhy.MANY: "the exchange's timer takes {figure} pairs at most",
    HeldWhy.SHORT: "the exchange's timer cannot be kept below a timeout of {figure} ms",
    HeldWhy.SLOW: "the exchange answers slowly: its timer needs a timeout of {figure} ms",
    HeldWhy.DENIED: "the exchange keeps no timer for an account that has traded too little",
    HeldWhy.SPENT: "the exchange's timer fires {figure} times a day at most, which it has done",
    HeldWhy.PREFIX: "an exchange's timer cannot leave orders with other client ids alone",
    HeldWhy.LIMIT: "other switches take up the exchange's limit on countdown requests",
}
