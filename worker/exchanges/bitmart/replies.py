"""What BitMart's v2 replies mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from worker.exchanges.checks import PAIR, PLAIN_ID, SIDE
from worker.exchanges.pair_rows import read_pairs
from worker.exchanges.replies import (
    at,
    describe,
    id_text,
    in_scope,
    read_json,
    refused,
    respelled,
    rows_of,
    same_id,
    text_at,
    unknown,
    word_at,
)
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
)
from worker.model.outcomes import (
    Answer,
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    TokenGrant,
    Unproven,
)
from worker.model.wire import Reply

PAGE_ROWS: Final = 100
DAY_MS: Final = 86_400_000
DEFAULT_LIFE_S: Final = 300
"""How long a token is used whose end is not given; the document gives 900 s to each."""
STATES: Final[Mapping[str, OrderState]] = {
    "1": OrderState.OPEN,
    "2": OrderState.OPEN,
    "3": OrderState.FILLED,
    "4": OrderState.CANCELED,
}
CLOSED_STATES: Final = (OrderState.CANCELED, OrderState.FILLED)

# A token goes into a header: nothing that could end one gets through.
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
_COUNT: Final = re.compile(r"[0-9]{1,9}")


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    match reply.status:
        case 200:
            answer = _read(command, reply, body)
            return answer or unknown(reply, body, "not the documented reply to what was asked")
        case status if status < 400 and isinstance(command, FetchToken):  # noqa: PLR2004 - HTTP
            # Whatever this is, it may hold a token: show none of it.
            return unknown(reply, None, "not a documented status")
        case 401:
            return Unproven(
                Outcome.UNAUTHORIZED,
                describe(reply, body),
                token_refused=not isinstance(command, FetchToken),
            )
        case 404 if text_at(body, "message").casefold() == "not found":
            return _missing(command, describe(reply, body))
        case _:
            return refused(reply, body)


def _read(command: Command, reply: Reply, body: object) -> Answer | None:
    match command:
        case CancelOrder() if body == {}:
            return Closed(Outcome.CANCELED)
        case CancelScope() if body == {}:
            return ScopeCanceled()
        case QueryOrder(order_id=order_id) if same_id(at(body, "entrust_id"), order_id):
            state = STATES.get(id_text(at(body, "status")))
            return OrderReport(state) if state else None
        case ListOpenOrders():
            return _read_list(command, body)
        case ListPairs():
            # As other clients read it: the user's document has no list of symbols.
            return read_pairs(body, "id", parts=("base_currency", "quote_currency"))
        case FetchToken():
            return _read_token(body, reply.received_ms)
        case _:
            return None


def _read_token(body: object, received_ms: int) -> TokenGrant | None:
    """Take a token; it ends after `expires_in` seconds or at 00:00:00 UTC.

    A token whose end is not given is used for a while, less than is documented: one
    that has ended before is refused with 401, and another is fetched.
    """
    token, expires_in = text_at(body, "access_token"), at(body, "expires_in")
    if expires_in is None:
        expires_in = DEFAULT_LIFE_S
    elif isinstance(expires_in, str) and _COUNT.fullmatch(expires_in):
        expires_in = int(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return None
    # Within bounds before it is multiplied: a float may be as long as it likes.
    lives_ms = int(min(max(expires_in, 0), DAY_MS // 1_000) * 1_000)
    if lives_ms <= 0 or not _TOKEN.fullmatch(token):
        return None
    midnight_ms = (received_ms // DAY_MS + 1) * DAY_MS
    return TokenGrant(token, min(received_ms + lives_ms, midnight_ms))


def _read_list(scope: ListOpenOrders, body: object) -> OpenOrders | None:
    """Take the open orders of the scope; a row that cannot be read leaves the list incomplete.

    What a list of open orders holds and does not report as closed is to be canceled,
    whatever else its row says.
    """
    rows, page = rows_of(at(body, "orders")), int(scope.after or 0)
    if rows is None:
        # "Nothing" may be written as null, but so may a list that could not be read.
        none = isinstance(body, dict) and "orders" in body and not body["orders"]
        total = id_text(at(body, "total_orders"))
        counted = (total == "0" or (page > 0 and total != "")) and _tells_all(body, page, 0)
        return OpenOrders((), complete=True) if none and counted else None
    orders: list[OpenOrder] = []
    full = len(rows) >= PAGE_ROWS
    next_page = str(page + 1) if full and _is_page(body, page) else ""
    complete = bool(next_page) or (not full and _tells_all(body, page, len(rows)))
    for row in rows:
        order_id, pair = id_text(at(row, "entrust_id")), text_at(row, "symbol")
        side, state = word_at(row, "side"), STATES.get(id_text(at(row, "status")))
        named = PLAIN_ID.pattern.fullmatch(order_id) and PAIR.fullmatch(pair)
        if not (named and state and SIDE.fullmatch(side)):
            complete = False
        if not named or state in CLOSED_STATES:
            continue
        if in_scope(scope, pair, side):
            orders.append(OpenOrder(order_id, pair, side if SIDE.fullmatch(side) else None))
        elif respelled(scope, pair):
            complete = False
    seen = tuple(id_text(at(row, "entrust_id")) for row in rows)
    return OpenOrders(tuple(orders), complete, next_page, seen)


def _is_page(body: object, page: int) -> bool:
    """Return whether a list is of this page, where it says so."""
    return at(body, "current_page") is None or id_text(at(body, "current_page")) == str(page)


def _tells_all(body: object, page: int, rows: int) -> bool:
    """Return whether the page counts of a list, where given, allow no orders after this page."""
    if not _is_page(body, page):
        return False
    limits = {"total_pages": page + 1, "total_orders": page * PAGE_ROWS + rows}
    for key, most in limits.items():
        value = at(body, key)
        count = id_text(value)
        if value is not None and not (_COUNT.fullmatch(count) and int(count) <= most):
            return False
    return True


def _missing(command: Command, detail: str) -> Answer:
    """Read "Not found": filled, canceled, or a mistake of the exchange's own."""
    if isinstance(command, QueryOrder):
        return OrderReport(OrderState.MISSING, detail)
    return Unproven(Outcome.UNKNOWN, detail, missing=isinstance(command, CancelOrder))
