"""What the replies of Indodax's Trade API 2.0 mean.

One document gives errors as `{"code": -2013, "msg": "…"}`, the other as
`{"code": 1112, "error": "…"}`; both are read. A success may be wrapped in `data`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from worker.exchanges.checks import PAIR, PLAIN_ID, SIDE
from worker.exchanges.replies import (
    at,
    describe,
    id_text,
    in_scope,
    read_json,
    refused,
    same_id,
    text_at,
    unknown,
    word_at,
)
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import (
    Answer,
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
OK: Final = 200
NOT_FOUND: Final = 404
STATES: Final[Mapping[str, OrderState]] = {
    "new": OrderState.OPEN,
    "partially_filled": OrderState.OPEN,
    "filled": OrderState.FILLED,
    "cancelled": OrderState.CANCELED,
    # Not open, and by no cancel: the same to the caller as filled.
    "rejected": OrderState.FILLED,
}
CLOSED: Final[Mapping[str, Outcome]] = {
    # The document's example has no state: the reply is the order that was canceled.
    "": Outcome.CANCELED,
    "cancelled": Outcome.CANCELED,
    "filled": Outcome.GONE,
    "rejected": Outcome.GONE,
}
NO_SUCH_ORDER: Final = frozenset({-2013, 1112})
CANCEL_REFUSED: Final = -2011
CLOCK: Final = frozenset({-1021, 1002})
NONCE: Final = 1003
SIGNATURE_OR_NONCE: Final = -1022
BY_CODE: Final[Mapping[int, Outcome]] = {
    -1001: Outcome.UNAVAILABLE,
    1000: Outcome.UNAVAILABLE,
    -1016: Outcome.UNAVAILABLE,
    -1003: Outcome.THROTTLED,
    -1002: Outcome.UNAUTHORIZED,
    -2014: Outcome.UNAUTHORIZED,
    -2015: Outcome.UNAUTHORIZED,
    1001: Outcome.UNAUTHORIZED,
    **dict.fromkeys(range(1101, 1107), Outcome.UNAUTHORIZED),
    -1121: Outcome.REJECTED,
    -1102: Outcome.REJECTED,
    1108: Outcome.REJECTED,
    1109: Outcome.REJECTED,
    1110: Outcome.REJECTED,
}
_FLOOR: Final = re.compile(r"must be greater than ([0-9]{1,18})(?![0-9])")


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    code = at(body, "code")
    if type(code) is int and code not in (0, OK):
        return _read_error(command, reply, body, code)
    if reply.status != OK:
        return refused(reply, body)
    answer = _read(command, _content(body))
    return answer or unknown(reply, body, "not the documented reply to what was asked")


def _content(body: object) -> object:
    """Return what a success holds, without its wrapper."""
    wrapped = at(body, "data")
    if text_at(body, "error") or text_at(body, "msg"):
        return None
    return body if wrapped is None else wrapped


def _read_error(command: Command, reply: Reply, body: object, code: int) -> Answer:
    detail = describe(reply, body)
    message = f"{text_at(body, 'msg')}{text_at(body, 'error')}"
    unknown_order = code in NO_SUCH_ORDER and reply.status == NOT_FOUND
    if unknown_order and isinstance(command, QueryOrder):
        return OrderReport(OrderState.MISSING, detail)
    if code == CANCEL_REFUSED and message.casefold().startswith("unknown order"):
        unknown_order = True
    if unknown_order:  # filled, canceled, or one that was never there
        return Unproven(Outcome.UNKNOWN, detail, missing=isinstance(command, CancelOrder))
    if code in CLOCK:
        return Unproven(Outcome.UNAVAILABLE, detail, clock_refused=True)
    if code == NONCE or (code == SIGNATURE_OR_NONCE and "nonce" in message.casefold()):
        found = _FLOOR.search(message)
        floor = int(found[1]) if found else 0
        return Unproven(Outcome.UNAVAILABLE, detail, nonce_floor=floor)
    if code == SIGNATURE_OR_NONCE:
        return Unproven(Outcome.UNAUTHORIZED, detail)
    outcome = BY_CODE.get(code)
    if outcome is None:
        # Among them -1000: "unknown", or a request that was sent twice.
        return refused(reply, body) if reply.status != OK else Unproven(Outcome.UNKNOWN, detail)
    wait_ms = refused(reply, body).retry_after_ms if outcome is Outcome.THROTTLED else None
    return Unproven(outcome, detail, retry_after_ms=wait_ms)


def _read(command: Command, found: object) -> Answer | None:
    match command:
        case CancelOrder() if _names(command, found):
            outcome = CLOSED.get(word_at(found, "status"))
            return Closed(outcome) if outcome and _no_odd_status(found) else None
        case QueryOrder() if _names(command, found):
            state = STATES.get(word_at(found, "status"))
            return OrderReport(state) if state else None
        case ListOpenOrders() if isinstance(found, list):
            return _read_list(command, found)
        case _:
            return None


def _no_odd_status(found: object) -> bool:
    return at(found, "status") is None or bool(word_at(found, "status"))


def _names(command: CancelOrder | QueryOrder, row: object) -> bool:
    """Return whether a row is about the order that was asked for, and of its pair."""
    symbol = text_at(row, "symbol").replace("_", "").casefold()
    if symbol and symbol != (command.pair or "").replace("_", "").casefold():
        return False
    if not command.client_order_id:
        return same_id(at(row, "orderId"), command.order_id)
    original = at(row, "origClientOrderId") is not None
    key = "origClientOrderId" if original else "clientOrderId"
    return text_at(row, key) == command.client_order_id


def _read_list(scope: ListOpenOrders, rows: list[object]) -> OpenOrders:
    """Take the open orders of the scope; a row that cannot be read leaves the list incomplete.

    No document mentions pages, nor shows a row: where a client order id decides, a row without
    one cannot be read.
    """
    orders: list[OpenOrder] = []
    complete = True
    for row in rows:
        order_id, pair = id_text(at(row, "orderId")), text_at(row, "symbol").upper()
        side, state = word_at(row, "side"), STATES.get(word_at(row, "status"))
        named = PLAIN_ID.pattern.fullmatch(order_id) and PAIR.fullmatch(pair)
        client_id = text_at(row, "clientOrderId")
        known = bool(client_id) or not scope.client_id_prefix
        if not (named and SIDE.fullmatch(side) and state and known):
            complete = False
        elif state is OrderState.OPEN and in_scope(scope, pair, side, client_id):
            orders.append(OpenOrder(order_id, pair, side))
    return OpenOrders(tuple(orders), complete)
