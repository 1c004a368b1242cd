"""Gate's orders as JSON: what a row says of the order, its pair, side and fate.

`finish_as` decides the fate. An order that ended in another way than by a cancel is not open,
and no cancel of ours ended it. A word that no document has proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from worker.exchanges.replies import at, id_text, text_at, word_at
from worker.model.outcomes import OrderState

_CANCELED: Final = ("cancelled", "canceled")
_SPOT_ENDS: Final = frozenset(
    {
        "filled",
        "liquidate_cancelled",
        "small",
        "depth_not_enough",
        "trader_not_enough",
        "ioc",
        "poc",
        "fok",
        "stp",
        "unknown",
    }
)
"""How a spot order ends without a cancel, as the documents list it."""
_FUTURES_ENDS: Final = frozenset(
    {
        "filled",
        "liquidated",
        "ioc",
        "auto_deleveraged",
        "reduce_only",
        "position_closed",
        "reduce_out",
        "stp",
    }
)
_SPOT_STOPS: Final[Mapping[str, OrderState]] = {
    "open": OrderState.OPEN,
    "cancelled": OrderState.CANCELED,
    "canceled": OrderState.CANCELED,
    # Over, and by no cancel. What it placed when it fired is an order of its own.
    "finish": OrderState.FILLED,
    "failed": OrderState.FILLED,
    "expired": OrderState.FILLED,
}
_FUTURES_STOPS: Final[Mapping[str, OrderState]] = {
    "cancelled": OrderState.CANCELED,
    "canceled": OrderState.CANCELED,
    "succeeded": OrderState.FILLED,
    "failed": OrderState.FILLED,
    "expired": OrderState.FILLED,
}
_SIZE: Final = re.compile(r"(-?)[0-9]{1,30}(?:\.[0-9]{1,30})?")
_ZERO: Final = re.compile(r"-?[0.]+")


@dataclass(frozen=True, slots=True)
class Row:
    """What a row says.

    Attributes:
        order_id: Empty if it has none.
        pair: Likewise.
        side: `buy`, `sell`, or empty if it is unknown.
        state: None if no document has what it says.
        client_id: Its `text`; empty if it has none.
    """

    order_id: str
    pair: str
    side: str
    state: OrderState | None
    client_id: str = ""


def spot_row(row: object) -> Row:
    """Read an order of the spot market."""
    return Row(
        id_text(at(row, "id")),
        text_at(row, "currency_pair"),
        _word_side(word_at(row, "side")),
        _spot_state(row),
        text_at(row, "text"),
    )


def _spot_state(row: object) -> OrderState | None:
    """Return the state by `status`, and of what was canceled by `finish_as`, if it is there."""
    status, ended = word_at(row, "status"), word_at(row, "finish_as")
    match status:
        case "open" if ended in ("", "open"):
            return OrderState.OPEN
        case "closed" if ended in ("", "filled"):
            return OrderState.FILLED
        case "cancelled" | "canceled" if ended in ("", *_CANCELED):
            return OrderState.CANCELED
        case "closed" | "cancelled" | "canceled" if ended in _SPOT_ENDS:
            return OrderState.FILLED
        case _:
            return None


def futures_row(row: object) -> Row:
    """Read a futures order: its size is negative if it sells."""
    return Row(
        id_text(at(row, "id")),
        text_at(row, "contract"),
        _size_side(row),
        _futures_state(row),
        text_at(row, "text"),
    )


def _futures_state(row: object) -> OrderState | None:
    status, ended = word_at(row, "status"), word_at(row, "finish_as")
    match status:
        case "open" if ended in ("", "open"):
            return OrderState.OPEN
        case "finished" if ended in _CANCELED:
            return OrderState.CANCELED
        case "finished" if ended in _FUTURES_ENDS:
            return OrderState.FILLED
        case _:
            return None


def spot_stop_row(row: object) -> Row:
    """Read a price-triggered order of the spot market; it has no client order id."""
    return Row(
        id_text(at(row, "id")),
        text_at(row, "market"),
        _word_side(word_at(row, "put", "side")),
        _SPOT_STOPS.get(word_at(row, "status")),
    )


def futures_stop_row(row: object) -> Row:
    """Read a price-triggered order of the futures; it has no client order id.

    One that is `inactive` or `invalid` belongs to another order: neither is a fate.
    """
    initial, status = at(row, "initial"), word_at(row, "status")
    state = OrderState.OPEN if status == "open" else None
    if status == "finished":
        state = _FUTURES_STOPS.get(word_at(row, "finish_as"))
    side = _size_side(initial) or _close_side(text_at(row, "order_type"))
    return Row(id_text(at(row, "id")), text_at(initial, "contract"), side, state)


def _word_side(word: str) -> str:
    return word if word in ("buy", "sell") else ""


def _size_side(row: object) -> str:
    """Return the side by the sign of `size`; one of 0 closes what `auto_size` names."""
    size = id_text(at(row, "size"))
    found = _SIZE.fullmatch(size)
    if found and not _ZERO.fullmatch(size):
        return "sell" if found[1] else "buy"
    return _close_side(text_at(row, "auto_size"))


def _close_side(words: str) -> str:
    plain = words.replace("_", "-")
    if "close-long" in plain:
        return "sell"
    return "buy" if "close-short" in plain else ""
