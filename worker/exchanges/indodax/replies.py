"""What Indodax's replies mean. Errors, too, come as HTTP 200."""

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
    is_number,
    read_json,
    refused,
    rows_of,
    same_id,
    shape,
    text_at,
    unknown,
    wait_asked_ms,
    word_at,
)
from worker.exchanges.rows import not_known
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder, SetCountdown
from worker.model.outcomes import (
    Answer,
    Closed,
    CountdownSet,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

STATES: Final[Mapping[str, OrderState]] = {
    "open": OrderState.OPEN,
    "filled": OrderState.FILLED,
    "cancelled": OrderState.CANCELED,
    "canceled": OrderState.CANCELED,
}
# One code for what is worth another try and for what never is.
BY_MESSAGE: Final[Mapping[tuple[str, str], Outcome]] = {
    ("internal_server_error", "failed to process request"): Outcome.UNAVAILABLE,
    ("internal_server_error", "validation signature failed"): Outcome.UNAUTHORIZED,
}
BY_CODE: Final[Mapping[str, Outcome]] = {
    "bad_request": Outcome.REJECTED,
    "sign_not_found": Outcome.UNAUTHORIZED,
    "key_not_found": Outcome.UNAUTHORIZED,
    "bad_sign": Outcome.UNAUTHORIZED,
    "not_authorized": Outcome.UNAUTHORIZED,
    # From the trade API's page, with "API not found or session has expired."
    "invalid_credentials": Outcome.UNAUTHORIZED,
    # In no document: the code names a mistake that only a person can correct.
    "invalid_pair": Outcome.REJECTED,
    "too_many_requests": Outcome.THROTTLED,
    "invalid_nonce": Outcome.UNAVAILABLE,
}
STOP_TYPE: Final = "stoplimit"
"""The `order_type` of a stop order, in lists and in its cancel."""
UNKNOWN_ORDER: Final = "invalid order"

_HALTED: Final = re.compile(r"pair [\w,-]{1,64} disabled")
_NONCE_FLOOR: Final = re.compile(r"must be greater than ([0-9]{1,19})(?![0-9])")
_NONCE_MAX: Final = 9 * 10**18
"""Redis counts in 63 bits; nonces of ns have as many digits."""
_CLOCK: Final = re.compile(r"time_?stamp|recv_?window", re.IGNORECASE)


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    if reply.status != 200:  # noqa: PLR2004 - HTTP "OK"
        return _read_status(command, reply, body)
    if is_number(at(body, "success"), 0):
        return _read_error(command, reply, body)
    if not is_number(at(body, "success"), 1) or at(body, "error") or at(body, "error_code"):
        return unknown(reply, body, "neither a documented success nor a documented error")
    answer = _read(command, body)
    return answer or unknown(reply, body, "not the documented success of what was asked")


def _read_status(command: Command, reply: Reply, body: object) -> Answer:
    """Read a reply by its status, unless a documented error says more than a 4xx does.

    An order that is not known is not believed under a status that no document gives it.
    """
    answer = refused(reply, body)
    if answer.outcome is Outcome.UNKNOWN and is_number(at(body, "success"), 0):
        told = _read_error(command, reply, body)
        if isinstance(told, Unproven) and told.outcome is not Outcome.UNKNOWN:
            return told
    return answer


def _read(command: Command, body: object) -> Answer | None:
    found = at(body, "return")
    match command:
        case SetCountdown():
            return CountdownSet()
        case CancelOrder():
            return Closed(Outcome.CANCELED) if _names(command, found) else None
        case QueryOrder(order_id=order_id):
            order = found if at(found, "order") is None else at(found, "order")
            state = STATES.get(word_at(order, "status"))
            known = same_id(at(order, "order_id"), order_id)
            return OrderReport(state) if state and known else None
        case ListOpenOrders():
            if isinstance(found, dict) and "orders" in found and found["orders"] is None:
                return OpenOrders((), complete=True)  # how other clients have seen "none"
            return _read_list(command, at(found, "orders"))
        case _:
            return None


def _names(command: CancelOrder, found: object) -> bool:
    """Return whether a success is about the order that was asked for.

    An order is named by pair and id together. `btcidr` and `btc_idr` are two
    names in use for one pair.
    """
    told, asked = (text.replace("_", "") for text in (text_at(found, "pair"), command.pair or ""))
    right_pair = not told or told.casefold() == asked.casefold()
    return right_pair and same_id(at(found, "order_id"), command.order_id)


def _read_list(scope: ListOpenOrders, found: object) -> OpenOrders | None:
    """Take the open orders of the scope; a row that cannot be read leaves the list incomplete.

    With a pair the rows come as a list, without one keyed by pair; either may be
    written as the other where the pair is certain. Nothing at all may come as an
    empty list or object. No document knows of pages.
    """
    keyed: dict[str, object]
    rows = rows_of(found)
    if rows is not None and (scope.pair or found == []):
        keyed = {scope.pair or "": rows}
    elif rows is None and isinstance(found, dict) and _of_scope(scope, found):
        keyed = found
    else:
        return None
    orders: list[OpenOrder] = []
    complete = True
    for pair, listed in keyed.items():
        rows = rows_of(listed)
        for row in [listed] if rows is None else rows:
            order_id, side = id_text(at(row, "order_id")), word_at(row, "type")
            named = PLAIN_ID.pattern.fullmatch(order_id) and PAIR.fullmatch(pair)
            if not (named and SIDE.fullmatch(side)):
                complete = False
            elif in_scope(scope, pair, side):
                stop = word_at(row, "order_type") == STOP_TYPE
                orders.append(OpenOrder(order_id, pair, side, stop))
    return OpenOrders(tuple(orders), complete)


def _of_scope(scope: ListOpenOrders, keyed: Mapping[str, object]) -> bool:
    """Return whether a list that is keyed by pair is the one of the pair that was asked for."""
    asked = scope.pair
    return asked is None or all(pair.casefold() == asked.casefold() for pair in keyed)


def _read_error(command: Command, reply: Reply, body: object) -> Answer:
    """Read a reply whose `success` is 0.

    The document's table writes some messages with a full stop and its example
    writes the same one without, so neither that nor case counts.
    """
    code, message = word_at(body, "error_code"), text_at(body, "error")
    plain = message.strip().rstrip(".").casefold()
    detail = describe(reply, body)
    if _CLOCK.search(f"{code} {message}"):
        # How a refused timestamp is answered is in no document.
        return Unproven(Outcome.UNKNOWN, detail, clock_refused=True)
    if plain == UNKNOWN_ORDER:
        return not_known(command, detail)
    outcome = BY_MESSAGE.get((code, plain)) or BY_CODE.get(code)
    if code == "bad_request" and _HALTED.fullmatch(plain) and not isinstance(command, SetCountdown):
        outcome = Outcome.UNAVAILABLE  # for as long as trade in it is halted
    if not (code or message):
        detail = f"{detail}: {shape(reply, body)}"
    found = _NONCE_FLOOR.search(message) if code == "invalid_nonce" else None
    floor = int(found[1]) if found else _NONCE_MAX
    return Unproven(
        outcome or Outcome.UNKNOWN,
        detail,
        retry_after_ms=wait_asked_ms(message) if outcome is Outcome.THROTTLED else None,
        nonce_floor=floor if floor < _NONCE_MAX else None,
    )
