"""What KuCoin's replies mean: `{"code": "200000", "data": …}`, or a code and a `msg`.

Code 400100 is any parameter that the exchange does not take; its text says which. "Order
does not exist or not allowed to be canceled" stands for several fates, and proves none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Final

from worker.exchanges.base import MINUTE_MS
from worker.exchanges.checks import PAIR, PLAIN_ID, SIDE
from worker.exchanges.kucoin.timer import read_timer
from worker.exchanges.pair_rows import read_pairs
from worker.exchanges.replies import (
    DETAIL_MAX_CHARS,
    at,
    id_text,
    in_scope,
    read_json,
    readable,
    refused,
    respelled,
    same_id,
    text_at,
    unknown,
    word_at,
)
from worker.exchanges.rows import not_known
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListPairs,
    ListStopOrders,
    QueryOrder,
    ReadTimer,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.model.wire import Reply

SUCCESS: Final = "200000"
PARAMETER: Final = "400100"
CLOCK: Final = "400002"
READ: Final = (200, 400, 401, 403, 404, 429)
"""Statuses whose codes are read; another is read by itself."""
RESET_MAX_MS: Final = MINUTE_MS
"""A limit's window is 30 s; a longer wait is a mistake."""
STOP_ROWS: Final = 500
"""Most stop orders in one page."""
BY_CODE: Final[Mapping[str, Outcome]] = {
    **{f"40000{n}": Outcome.UNAUTHORIZED for n in (1, 3, 4, 5, 6, 7)},
    "429000": Outcome.THROTTLED,
    "900001": Outcome.REJECTED,
}
OCO: Final = "oco-"
"""Before the id of a pair of orders, and before the number of a page of these."""
STOP_STATES: Final[Mapping[str, OrderState]] = {
    "new": OrderState.OPEN,
    "canceled": OrderState.CANCELED,
    "cancelled": OrderState.CANCELED,
}
OCO_STATES: Final[Mapping[str, OrderState]] = {**STOP_STATES, "done": OrderState.FILLED}
"""One that was triggered is an order of the book: of that nothing is proven."""
_LETTERS: Final = re.compile(r"[^a-z]")
_NO_ORDER: Final = ("ordernotexist", "orderdoesnotexist")


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    code = text_at(body, "code")
    if reply.status == 200 and code == SUCCESS:  # noqa: PLR2004  HTTP OK
        answer = _read(command, at(body, "data"))
        return answer or unknown(reply, body, "not the documented reply to what was asked")
    if reply.status not in READ or not code or code == SUCCESS:
        return refused(reply, body)
    return _read_error(command, reply, body, code)


def _read_error(command: Command, reply: Reply, body: object, code: str) -> Answer:
    words = text_at(body, "msg")
    detail = readable(f"HTTP {reply.status}: {code} {words}")[:DETAIL_MAX_CHARS]
    if code == CLOCK:
        return Unproven(Outcome.UNAVAILABLE, detail, clock_refused=True)
    if code == PARAMETER:
        plain = _LETTERS.sub("", words.casefold())
        if plain.startswith(_NO_ORDER) and isinstance(command, CancelOrder | QueryOrder):
            return not_known(command, detail)
        about_pair = plain.startswith("symbol")
        return Unproven(Outcome.REJECTED if about_pair else Outcome.UNKNOWN, detail)
    outcome = BY_CODE.get(code)
    if outcome is None:
        answer = refused(reply, body)
        return Unproven(answer.outcome, detail, retry_after_ms=answer.retry_after_ms)
    wait_ms = _reset_ms(reply) if outcome is Outcome.THROTTLED else None
    return Unproven(outcome, detail, retry_after_ms=wait_ms)


