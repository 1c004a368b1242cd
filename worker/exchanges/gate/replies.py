"""What Gate's replies mean: an order or a list, or `{"label": "…", "message": "…"}`.

A cancel's reply is the order, and proves what it says of it. A label that stands for several
fates of an order proves none of them. "5xx means the server encountered some critical
error": whether the request was carried out is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Final

from worker.exchanges.base import RETRY_AFTER_MAX_MS
from worker.exchanges.checks import NUMBER_ID, PAIR
from worker.exchanges.gate.market import Market
from worker.exchanges.gate.rows import Row
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
    text_at,
    unknown,
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
    PairList,
    ScopeCanceled,
    Unproven,
)
from worker.model.wire import Reply

OK: Final = 200
UNAUTHORIZED: Final = 401
THROTTLED: Final = 429
CLIENT_ERRORS: Final = range(400, 500)
SERVER_ERRORS: Final = range(500, 600)
PAGE_ROWS: Final = 100
"""Rows of a full page: the default and, for open orders, the most."""
NOT_FOUND: Final = "ORDER_NOT_FOUND"
ENDED: Final = ("ORDER_CLOSED", "ORDER_FINISHED")
"""No longer open, by a fill or by a cancel: the exchange is asked."""
CANCELED: Final = "ORDER_CANCELLED"
"""The one label that names one fate."""
CLOCK: Final = "REQUEST_EXPIRED"
"""Also for what arrives after its `X-Gate-Exptime`: nothing was done."""
BY_LABEL: Final[Mapping[str, Outcome]] = {
    "INVALID_KEY": Outcome.UNAUTHORIZED,
    "INVALID_SIGNATURE": Outcome.UNAUTHORIZED,
    "IP_FORBIDDEN": Outcome.UNAUTHORIZED,
    "READ_ONLY": Outcome.UNAUTHORIZED,
    "FORBIDDEN": Outcome.UNAUTHORIZED,
    "INVALID_CURRENCY_PAIR": Outcome.REJECTED,
    "CONTRACT_NOT_FOUND": Outcome.REJECTED,
}
CLOSED: Final[Mapping[OrderState, Outcome]] = {
    OrderState.CANCELED: Outcome.CANCELED,
    OrderState.FILLED: Outcome.GONE,
}
PAGE_DIGITS: Final = 10
ECHO_SLACK_MS: Final = 1_500
MICROSECONDS: Final = 1_000
SECONDS_MAX: Final = 10**11
"""A larger time is in ms."""


def read_reply(market: Market, command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    label = text_at(body, "label")
    if reply.status == OK and not label:
        answer = _read(market, command, body, reply)
        return answer or unknown(reply, body, "not the documented reply to what was asked")
    if reply.status == THROTTLED:
        answer = refused(reply, body)
        wait_ms = _reset_ms(reply) or answer.retry_after_ms
        return Unproven(Outcome.THROTTLED, _detail(reply, body), retry_after_ms=wait_ms)
    if reply.status in SERVER_ERRORS:
        wait_ms = refused(reply, body).retry_after_ms
        return Unproven(Outcome.UNKNOWN, _detail(reply, body), retry_after_ms=wait_ms)
    if reply.status in CLIENT_ERRORS and label:
        return _read_error(command, reply, label, _detail(reply, body))
    return refused(reply, body)


def _detail(reply: Reply, body: object) -> str:
    label, words = text_at(body, "label"), text_at(body, "message")
    if not label:
        return refused(reply, body).detail
    return readable(f"HTTP {reply.status}: {label} {words}")[:DETAIL_MAX_CHARS]


def _read_error(command: Command, reply: Reply, label: str, detail: str) -> Answer:
    if label == CLOCK:
        return Unproven(Outcome.UNAVAILABLE, detail, clock_refused=True)
    if isinstance(command, CancelOrder) and label == CANCELED:
        return Closed(Outcome.CANCELED, detail)
    if isinstance(command, CancelOrder) and label in (NOT_FOUND, *ENDED):
        return not_known(command, detail)
    if isinstance(command, QueryOrder) and label == NOT_FOUND:
        return not_known(command, detail)
    outcome = BY_LABEL.get(label)
    if outcome is None and reply.status == UNAUTHORIZED:
        outcome = Outcome.UNAUTHORIZED
    return Unproven(outcome or Outcome.UNKNOWN, detail)


def _reset_ms(reply: Reply) -> int | None:
    """Return how long it is until the rate limit is reset, by the exchange's own clock."""
    resets_ms = _time_ms(reply.headers.get("x-gate-ratelimit-reset-timestamp", ""))
    if resets_ms is None:
        return None
    left_ms = resets_ms - (_gateway_ms(reply, "x-out-time") or reply.received_ms)
    return min(left_ms, RETRY_AFTER_MAX_MS) if left_ms > 0 else None


