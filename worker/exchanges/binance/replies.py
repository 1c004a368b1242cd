"""What Binance's replies mean.

A success carries the order. An error is `{"code": -2011, "msg": "…"}`; some
codes stand for several fates of an order, and those prove none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.exchanges.base import MINUTE_MS, retry_after_ms
from worker.exchanges.checks import NUMBER_ID, PAIR, SIDE
from worker.exchanges.replies import (
    at,
    describe,
    id_text,
    in_scope,
    is_number,
    read_json,
    refused,
    same_id,
    text_at,
    unknown,
    word_at,
)
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    CountdownSet,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.model.wire import Reply

OK: Final = 200
BAD_REQUEST: Final = 400
FIREWALL: Final = 403
TIMED_OUT: Final = 408
BANNED: Final = 418
THROTTLED: Final = 429
SERVER_ERRORS: Final = range(500, 600)
BAN_MS: Final = 2 * MINUTE_MS
BAN_MAX_MS: Final = 3 * 24 * 60 * MINUTE_MS
"""The shortest and the longest ban: "2 minutes to 3 days"."""

CLOSED: Final[Mapping[str, Outcome]] = {
    "canceled": Outcome.CANCELED,
    "filled": Outcome.GONE,
    "expired": Outcome.GONE,
    "expired_in_match": Outcome.GONE,
    "rejected": Outcome.GONE,
}
STATES: Final[Mapping[str, OrderState]] = {
    "new": OrderState.OPEN,
    "partially_filled": OrderState.OPEN,
    "pending_new": OrderState.OPEN,
    "canceled": OrderState.CANCELED,
    # Not open, and by no cancel: the same to the caller as filled.
    "filled": OrderState.FILLED,
    "expired": OrderState.FILLED,
    "expired_in_match": OrderState.FILLED,
    "rejected": OrderState.FILLED,
}
UNKNOWN_ORDER: Final = -2011
NO_SUCH_ORDER: Final = -2013
ARCHIVED: Final = -2026
CLOCK: Final = -1021
BY_CODE: Final[Mapping[int, Outcome]] = {
    -1003: Outcome.THROTTLED,
    -1002: Outcome.UNAUTHORIZED,
    -1022: Outcome.UNAUTHORIZED,
    -2014: Outcome.UNAUTHORIZED,
    -2015: Outcome.UNAUTHORIZED,
    -1121: Outcome.REJECTED,
    -1008: Outcome.UNAVAILABLE,
}
FAILED: Final = (
    "service unavailable.",
    "internal error; unable to process your request. please try again.",
)
"""503s of the futures that say that nothing was done."""


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    if reply.status == OK:
        answer = _read(command, body)
        return answer or unknown(reply, body, "not the documented reply to what was asked")
    if reply.status == BANNED:
        wait_ms = retry_after_ms(reply.headers, longest_ms=BAN_MAX_MS) or BAN_MS
        detail = describe(reply, body)
        return Unproven(Outcome.THROTTLED, detail, retry_after_ms=wait_ms, banned=True)
    if reply.status == FIREWALL:
        return Unproven(Outcome.THROTTLED, describe(reply, body))
    code = at(body, "code")
    if type(code) is not int or code >= 0:
        return _without_code(reply, body)
    return _read_error(command, reply, body, code)


def _without_code(reply: Reply, body: object) -> Unproven:
    """Read a status that comes without one of the documented codes.

    "HTTP 5XX … the execution status is UNKNOWN and could have been a success."
    """
    answer = refused(reply, body)
    if reply.status in SERVER_ERRORS and text_at(body, "msg").casefold() not in FAILED:
        return Unproven(Outcome.UNKNOWN, answer.detail, retry_after_ms=answer.retry_after_ms)
    return answer


def _read_error(command: Command, reply: Reply, body: object, code: int) -> Answer:
    detail = describe(reply, body)
    if code == CLOCK:
        return Unproven(Outcome.UNAVAILABLE, detail, clock_refused=True)
    if code == UNKNOWN_ORDER and isinstance(command, CancelOrder | CancelScope):
        # Spot uses the code for orders that may not be canceled, too.
        missing = text_at(body, "msg").casefold() == "unknown order sent."
        if missing and isinstance(command, CancelScope):
            return ScopeCanceled(0)
        return Unproven(Outcome.UNKNOWN, detail, missing=missing)
    if code in (NO_SUCH_ORDER, ARCHIVED) and isinstance(command, QueryOrder):
        state = OrderState.MISSING if code == NO_SUCH_ORDER else OrderState.FILLED
        return OrderReport(state, detail)
    outcome = BY_CODE.get(code)
    if outcome is None:
        return _without_code(reply, body)
    wait_ms = refused(reply, body).retry_after_ms if outcome is Outcome.THROTTLED else None
    return Unproven(outcome, detail, retry_after_ms=wait_ms)


ALGO_STATES: Final[Mapping[str, OrderState]] = {
    "new": OrderState.OPEN,
    "canceled": OrderState.CANCELED,
    # Once triggered and over, or never to be triggered: not open, and by no cancel.
    "finished": OrderState.FILLED,
    "expired": OrderState.FILLED,
    "rejected": OrderState.FILLED,
}
"""One that is being triggered, or has been, is an order of the book: nothing is proven."""
STOP_WORDS: Final = ("stop", "take_profit")
"""What the types of stop orders have in their names, trailing ones too."""


def _read(command: Command, body: object) -> Answer | None:
    match command:
        case CancelOrder(stop=True) if at(body, "algoId") is not None:
            named = same_id(at(body, "algoId"), command.order_id)
            return CancelAccepted() if named and id_text(at(body, "code")) == str(OK) else None
        case QueryOrder(stop=True) if at(body, "algoId") is not None:
            named = same_id(at(body, "algoId"), command.order_id)
            state = ALGO_STATES.get(word_at(body, "algoStatus"))
            same = command.pair is not None and _same_pair(body, command.pair)
            return OrderReport(state) if state and named and same else None
        case ListStopOrders() if isinstance(body, list):
            return _read_stops(command, body)
        case CancelOrder():
            row = _report_of(command, body)
            outcome = CLOSED.get(word_at(row, "status"))
            return Closed(outcome) if outcome else None
        case QueryOrder():
            row = body if _names(command, body) else None
            state = STATES.get(word_at(row, "status"))
            return OrderReport(state) if state else None
        case CancelScope():
            if isinstance(body, list):
                return _scope_of(body)
            return ScopeCanceled() if is_number(at(body, "code"), OK) else None
        case ListOpenOrders() if isinstance(body, list):
            return _read_list(command, body)
        case SetCountdown(pairs=(pair,), countdown_ms=countdown_ms):
            same_time = id_text(at(body, "countdownTime")) == str(countdown_ms)
            return CountdownSet() if _same_pair(body, pair) and same_time else None
        case _:
            return None


def _report_of(command: CancelOrder, body: object) -> object:
    """Return what a cancel reports of the order; a leg is reported within its order list."""
    reports = at(body, "orderReports")
    rows = reports if isinstance(reports, list) else [body]
    found = [row for row in rows if _names(command, row)]
    return found[0] if len(found) == 1 else None


def _scope_of(rows: list[object]) -> ScopeCanceled:
    """Return what the cancel of a symbol's orders has canceled, legs of order lists included.

    A row that cannot be read may be of any order: then nothing is said of any.
    """
    legs: list[object] = []
    for row in rows:
        reports = at(row, "orderReports")
        legs += reports if isinstance(reports, list) else [row]
    order_ids: dict[str, None] = {}
    for leg in legs:
        order_id, outcome = id_text(at(leg, "orderId")), CLOSED.get(word_at(leg, "status"))
        if not NUMBER_ID.pattern.fullmatch(order_id) or outcome is None:
            return ScopeCanceled()
        if outcome is Outcome.CANCELED:
            order_ids[order_id] = None
    return ScopeCanceled(len(order_ids), tuple(order_ids))


def _names(command: CancelOrder | QueryOrder, row: object) -> bool:
    """Return whether a row is about the order: ids are unique for a symbol only.

    In the reply to a cancel on spot, `clientOrderId` is the cancel's own id, and
    `origClientOrderId` is the order's.
    """
    if not command.pair or not _same_pair(row, command.pair):
        return False
    if not command.client_order_id:
        return same_id(at(row, "orderId"), command.order_id)
    original = isinstance(command, CancelOrder) and at(row, "origClientOrderId") is not None
    key = "origClientOrderId" if original else "clientOrderId"
    return text_at(row, key) == command.client_order_id


def _same_pair(row: object, pair: str) -> bool:
    return text_at(row, "symbol").casefold() == pair.casefold()


def _read_list(scope: ListOpenOrders, rows: list[object]) -> OpenOrders:
    """Take the open orders of the scope; a row that cannot be read leaves the list incomplete.

    There are no pages, and a symbol that the exchange does not know is refused (-1121).
    """
    orders: list[OpenOrder] = []
    complete = True
    for row in rows:
        order_id, pair = id_text(at(row, "orderId")), text_at(row, "symbol")
        side, state = word_at(row, "side"), STATES.get(word_at(row, "status"))
        named = NUMBER_ID.pattern.fullmatch(order_id) and PAIR.fullmatch(pair)
        if not (named and state and SIDE.fullmatch(side)):
            complete = False
        if not named or state not in (None, OrderState.OPEN):
            continue
        client_id = text_at(row, "clientOrderId")
        if scope.client_id_prefix and not client_id:
            complete = False
        elif in_scope(scope, pair, side, client_id):
            stop = any(word in word_at(row, "type") for word in STOP_WORDS)
            known = side if SIDE.fullmatch(side) else None
            orders.append(OpenOrder(order_id, pair, known, stop=stop))
    return OpenOrders(tuple(orders), complete)


def _read_stops(scope: ListStopOrders, rows: list[object]) -> OpenOrders:
    """Take the open algo orders of the scope, likewise; an unknown status may be an open one."""
    orders: list[OpenOrder] = []
    complete = True
    for row in rows:
        order_id, pair = id_text(at(row, "algoId")), text_at(row, "symbol")
        side, state = word_at(row, "side"), ALGO_STATES.get(word_at(row, "algoStatus"))
        client_id = text_at(row, "clientAlgoId")
        named = NUMBER_ID.pattern.fullmatch(order_id) and PAIR.fullmatch(pair)
        if not (named and state and SIDE.fullmatch(side) and client_id):
            complete = False
        elif state is OrderState.OPEN and in_scope(scope, pair, side, client_id):
            orders.append(OpenOrder(order_id, pair, side, stop=True))
    return OpenOrders(tuple(orders), complete)