def _reset_ms(reply: Reply) -> int | None:
    """Return the ms until the window of weights ends; None if the exchange is busy."""
    text = reply.headers.get("gw-ratelimit-reset", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 9:  # noqa: PLR2004  ms
        return refused(reply, None).retry_after_ms
    return min(int(text), RESET_MAX_MS)


def _read(command: Command, data: object) -> Answer | None:
    match command:
        case CancelOrder(stop=True) | QueryOrder(stop=True):
            return _read_stop(command, data)
        case CancelOrder():
            return _read_cancel(command, data)
        case QueryOrder():
            return _read_order(command, data)
        case CancelScope(pair=str()):
            return ScopeCanceled() if data == "success" else None
        case CancelScope():
            failed = at(data, "failedSymbols")
            return ScopeCanceled() if isinstance(failed, list) and not failed else None
        case ListPairs():
            return read_pairs(data, "symbol", parts=("baseCurrency", "quoteCurrency"))
        case ListOpenOrders():
            return _read_open(command, data)
        case ListStopOrders():
            return _read_stops(command, data)
        case SetCountdown() | ReadTimer():
            return read_timer(command, data)
        case _:
            return None


def _read_cancel(command: CancelOrder, data: object) -> Answer | None:
    """Read what a synchronous cancel states of the order."""
    if not _names(command, data, "orderId"):
        return None
    status = word_at(data, "status")
    if status == "open":
        return CancelAccepted()
    origin, dealt, canceled = (
        _amount(data, key) for key in ("originSize", "dealSize", "canceledSize")
    )
    if status != "done" or origin is None or dealt is None or canceled is None:
        return None
    if canceled > 0:
        return Closed(Outcome.CANCELED)
    return Closed(Outcome.GONE) if dealt == origin > 0 else None


def _read_order(command: QueryOrder, data: object) -> Answer | None:
    if data is None:
        return OrderReport(OrderState.MISSING, "the exchange knows no such order")
    pair = command.pair or ""
    if not _names(command, data, "id") or text_at(data, "symbol").casefold() != pair.casefold():
        return None
    match at(data, "active"), at(data, "cancelExist"):
        case True, bool():
            return OrderReport(OrderState.OPEN)
        case False, True:
            return OrderReport(OrderState.CANCELED)
        case False, False:
            return OrderReport(OrderState.FILLED)
        case _:
            return None


def _read_stop(command: CancelOrder | QueryOrder, data: object) -> Answer | None:
    """Read what a reply states of a stop order; its cancel is only accepted."""
    oco = command.order_id.startswith(OCO)
    order_id = command.order_id.removeprefix(OCO)
    if isinstance(command, CancelOrder):
        ids = at(data, "cancelledOrderIds")  # of an OCO pair, those of its two orders
        accepted = isinstance(ids, list) and (len(ids) > 0 if oco else order_id in ids)
        return CancelAccepted() if accepted else None
    if data is None:
        return OrderReport(OrderState.MISSING, "the exchange knows no such stop order")
    if not same_id(at(data, "orderId" if oco else "id"), order_id):
        return None
    state = (OCO_STATES if oco else STOP_STATES).get(word_at(data, "status"))
    return OrderReport(state) if state else None


def _names(command: CancelOrder | QueryOrder, data: object, key: str) -> bool:
    """Return whether data are about the order that was asked for."""
    if command.client_order_id:
        return text_at(data, "clientOid") == command.client_order_id
    return same_id(at(data, key), command.order_id)


def _amount(data: object, key: str) -> Decimal | None:
    text = text_at(data, key)
    try:
        amount = Decimal(text) if text.isascii() and len(text) < 64 else None  # noqa: PLR2004
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() and amount >= 0 else None


def _read_open(scope: ListOpenOrders, data: object) -> OpenOrders | None:
    """Read a list of a pair; for all pairs first which pairs have orders, then pair by pair."""
    if scope.pair is not None:
        return _read_list(scope, data) if isinstance(data, list) else None
    if scope.after:
        pair, _, others = scope.after.partition(",")
        found = _read_list(replace(scope, pair=pair), data) if isinstance(data, list) else None
        return replace(found, next=others) if found else None
    symbols = at(data, "symbols")
    if not isinstance(symbols, list):
        return None
    pairs = [symbol for symbol in symbols if isinstance(symbol, str) and PAIR.fullmatch(symbol)]
    return OpenOrders((), complete=len(pairs) == len(symbols), next=",".join(pairs))


def _read_list(scope: ListOpenOrders, rows: list[object]) -> OpenOrders:
    """Take the open orders of a pair; a row that cannot be read leaves the list incomplete."""
    orders: list[OpenOrder] = []
    complete = True
    for row in rows:
        order_id, pair, side, named = _row(row)
        client_id, active = text_at(row, "clientOid"), at(row, "active")
        if not named or not SIDE.fullmatch(side) or type(active) is not bool:
            complete = False
        if not named or active is False:
            continue
        if scope.client_id_prefix and not client_id:
            complete = False
        elif in_scope(scope, pair, side, client_id):
            orders.append(OpenOrder(order_id, pair, side if SIDE.fullmatch(side) else None))
        elif respelled(scope, pair):
            complete = False
    return OpenOrders(tuple(orders), complete)


def _read_stops(scope: ListStopOrders, data: object) -> OpenOrders | None:
    """Take the stop orders of the scope, likewise; the last page is followed by OCO pairs.

    Pages are counted by number, so that an order that is closed moves others to a page that
    was read before: a list of several pages is read, and is not complete.
    """
    rows = at(data, "items")
    if not isinstance(rows, list):
        return None
    oco, total = OCO if scope.after.startswith(OCO) else "", id_text(at(data, "totalPage"))
    page = int(scope.after.removeprefix(OCO) or 1)
    more = total.isascii() and total.isdigit() and len(total) < 6 and page < int(total)  # noqa: PLR2004
    orders: list[OpenOrder] = []
    complete = total in ("0", "1")
    for row in rows:
        order_id, pair, side, named = _row(row, "orderId" if oco else "id")
        states = OCO_STATES if oco else STOP_STATES
        client_id, state = text_at(row, "clientOid"), states.get(word_at(row, "status"))
        known = bool(client_id) or not scope.client_id_prefix
        sided = not scope.side if oco else bool(SIDE.fullmatch(side))
        if not (named and known and state and sided):
            complete = False
        elif state is OrderState.OPEN and in_scope(scope, pair, side, client_id):
            orders.append(OpenOrder(oco + order_id, pair, side or None, stop=True))
    following = f"{oco}{page + 1}" if more else ("" if oco else f"{OCO}1")
    return OpenOrders(tuple(orders), complete, following)


def _row(row: object, key: str = "id") -> tuple[str, str, str, bool]:
    """Return an order's id, pair and side, and whether it can be canceled by these."""
    order_id, pair = text_at(row, key), text_at(row, "symbol")
    named = PLAIN_ID.pattern.fullmatch(order_id) and PAIR.fullmatch(pair)
    return order_id, pair, word_at(row, "side"), bool(named)
