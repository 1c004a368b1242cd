"""What a reply of an exchange of ccxt may prove, read apart from the program, with `json` alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Path = tuple[str | int, ...]
SLACK_MS = 30_000
"""How far the exchange's clock may be from ours."""
CLOSED = ("cancel", "fill", "execut", "expire", "reject", "fail", "complete", "done", "close")


@dataclass(frozen=True, slots=True)
class Shape:
    """How one exchange writes what proves something.

    Attributes:
        ok: Path and value of a success.
        order: Path of the order that was asked about.
        cancel: Path of the order in the reply to its cancel; None if that reports nothing.
        ids: Paths of the order's id within a row: asked about, canceled, listed.
        status: Path of its status.
        canceled: The statuses of one that was canceled.
        filled: Of one that ended otherwise.
        rows: Path of the open orders.
        page: Rows after which there may be others.
        fires: Path of the moment at which a timer fires, and what it counts in.
        now: Path of the exchange's clock; empty if its replies have none.
    """

    ok: tuple[Path, object] | None
    order: Path
    cancel: Path | None
    ids: tuple[Path, Path, Path]
    status: Path
    canceled: tuple[str, ...]
    filled: tuple[str, ...]
    rows: Path
    page: int = 10**9
    fires: Path = ()
    unit_ms: int = 1
    now: Path = ()


def _of(
    order: Path,
    cancel: Path | None,
    order_id: str | int,
    rows: Path,
    ok: tuple[Path, object] | None = None,
    **more: Any,
) -> Shape:
    own: Path = (order_id,)
    given = {
        "ids": (own, own, own),
        "status": ("status",),
        "canceled": ("canceled",),
        "filled": ("filled",),
        **more,
    }
    return Shape(ok, order, cancel, rows=rows, **given)


SHAPES = {
    "bitvavo": _of(
        (),
        (),
        "orderId",
        (),
        canceled=(
            *("canceled", "canceledauction", "canceledselftradeprevention", "canceledioc"),
            *("canceledfok", "canceledmarketprotection", "canceledpostonly"),
        ),
        filled=("filled", "expired", "rejected"),
        fires=("timeOfExpirySeconds",),
        unit_ms=1_000,
    ),
    "whitebit": _of(
        ("BTC_USDT", 0),
        (),
        "orderId",
        (),
        ids=(("id",), ("orderId",), ("orderId",)),
        page=100,
        fires=("cancellationTime",),
        unit_ms=1_000,
        now=("startTime",),
    ),
    "woo": _of(
        ("data",),
        None,
        "orderId",
        ("data", "rows"),
        (("success",), True),
        canceled=("cancelled",),
        filled=("filled", "completed", "rejected"),
        page=500,
        fires=("data", "expectedTriggerTime"),
        now=("timestamp",),
    ),
    "htx": _of(
        ("data",),
        None,
        "id",
        ("data",),
        (("status",), "ok"),
        status=("state",),
        canceled=("canceled", "partial-canceled"),
        filled=("filled", "rejected"),
        page=500,
        fires=("data", "triggerTime"),
        now=("data", "currentTime"),
    ),
    "mexc": _of((), (), "orderId", (), canceled=("canceled", "partially_canceled")),
    "bitget": _of(
        ("data", 0),
        None,
        "orderId",
        ("data",),
        (("code",), "00000"),
        canceled=("cancelled",),
        page=100,
    ),
    "bingx": _of(
        ("data",),
        ("data",),
        "orderId",
        ("data", "orders"),
        (("code",), 0),
        canceled=("canceled", "cancelled"),
        filled=("filled", "failed"),
        fires=("data", "triggerTime"),
        unit_ms=1_000,
    ),
    "coinbase": _of(
        ("order",),
        ("results", 0),
        "order_id",
        ("orders",),
        (("has_next",), False),
        canceled=("cancelled",),
        filled=("filled", "expired", "failed"),
        page=100,
    ),
    "krakenfutures": _of(
        ("orders", 0),
        ("cancelStatus",),
        "order_id",
        ("openOrders",),
        (("result",), "success"),
        ids=(("order", "orderId"), ("order_id",), ("order_id",)),
        canceled=("cancelled",),
        filled=("filled", "fully_executed", "rejected", "trigger_activation_failure"),
        fires=("status", "triggerTime"),
        now=("status", "currentTime"),
    ),
    "phemex": _of(
        ("data", "rows", 0),
        ("data",),
        "orderID",
        ("data",),
        (("code",), 0),
        status=("ordStatus",),
        filled=("filled", "rejected"),
    ),
    "bitfinex": _of(
        (0,),
        (4,),
        0,
        (),
        status=(13,),
        canceled=("canceled", "postonly canceled", "ioc canceled", "fillorkill canceled"),
        filled=("executed", "insufficient", "rsn_dust", "rsn_pause"),
    ),
    "cryptocom": _of(
        ("result",),
        ("result",),
        "order_id",
        ("result", "data"),
        (("code",), 0),
        filled=("filled", "rejected", "expired"),
    ),
}
"""By id, what its documents say."""


