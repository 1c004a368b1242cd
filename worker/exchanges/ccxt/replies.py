"""What a reply means that ccxt has read. No return value of ccxt's is a proof.

Given a page with HTTP 200, most of its exchanges return as if the order were canceled, or
as if no order were open. So an order is closed only if the reply itself reports that, and
the errors of ccxt say only what is not proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.exchanges.base import IdForm
from worker.exchanges.ccxt.calls import Calls
from worker.exchanges.ccxt.evidence import (
    fails,
    hushed,
    is_deep,
    names,
    proves,
    seen_as,
    without,
)
from worker.exchanges.ccxt.profile import Profile
from worker.exchanges.ccxt.profiled import has, read_profiled
from worker.exchanges.ccxt.silent import Pass, Refused, Wants
from worker.exchanges.checks import PAIR, PLAIN_ID, SIDE
from worker.exchanges.replies import (
    DETAIL_MAX_CHARS,
    at,
    describe,
    id_text,
    in_scope,
    read_json,
    readable,
    refused,
    text_at,
    unknown,
    word_at,
)
from worker.exchanges.rows import not_known
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

IDS: Final[IdForm] = PLAIN_ID
OK: Final = 200
BUSY: Final = 429
BROKEN: Final = range(500, 600)
BY_ERROR: Final[Mapping[str, Outcome]] = {
    "RateLimitExceeded": Outcome.THROTTLED,
    "DDoSProtection": Outcome.THROTTLED,
    "AuthenticationError": Outcome.UNAUTHORIZED,
    "ExchangeNotAvailable": Outcome.UNAVAILABLE,
}
"""By ccxt's error or one that it is a kind of. Every other one is `UNKNOWN`: what ccxt takes
for an invalid order is one that was filled, on several exchanges."""
NOT_FOUND: Final = "OrderNotFound"
NONCE: Final = "InvalidNonce"


def read_reply(calls: Calls, profile: Profile | None, command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    if (
        profile is not None
        and profile.empty
        and isinstance(command, ListOpenOrders)
        and reply.status == OK
        and has(body, profile.empty)
    ):
        return OpenOrders((), complete=True)
    answered = profile is not None and reply.status in profile.errors and isinstance(body, list)
    broken = reply.status == BUSY or (reply.status in BROKEN and not answered)
    if broken or not isinstance(body, dict | list) or is_deep(body):
        return refused(reply, body)
    found, why = None, "the reply proves nothing of this order"
    try:
        run = Pass(reply=(reply, body), parses=profile is None)
        found = calls.run(calls.prepare(), command, run)
    except Wants as wants:
        why = f"ccxt wants {readable(wants.endpoint)} beside it, which is not sent"
    except Refused:
        return refused(reply, body)
    except Exception as error:  # noqa: BLE001  ccxt raises anything
        answer = _failed(error, command, reply, body, nonce=calls.entry.nonce)
        if answer is not None:
            return answer
        why = f"ccxt: {type(error).__name__}"
    whole = read_json(reply.body)  # ccxt writes into what it reads
    answer = (
        read_profiled(profile, command, reply, whole)
        if profile is not None
        else _read(calls, command, reply, whole, found)
    )
    if answer is not None and _ends(answer) and fails(whole, getattr(command, "order_id", "")):
        return unknown(reply, whole, "it says that the request failed")
    return answer or unknown(reply, whole, why)


def _ends(answer: Answer) -> bool:
    """Return whether an answer proves that an order is closed, or a scope empty."""
    match answer:
        case OrderReport(state=state):
            return state in (OrderState.CANCELED, OrderState.FILLED)
        case OpenOrders(complete=complete):
            return complete
        case _:
            return isinstance(answer, Closed)


def _failed(
    error: Exception, command: Command, reply: Reply, body: object, *, nonce: bool
) -> Answer | None:
    """Read an error of ccxt; None if it is none by which a reply is refused."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    if "BaseError" not in kinds:
        return None
    detail = f"{describe(reply, body)}; ccxt: {kinds[0]}"[:DETAIL_MAX_CHARS]
    if NOT_FOUND in kinds:
        return not_known(command, detail)
    if NONCE in kinds:
        return Unproven(
            Outcome.UNAVAILABLE,
            detail,
            nonce_floor=0 if nonce else None,
            clock_refused=not nonce,
        )
    outcome = next((BY_ERROR[kind] for kind in kinds if kind in BY_ERROR), Outcome.UNKNOWN)
    wait_ms = refused(reply, body).retry_after_ms if outcome is Outcome.THROTTLED else None
    return Unproven(outcome, detail, retry_after_ms=wait_ms)


def _read(
    calls: Calls, command: Command, reply: Reply, body: object, found: object
) -> Answer | None:
    match command:
        case CancelOrder(order_id=order_id):
            state = _reported(calls, command, reply, body, found)
            if state is not None and state is not OrderState.OPEN:
                canceled = state is OrderState.CANCELED
                return Closed(Outcome.CANCELED if canceled else Outcome.GONE)
            return CancelAccepted() if found is not None and names(body, order_id) else None
        case QueryOrder():
            state = _reported(calls, command, reply, body, found)
            return OrderReport(state) if state is not None else None
        case ListOpenOrders():
            return _read_list(command, body, found)
        case _:
            return None


def _reported(
    calls: Calls,
    command: CancelOrder | QueryOrder,
    reply: Reply,
    body: object,
    found: object,
) -> OrderState | None:
    """Return the state of the order that was asked about, if the reply reports it.

    ccxt reads the reply three times more: with another id in it, with only the id in the
    order's row, and without words for people. An id or a status that it finds in the
    first two is its own; one that it does not find in the third was read out of a message.
    """
    order_id = command.order_id
    state = seen_as(found, order_id)
    if state is None or state is OrderState.OPEN:
        return state if names(body, order_id) else None
    if not proves(body, order_id):
        return None

    def again(other: object) -> OrderState | None:
        try:
            run = Pass(reply=(reply, other))
            return seen_as(calls.run(calls.prepare(), command, run), order_id)
        except (Wants, Refused):
            return None
        except Exception:  # noqa: BLE001  ccxt raises anything
            return None

    decoy = without(body, order_id, decoy=True)
    bare = without(body, order_id, decoy=False)
    if again(decoy) is not None or again(bare) is not None:
        return None
    return state if again(hushed(body)) is state else None


def _read_list(scope: ListOpenOrders, body: object, found: object) -> Answer | None:
    """Take the orders of a list. It is never complete: no document states where it ends."""
    orders = []
    for row in found if isinstance(found, list) else []:
        order_id, pair = id_text(at(row, "id")), text_at(row, "symbol")
        side = word_at(row, "side")
        if at(row, "status") not in (None, "open") or not names(body, order_id):
            continue
        if not (IDS.pattern.fullmatch(order_id) and PAIR.fullmatch(pair)):
            continue
        if in_scope(scope, pair, side):
            orders.append(OpenOrder(order_id, pair, side if SIDE.fullmatch(side) else None))
    return OpenOrders(tuple(orders), complete=False) if orders else None