def _gateway_ms(reply: Reply, header: str) -> int | None:
    """Return when the exchange took a request in or let its reply out, from microseconds."""
    text = reply.headers.get(header, "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004  Unix us
        return None
    return int(text) // MICROSECONDS


def _time_ms(text: str) -> int | None:
    text = text.strip()
    if not text.isascii() or not text.isdigit() or len(text) > 15:  # noqa: PLR2004  Unix ms
        return None
    return int(text) if int(text) > SECONDS_MAX else int(text) * 1_000


def _read(market: Market, command: Command, body: object, reply: Reply) -> Answer | None:
    match command:
        case CancelOrder():
            state = _state_of(market, command, body)
            if state is OrderState.OPEN and command.stop:
                return CancelAccepted()
            return Closed(CLOSED[state]) if state and state in CLOSED else None
        case QueryOrder():
            state = _state_of(market, command, body)
            return OrderReport(state) if state else None
        case CancelScope():
            return _scope_of(market, body) if isinstance(body, list) else None
        case ListStopOrders():
            return _read_list(market, command, body) if isinstance(body, list) else None
        case ListOpenOrders() if isinstance(body, list):
            return _read_list(market, command, body)
        case ListPairs():
            return _read_pairs(market, command, body) if isinstance(body, list) else None
        case SetCountdown(countdown_ms=countdown_ms):
            return CountdownSet() if _stands_at(reply, body, countdown_ms) else None
        case _:
            return None


def _state_of(market: Market, command: CancelOrder | QueryOrder, body: object) -> OrderState | None:
    """Return the state of the order that was asked for; None if the body is not about it."""
    row = market.stop_row(body) if command.stop else market.row(body)
    if command.pair is not None and row.pair.casefold() != command.pair.casefold():
        return None
    if command.client_order_id:
        named = row.client_id == command.client_order_id
    else:
        named = row.order_id == command.order_id != ""
    return row.state if named else None


def _scope_of(market: Market, body: list[object]) -> ScopeCanceled:
    """Return which orders the cancel of a scope has canceled; each has a row, done or not.

    A row that cannot be read may be of any order: then nothing is said of any.
    """
    rows = [market.row(each) for each in body if at(each, "succeeded") is not False]
    if not all(NUMBER_ID.pattern.fullmatch(row.order_id) and row.state in CLOSED for row in rows):
        return ScopeCanceled()
    named = (row.order_id for row in rows if row.state is OrderState.CANCELED)
    order_ids = tuple(dict.fromkeys(named))
    return ScopeCanceled(len(order_ids), order_ids)


def _read_list(
    market: Market, scope: ListOpenOrders | ListStopOrders, body: list[object]
) -> OpenOrders:
    """Take the open orders of the scope; what cannot be read leaves the list incomplete.

    A page counts by pair where the list of all pairs comes grouped by pair: another one
    follows as long as one pair has a full page.
    """
    stop = isinstance(scope, ListStopOrders)
    pages = [body]
    complete = True
    if market.lists_by_pair and scope.pair is None and not stop:
        found = [at(group, "orders") for group in body]
        pages = [page for page in found if isinstance(page, list)]
        complete = len(pages) == len(body)
    orders: list[OpenOrder] = []
    seen: list[str] = []
    for raw in chain.from_iterable(pages):
        row = market.stop_row(raw) if stop else market.row(raw)
        known, order = _judge(scope, row, stop=stop)
        complete = complete and known
        orders += [order] if order else []
        seen.append(row.order_id)
    following = ""
    if any(len(page) >= PAGE_ROWS for page in pages):
        by_number = market.pages == "page" and not stop
        following = _after(scope.after, first=1, step=1) if by_number else _after(scope.after)
    return OpenOrders(tuple(orders), complete, following, tuple(seen))


def _after(page: str, *, first: int = 0, step: int = PAGE_ROWS) -> str:
    """Return the page after one: by its number, or by how many rows come before it."""
    now = int(page) if page.isascii() and page.isdigit() and len(page) < PAGE_DIGITS else first
    return str(now + step)


def _read_pairs(market: Market, command: ListPairs, body: list[object]) -> PairList | None:
    """Take the pairs; a full page has another after it, which may be empty."""
    if command.after and not body:
        return PairList(())
    found = read_pairs(body, market.pair_name, parts=market.pair_parts)
    if found is None or len(body) != market.pairs_page:
        return found
    return replace(found, next=_after(command.after, step=market.pairs_page))


def _judge(
    scope: ListOpenOrders | ListStopOrders, row: Row, *, stop: bool
) -> tuple[bool, OpenOrder | None]:
    """Return whether a row could be read, and the order if it is open and of the scope."""
    if not (NUMBER_ID.pattern.fullmatch(row.order_id) and PAIR.fullmatch(row.pair)):
        return False, None
    if row.state not in (None, OrderState.OPEN):
        return True, None
    known = row.state is not None and bool(row.side or scope.side is None)
    if scope.client_id_prefix and not row.client_id:
        return stop, None  # a stop order has no client order id, any other has
    if in_scope(scope, row.pair, row.side, row.client_id):
        return known, OpenOrder(row.order_id, row.pair, row.side or None, stop=stop)
    elsewhere = isinstance(scope, ListOpenOrders) and respelled(scope, row.pair)
    return known and not elsewhere, None


def _stands_at(reply: Reply, body: object, countdown_ms: int) -> bool:
    """Return whether the reply states the countdown that was asked for.

    `triggerTime` is held against `X-In-Time`, the exchange's own time of the request. What
    it is for a stopped timer is in no document: 0, or a time that has passed.
    """
    fires_ms = _time_ms(id_text(at(body, "triggerTime")))
    taken_ms = _gateway_ms(reply, "x-in-time")
    if fires_ms is None:
        return False
    if not countdown_ms:
        return fires_ms == 0 or (taken_ms is not None and fires_ms <= taken_ms + ECHO_SLACK_MS)
    if taken_ms is None:
        return fires_ms > 0
    return abs(fires_ms - taken_ms - countdown_ms) <= ECHO_SLACK_MS