def at(value: Any, path: Path) -> Any:
    """Follow a path; None where it leads nowhere."""
    for key in path:
        if isinstance(key, int) != isinstance(value, list):
            return None
        if isinstance(key, str) and not isinstance(value, dict):
            return None
        value = (
            value[key] if key in (value if isinstance(value, dict) else range(len(value))) else None
        )
    return value


def is_id(value: object, order_id: str) -> bool:
    """Return whether a value is an id, as text or number."""
    return value == order_id or (type(value) is int and str(value) == order_id)


def succeeded(shape: Shape, body: Any) -> bool:
    """Return whether a reply has what a success has."""
    if shape.ok is None or shape.ok[0] == ("has_next",):
        return True
    value = at(body, shape.ok[0])
    return value in (shape.ok[1], str(shape.ok[1])) and value is not False


def closes(name: str, body: Any, order_id: str, *, asked: bool) -> set[str]:
    """Return what a reply reports of an order: `canceled`, `filled`, or nothing.

    Args:
        name: An id of ccxt.
        body: A reply's JSON.
        order_id: Of the order.
        asked: The order was asked about, not canceled.
    """
    shape = SHAPES.get(name)
    if shape is None:
        return (
            {"canceled", "filled"} if any(_ended(row) for row in _rows(body, order_id)) else set()
        )
    place = shape.order if asked else shape.cancel
    if place is None or not succeeded(shape, body):
        return set()
    row = at(body, place)
    if not is_id(at(row, shape.ids[0] if asked else shape.ids[1]), order_id):
        return set()
    status = at(row, shape.status)
    words = status.strip().casefold().split(" ") if isinstance(status, str) else [""]
    both = {"canceled": shape.canceled, "filled": shape.filled}
    return {end for end, known in both.items() if {words[0], " ".join(words)} & {*known}}


def empty(name: str, body: Any, order_ids: set[str]) -> bool:
    """Return whether a list may show that no order of a pair is open but these."""
    shape = SHAPES.get(name)
    if shape is None:
        return False
    if name == "phemex" and at(body, ("code",)) == 10002:
        return True
    rows = at(body, shape.rows)
    if not isinstance(rows, list) or len(rows) >= shape.page or not succeeded(shape, body):
        return False
    if name == "coinbase" and body.get("has_next") is not False:
        return False
    named = [at(row, shape.ids[2]) for row in rows]
    return all(type(each) in (str, int) for each in named) and order_ids <= set(map(str, named))


def left_ms(name: str, body: Any, received_ms: int) -> int:
    """Return after how long a timer fires by a reply.

    Args:
        name: An id of ccxt.
        body: The reply's JSON.
        received_ms: When it was received, in Unix ms: its clock, if it does not state one.
    """
    shape = SHAPES[name]
    now = at(body, shape.now) if shape.now else None
    now_ms = received_ms if now is None else _moment_ms(now, shape.unit_ms)
    return _moment_ms(at(body, shape.fires), shape.unit_ms) - now_ms


def is_off(name: str, body: Any, received_ms: int) -> bool:
    """Return whether a reply states no moment at which a timer fires, or one that is past."""
    value = at(body, SHAPES[name].fires)
    return value in (None, "", "null") or left_ms(name, body, received_ms) <= SLACK_MS


def _moment_ms(value: Any, unit_ms: int) -> int:
    if isinstance(value, str) and "T" in value:
        return round(datetime.fromisoformat(value).timestamp() * 1_000)
    return int(value) * unit_ms


def has_timer(name: str, body: Any) -> bool:
    """Return whether a reply is that of a timer."""
    shape = SHAPES[name]
    place = at(body, shape.fires[:-1])
    return isinstance(place, dict) and shape.fires[-1] in place


def _rows(value: Any, order_id: str) -> Iterator[Any]:
    """Yield every object and list that holds an order's id, or is named by it."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if any(is_id(each, order_id) for each in inner):
        yield value
    if isinstance(value, dict) and order_id in value:
        yield value[order_id]
    for each in inner:
        yield from _rows(each, order_id)


def _ended(row: Any) -> bool:
    """Return whether a row has a word of an order that is not open, or a code for one."""
    words = json.dumps(row).casefold()
    return any(word in words for word in CLOSED) or any(
        type(each) is int for each in (row.values() if isinstance(row, dict) else ())
    )
