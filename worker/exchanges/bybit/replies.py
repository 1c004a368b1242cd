"""What Bybit's replies mean: `{"retCode": 0, "retMsg": "OK", "result": {…}, "time": …}`.

"The acknowledgement of an cancel order request indicates that the request was sucessfully
accepted": a success proves nothing. Errors come with HTTP 200 as well, and some of their codes
name the one fate of an order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from worker.exchanges.base import MINUTE_MS, IdForm
from worker.exchanges.pair_rows import read_pairs
from worker.exchanges.replies import (
    DETAIL_MAX_CHARS,
    at,
    describe,
    id_text,
    read_json,
    readable,
    refused,
    same_id,
    text_at,
    unknown,
    word_at,
)
from worker.exchanges.rows import Rows, not_known
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
)
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    PairList,
    ScopeCanceled,
    Unproven,
)
from worker.model.wire import Reply

OK: Final = 200
FORBIDDEN: Final = 403
BAN_MS: Final = 10 * MINUTE_MS
""""Terminate all HTTP sessions and wait for at least 10 minutes"."""
RESET: Final = "x-bapi-limit-reset-timestamp"
RESET_MAX_MS: Final = 10_000
"""Limits are for a second: a later reset is a clock that is wrong."""
LINEAR: Final = "linear"
SPOT: Final = "spot"
SETTLED: Final = ("USDT", "USDC")
""""For linear, either symbol, baseCoin, settleCoin is required": all linear contracts are
those of these coins, listed one coin after the other."""
PAGE_ROWS: Final = 50
PAIRS_PAGE_ROWS: Final = 500
STATUSES: Final = ("", "PreLaunch", "Delivering")
"""Of the contracts that are listed one status after the other; spot has the first alone, which
stands for those that trade."""
ORDER_ID: Final = IdForm(re.compile(r"[A-Za-z0-9-]{1,64}"), "letters, digits and -", longest=64)
STATES: Final[Mapping[str, OrderState]] = {
    "new": OrderState.OPEN,
    "partiallyfilled": OrderState.OPEN,
    "untriggered": OrderState.OPEN,
    "filled": OrderState.FILLED,
    "cancelled": OrderState.CANCELED,
    "partiallyfilledcanceled": OrderState.CANCELED,
    # Not open, and not proven to be by a cancel: the same to the caller as filled.
    "rejected": OrderState.FILLED,
    "deactivated": OrderState.FILLED,
}
ROWS: Final = Rows(
    order_id="orderId",
    pair="symbol",
    status="orderStatus",
    client_id="orderLinkId",
    stop="stopOrderType",
    plain=frozenset({"", "unknown"}),
    ids=ORDER_ID,
    states=STATES,
)
STOP_FILTERS: Final[Mapping[str, str]] = {"stop": "StopOrder", "tpslorder": "tpslOrder"}
"""What the cancel of a spot order must name, by the kind in its row."""
FATES: Final[Mapping[int, Outcome]] = {
    110010: Outcome.CANCELED,
    170142: Outcome.CANCELED,
    170139: Outcome.GONE,
}
"""Codes with which the cancel of one order is refused that name its one fate."""
NOT_THERE: Final = frozenset({110001, 110008, 170143, 170213})
"""Filled, canceled, or never there: the code does not say."""
CLOCK: Final = 10002
BY_CODE: Final[Mapping[int, Outcome]] = {
    10000: Outcome.UNKNOWN,
    10001: Outcome.REJECTED,
    10003: Outcome.UNAUTHORIZED,
    10004: Outcome.UNAUTHORIZED,
    10005: Outcome.UNAUTHORIZED,
    10006: Outcome.THROTTLED,
    10007: Outcome.UNAUTHORIZED,
    10010: Outcome.UNAUTHORIZED,
    10016: Outcome.UNAVAILABLE,
    10429: Outcome.THROTTLED,
    33004: Outcome.UNAUTHORIZED,
    # The order is being processed, or the exchange has not finished: it is asked.
    110079: Outcome.UNKNOWN,
    170191: Outcome.UNKNOWN,
    170212: Outcome.UNKNOWN,
    170121: Outcome.REJECTED,
    170147: Outcome.UNKNOWN,
    170222: Outcome.THROTTLED,
}


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    code = at(body, "retCode")
    if reply.status == FORBIDDEN:
        return Unproven(
            Outcome.THROTTLED, describe(reply, body), retry_after_ms=BAN_MS, banned=True
        )
    if reply.status != OK or type(code) is not int:
        return _by_status(reply, body)
    if code:
        return _read_error(command, reply, body, code)
    answer = _read(command, at(body, "result"))
    return answer or unknown(reply, body, "not the documented reply to what was asked")


def _by_status(reply: Reply, body: object) -> Unproven:
    answer = refused(reply, body)
    if answer.outcome is not Outcome.THROTTLED or answer.retry_after_ms is not None:
        return answer
    return Unproven(answer.outcome, answer.detail, retry_after_ms=_reset_ms(reply, body))


def _read_error(command: Command, reply: Reply, body: object, code: int) -> Answer:
    detail = readable(f"{code} {text_at(body, 'retMsg')}")[:DETAIL_MAX_CHARS]
    if code == CLOCK:
        return Unproven(Outcome.UNAVAILABLE, detail, clock_refused=True)
    if isinstance(command, CancelOrder) and code in FATES:
        return Closed(FATES[code], detail)
    if isinstance(command, CancelOrder) and code in NOT_THERE:
        return not_known(command, detail)
    outcome = BY_CODE.get(code, Outcome.UNKNOWN)
    wait_ms = _reset_ms(reply, body) if outcome is Outcome.THROTTLED else None
    return Unproven(outcome, detail, retry_after_ms=wait_ms)


def _reset_ms(reply: Reply, body: object) -> int | None:
    """Return how long until the limit is reset, by the exchange's own clock; None if unknown."""
    text, now = reply.headers.get(RESET, "").strip(), id_text(at(body, "time"))
    if not (_is_time(text) and _is_time(now)):
        return None
    wait_ms = int(text) - int(now)
    return wait_ms if 0 <= wait_ms <= RESET_MAX_MS else None


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15  # noqa: PLR2004  Unix ms


