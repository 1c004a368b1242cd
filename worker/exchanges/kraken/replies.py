"""What Kraken's replies mean.

All come as `{"error": [], "result": {…}}` with HTTP 200; "any errors or successes are
denoted in the error field of the response". An error is `<E or W><category>:<text>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from worker.exchanges.base import MINUTE_MS, IdForm
from worker.exchanges.checks import PAIR, SIDE
from worker.exchanges.replies import (
    DETAIL_MAX_CHARS,
    at,
    in_scope,
    read_json,
    readable,
    refused,
    respelled,
    text_at,
    unknown,
    word_at,
)
from worker.exchanges.rows import not_known, scope_canceled
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListPairs,
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
from worker.model.pairs import ListedPair
from worker.model.wire import Reply

ORDER_ID: Final = IdForm(
    re.compile(r"[A-Z0-9]{6}-[A-Z0-9]{5}-[A-Z0-9]{6}"), "the form OABCDE-ABCDE-ABCDEF", longest=19
)
"""The parameter `txid` also takes a user reference, which may name many orders: those are
whole numbers, and never have this form."""
SECOND_MS: Final = 1_000
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
OK: Final = 200
SERVER_ERRORS: Final = range(500, 600)
STATES: Final[Mapping[str, OrderState]] = {
    "pending": OrderState.OPEN,
    "open": OrderState.OPEN,
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    # Not open, and by no cancel: the same to the caller as filled.
    "expired": OrderState.FILLED,
}
STOP_WORDS: Final = ("stop", "take-profit")
"""What the types of stop orders have in their names, trailing ones too."""
COMMON_NAMES: Final[Mapping[str, str]] = {"XBT": "BTC", "XDG": "DOGE"}
UNKNOWN_ORDER: Final = "EOrder:Unknown order"
LOCKOUT: Final = "EGeneral:Temporary lockout"
INVALID_NONCE: Final = "EAPI:Invalid nonce"
BY_ERROR: Final[Mapping[str, Outcome]] = {
    INVALID_NONCE: Outcome.UNAVAILABLE,
    "EAPI:Invalid key": Outcome.UNAUTHORIZED,
    "EAPI:Invalid signature": Outcome.UNAUTHORIZED,
    "EGeneral:Permission denied": Outcome.UNAUTHORIZED,
    LOCKOUT: Outcome.THROTTLED,
    "EAPI:Rate limit exceeded": Outcome.THROTTLED,
    "EOrder:Rate limit exceeded": Outcome.THROTTLED,
    "EService:Unavailable": Outcome.UNAVAILABLE,
    "EService:Busy": Outcome.UNAVAILABLE,
    "EGeneral:Invalid arguments": Outcome.REJECTED,
    "EQuery:Unknown asset pair": Outcome.REJECTED,
    "EService:Deadline elapsed": Outcome.UNKNOWN,
    "EGeneral:Internal error": Outcome.UNKNOWN,
}
WAITS_MS: Final[Mapping[str, int]] = {
    # "Temporary lockouts typically last approximately 15 minutes."
    LOCKOUT: 15 * MINUTE_MS,
    # "Additional calls will be restricted for a few seconds": a call costs 3 s at least.
    "EAPI:Rate limit exceeded": 3_000,
    # The counter of the pair falls by at least 1 a second; a cancel adds up to 8.
    "EOrder:Rate limit exceeded": 2_000,
}


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    errors = _errors(body)
    if errors:
        return _read_error(command, reply, errors)
    if reply.status != OK:
        return _read_page(reply, body)
    answer = _read(command, at(body, "result")) if errors == [] else None
    return answer or unknown(reply, body, "not the documented reply to what was asked")


def _errors(body: object) -> list[str] | None:
    """Return the errors of a reply, without warnings; None if it has no list of texts."""
    found = at(body, "error")
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        return None
    return [text for text in found if isinstance(text, str) and not text.startswith("W")]


def _read_page(reply: Reply, body: object) -> Unproven:
    """Read a status without an error of the exchange's own: a proxy answered.

    What a proxy reports as failed may still be carried out.
    """
    answer = refused(reply, body)
    if reply.status in SERVER_ERRORS:
        return Unproven(Outcome.UNKNOWN, answer.detail, retry_after_ms=answer.retry_after_ms)
    return answer


def _read_error(command: Command, reply: Reply, errors: list[str]) -> Answer:
    words = readable("; ".join(errors))
    detail = f"HTTP {reply.status}: {words}"[:DETAIL_MAX_CHARS]
    kinds = {_plain(error) for error in errors}
    if kinds == {UNKNOWN_ORDER} and reply.status == OK:
        return not_known(command, detail)
    outcomes = {BY_ERROR.get(kind, Outcome.UNKNOWN) for kind in kinds}
    if len(outcomes) > 1:
        return Unproven(Outcome.UNKNOWN, detail)
    return Unproven(
        outcomes.pop(),
        detail,
        retry_after_ms=max((WAITS_MS[kind] for kind in kinds & WAITS_MS.keys()), default=None),
        banned=LOCKOUT in kinds,
        nonce_floor=0 if kinds == {INVALID_NONCE} else None,
    )


def _plain(error: str) -> str:
    """Return an error without what may follow its text after another colon."""
    return ":".join(error.split(":")[:2]).strip()


def _read(command: Command, result: object) -> Answer | None:
    match command:
        case CancelOrder():
            return _read_cancel(result)
        case CancelScope():
            # Of cancels that are pending it counts orders that may be filled first.
            if at(result, "pending") in (None, False):
                return scope_canceled(at(result, "count"))
            return ScopeCanceled() if _count(result) is not None else None
        case QueryOrder(order_id=order_id):
            if result == {}:
                return OrderReport(OrderState.MISSING, "the exchange lists no such order")
            state = STATES.get(word_at(result, order_id, "status"))
            return OrderReport(state) if state else None
        case SetCountdown(countdown_ms=countdown_ms):
            return CountdownSet() if _timer_is(result, countdown_ms // SECOND_MS) else None
        case ListPairs():
            return _read_pairs(result) if isinstance(result, dict) else None
        case ListOpenOrders():
            found = at(result, "open")
            return _read_list(command, found) if isinstance(found, dict) else None
        case _:
            return None


def _read_pairs(found: Mapping[str, object]) -> PairList | None:
    """Take all pairs; None unless each can be read, and there is one.

    Rows of orders have the `altname`, such as XBTUSD; the key is XXBTZUSD, the `wsname` XBT/USD.
    """
    pairs: list[ListedPair] = []
    for key, row in found.items():
        pair, name = text_at(row, "altname"), text_at(row, "wsname")
        if not PAIR.fullmatch(pair):
            return None
        ccxt = "/".join(COMMON_NAMES.get(part, part) for part in name.split("/"))
        names = tuple(each for each in (key, name, ccxt) if each and " " not in each)
        pairs.append(ListedPair(pair, names))
    return PairList(tuple(pairs)) if pairs else None


def _count(result: object) -> int | None:
    count = at(result, "count")
    return count if type(count) is int and count >= 0 else None


def _read_cancel(result: object) -> Answer | None:
    """Read a cancel of one order id, which can reach no other order."""
    count = _count(result)
    if not count:
        return None
    pending = at(result, "pending")
    if pending is True:
        return CancelAccepted("the cancel is pending")
    return Closed(Outcome.CANCELED) if pending in (None, False) else None


def _timer_is(result: object, seconds: int) -> bool:
    """Return whether a reply reports the timer that was set, or none for 0."""
    now, fires = _moment(text_at(result, "currentTime")), text_at(result, "triggerTime")
    if now is None:
        return False
    moment = _moment(fires)
    if not seconds:
        return fires == "0" or (moment is not None and moment <= now)
    return moment is not None and abs((moment - now).total_seconds() - seconds) <= 1


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if MOMENT.fullmatch(text) else None
    except ValueError:
        return None


def _read_list(scope: ListOpenOrders, found: Mapping[str, object]) -> OpenOrders:
    """Take the open orders of the scope; a row that cannot be read leaves the list incomplete.

    The exchange lists the whole account, without pages. An order to which the strategy gave no
    id has none (`cl_ord_id` is null) or no such key, as in the document's example.
    """
    orders: list[OpenOrder] = []
    complete = True
    for order_id, row in found.items():
        pair, side = text_at(row, "descr", "pair"), word_at(row, "descr", "type")
        state = STATES.get(word_at(row, "status"))
        named = ORDER_ID.pattern.fullmatch(order_id) and PAIR.fullmatch(pair)
        kind, client_id = word_at(row, "descr", "ordertype"), at(row, "cl_ord_id")
        if not (named and SIDE.fullmatch(side) and state):
            complete = False
        elif state is not OrderState.OPEN:
            continue
        elif scope.client_id_prefix and not isinstance(client_id, str | None):
            complete = False
        elif in_scope(scope, pair, side, client_id if isinstance(client_id, str) else ""):
            # One of no known kind may be a stop order that is to stay.
            stop = not kind or any(word in kind for word in STOP_WORDS)
            complete = complete and bool(kind)
            orders.append(OpenOrder(order_id, pair, side, stop=stop))
        elif respelled(scope, pair):
            complete = False
    return OpenOrders(tuple(orders), complete)
