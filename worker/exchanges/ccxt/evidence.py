"""Whether a reply itself reports what ccxt has read out of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from worker.exchanges.replies import at, id_text
from worker.model.outcomes import OrderState

STATES: Final[Mapping[object, OrderState]] = {
    "open": OrderState.OPEN,
    "canceled": OrderState.CANCELED,
    "closed": OrderState.FILLED,
    # Not open, and by no cancel: the same to the caller as filled.
    "expired": OrderState.FILLED,
    "rejected": OrderState.FILLED,
}
UNDER_WAY: Final = re.compile(
    r"pending|cancel+ing|_sent|sent_|requested|in.?progress|submitting|accepted", re.IGNORECASE
)
"""Words of a status that is not the last one, whatever ccxt takes it for."""


def seen_as(found: object, order_id: str) -> OrderState | None:
    """Return the state that ccxt has read of this order; None if it has read none."""
    if not isinstance(found, dict) or order_id == "" or id_text(at(found, "id")) != order_id:
        return None
    status = at(found, "status")
    return STATES.get(status) if isinstance(status, str) else None


def names(body: object, order_id: str) -> bool:
    """Return whether a reply names an order."""
    return order_id != "" and any(True for _ in _rows(body, order_id))


def proves(body: object, order_id: str) -> bool:
    """Return whether a reply names an order, and in no row of its as under way."""
    rows = [*_rows(body, order_id)]
    return bool(rows) and not any(_under_way(row) for row in rows)


def without(value: object, order_id: str, *, decoy: bool) -> object:
    """Return a copy of a reply that does not report the order.

    Args:
        value: JSON.
        order_id: Of the order.
        decoy: Put another id in the place of the order's. Otherwise leave only the
            id in the rows that name it.
    """
    if isinstance(value, dict):
        own = not decoy and _is_row(value.values(), order_id)
        return {
            _renamed(name, order_id, decoy=decoy): (
                {} if not decoy and name == order_id else without(each, order_id, decoy=decoy)
            )
            for name, each in value.items()
            if not own or id_text(each) == order_id
        }
    if isinstance(value, list):
        own = not decoy and len(value) > 1 and _is_row(value, order_id)
        return [
            without(each, order_id, decoy=decoy) if not own or id_text(each) == order_id else None
            for each in value
        ]
    if decoy and id_text(value) == order_id:
        return _other(order_id) if isinstance(value, str) else int(_other(order_id))
    return value


def _renamed(name: str, order_id: str, *, decoy: bool) -> str:
    return _other(order_id) if decoy and name == order_id else name


def _other(order_id: str) -> str:
    """Return an id of the same form that is another one's."""
    last = order_id[-1]
    return order_id[:-1] + ("1" if last != "1" else "2")


def _rows(value: object, order_id: str) -> Iterator[object]:
    """Yield each object and list of a reply that holds an order's id itself."""
    if isinstance(value, dict):
        if _is_row(value.values(), order_id):
            yield value
        for name, each in value.items():
            if name == order_id:
                yield each
            yield from _rows(each, order_id)
    elif isinstance(value, list):
        if _is_row(value, order_id):
            yield value
        for each in value:
            yield from _rows(each, order_id)


def _is_row(values: object, order_id: str) -> bool:
    return any(id_text(each) == order_id for each in values)  # type: ignore[attr-defined]


def _under_way(row: object) -> bool:
    values = row.values() if isinstance(row, dict) else row if isinstance(row, list) else ()
    return any(isinstance(each, str) and UNDER_WAY.search(each) for each in values)