def _read(command: Command, result: object) -> Answer | None:
    rows = at(result, "list")
    match command:
        case CancelOrder() if _names(result, command):
            return CancelAccepted()
        case CancelScope() if isinstance(rows, list) and at(result, "success") in (None, "1"):
            return ScopeCanceled()
        case QueryOrder(pair=str(pair)) if isinstance(rows, list):
            spot = text_at(result, "category") == SPOT
            return _report(command, rows, pair, spot=spot)
        case ListOpenOrders() if isinstance(rows, list):
            return _read_list(command, result, rows)
        case ListPairs() if isinstance(rows, list):
            return _read_pairs(command, result, rows)
        case _:
            return None


def _read_list(scope: ListOpenOrders, result: object, rows: list[object]) -> OpenOrders:
    """Take the open orders of the scope, and the cursor of the page that follows a full one."""
    found, cursor = ROWS.read(scope, rows), at(result, "nextPageCursor")
    if len(rows) < PAGE_ROWS:
        cursor = ""
    category = text_at(result, "category")
    if not isinstance(cursor, str) or not (category or scope.pair):
        return replace(found, complete=False)
    if scope.pair or category != LINEAR:
        return replace(found, next=cursor)
    coin = scope.after.partition(":")[0] or SETTLED[0]
    later = SETTLED[SETTLED.index(coin) + 1 :] if coin in SETTLED else ()
    page = coin if cursor else later[0] if later else ""
    return replace(found, next=f"{page}:{cursor}" if page else "")


def _read_pairs(command: ListPairs, result: object, rows: list[object]) -> PairList | None:
    """Take a page of the instruments of one status; another page or status may follow."""
    status, _, _ = command.after.partition(":")
    found = PairList(()) if command.after and not rows else read_pairs(rows, "symbol")
    if found is None:
        return None
    if cursor := text_at(result, "nextPageCursor"):
        return replace(found, next=f"{status}:{cursor}")
    later = STATUSES[STATUSES.index(status) + 1 :]
    more = bool(later) and text_at(result, "category") != SPOT
    return replace(found, next=f"{later[0]}:" if more else "")


def _report(
    command: QueryOrder, rows: list[object], pair: str, *, spot: bool
) -> OrderReport | None:
    if not rows:
        where = "in its history" if command.past else "among its open and newest closed ones"
        return OrderReport(OrderState.MISSING, f"the exchange lists no such order {where}")
    (row, *others) = rows
    if others or not _names(row, command) or text_at(row, "symbol").casefold() != pair.casefold():
        return None
    state = STATES.get(word_at(row, "orderStatus"))
    if state is None:
        return None
    named = spot and state is OrderState.OPEN
    kind = STOP_FILTERS.get(word_at(row, "stopOrderType"), "") if named else ""
    return OrderReport(state, stop_kind=kind)


def _names(row: object, command: CancelOrder | QueryOrder) -> bool:
    """Return whether a row is about the order that was asked for."""
    if command.client_order_id:
        return text_at(row, "orderLinkId") == command.client_order_id
    return same_id(at(row, "orderId"), command.order_id)
