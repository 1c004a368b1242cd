"""Whether a reply itself reports what ccxt has read out of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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
    r"pending|cancel+ing|_sent|sent_|requested|in.?progress|submit|accepted|inactive"
    r"|partial(?!.*(cancel|expire|reject))|^(triggered|effective|replaced)$",
    re.IGNORECASE,
)
"""Words of a status that is not the last one, whatever ccxt takes it for. An order that was
triggered or replaced may be open under another id."""
TEXTS: Final = frozenset(
    {"message", "msg", "text", "reason", "detail", "description", "note", "comment", "info"}
)
"""Names of words for people, out of which no state may be read."""
FAILURES: Final = re.compile(
    r"errors?|err|err(or)?[_-]?(code|no|msg|message)|ret_?code", re.IGNORECASE
)
"""Names of what says that a request has failed, unless it is empty or one of `FINE`."""
FINE: Final = frozenset(
    {"", "0", "00000", "000000", "200", "ok", "none", "null", "success", "false", "no error"}
)
CODES: Final = frozenset(
    {"0", "00000", "000000", "1", "100", "200", "1000", "10000", "20000", "200000"}
)
"""Codes of a success."""
GOOD_WORDS: Final = re.compile(r"|ok|done|true|.*succe.*|.*成功.*", re.IGNORECASE)


DEPTH_MAX: Final = 32
"""How deep the JSON of a reply may be nested."""


def is_deep(value: object) -> bool:
    """Return whether JSON is nested deeper than any exchange nests it."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [
            inner for each in level for inner in _inner(each) if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


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


def fails(body: object, order_id: str = "") -> bool:
    """Return whether a reply says that its request failed, around or in a row of the order.

    Without an order, whether it says so at its top.
    """
    return _says_no(body, envelope=True) or any(
        _says_no(each, envelope=envelope) for each, envelope in _around(body, order_id)
    )


def _around(value: object, order_id: str) -> Iterator[tuple[object, bool]]:
    """Yield what holds a row of the order, at any depth, and the row itself with False."""
    if order_id == "" or not names(value, order_id):
        return
    own = isinstance(value, dict) and _is_row(value.values(), order_id)
    yield value, not own
    for each in _inner(value):
        yield from _around(each, order_id)


def _says_no(value: object, *, envelope: bool) -> bool:
    """Return whether an object says that a request failed.

    Args:
        value: JSON.
        envelope: It is around a row, so that its `status` and `code` are the request's.
    """
    if not isinstance(value, dict):
        return False
    for name, each in value.items():
        word = _word(each)
        if name in ("success", "ok") and word in ("false", "0"):
            return True
        if FAILURES.fullmatch(name) and (bool(each) if word is None else word not in FINE):
            return True
        if envelope and name in ("status", "result") and word in ("error", "fail", "failed"):
            return True
    if not envelope or "code" not in value:
        return False
    code = _word(value["code"])
    said = next((value[name] for name in ("msg", "message") if name in value), "")
    told = isinstance(said, str) and not GOOD_WORDS.fullmatch(said.strip())
    return told and code is not None and code not in CODES | FINE


def _word(value: object) -> str | None:
    """Return a value as a word in small letters; None if it is a list or an object."""
    if isinstance(value, dict | list):
        return None
    return "" if value is None else str(value).strip().casefold()


def hushed(value: object) -> object:
    """Return a copy of a reply without its words for people."""
    if isinstance(value, dict):
        return {name: hushed(each) for name, each in value.items() if name.casefold() not in TEXTS}
    return [hushed(each) for each in value] if isinstance(value, list) else value


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
        own = not decoy and _is_row(value, order_id)
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
    values = _inner(row) if isinstance(row, dict | list) else (row,)
    return any(isinstance(each, str) and UNDER_WAY.search(each) for each in values)


def _inner(value: object) -> Iterable[object]:
    """Return what an object or a list holds; nothing for anything else."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
