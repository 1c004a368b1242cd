"""What Deribit's replies mean: JSON-RPC, `{"jsonrpc": "2.0", "result": …}` or with an `error`.

The documented reply to the cancel of a stop order is that order as `untriggered`: a state
other than `cancelled` says that the cancel was accepted, and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.exchanges.checks import PLAIN_ID
from worker.exchanges.deribit.pairs import KINDS
from worker.exchanges.pair_rows import read_pairs
from worker.exchanges.replies import (
    DETAIL_MAX_CHARS,
    at,
    read_json,
    readable,
    refused,
    same_id,
    text_at,
    unknown,
    word_at,
)
from worker.exchanges.rows import Rows, not_known, scope_canceled
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
    OrderReport,
    OrderState,
    Outcome,
    PairList,
    Unproven,
)
from worker.model.wire import Reply

OK: Final = 200
VERSION: Final = "2.0"
STATES: Final[Mapping[str, OrderState]] = {
    "open": OrderState.OPEN,
    "untriggered": OrderState.OPEN,
    "filled": OrderState.FILLED,
    "cancelled": OrderState.CANCELED,
    # Not open, and by no cancel: the same to the caller as filled.
    "rejected": OrderState.FILLED,
}
""""triggered" is missing: such a stop order has become another one, or is about to."""
ACCEPTED: Final = frozenset({*STATES, "triggered"}) - {"cancelled"}
ROWS: Final = Rows(
    order_id="order_id",
    pair="instrument_name",
    side="direction",
    status="order_state",
    client_id="label",
    stop="order_type",
    plain=frozenset({"", "limit", "market", "market_limit"}),
    ids=PLAIN_ID,
    states=STATES,
)
NOT_FOUND: Final = 10004
FILLED: Final = 11008
NOT_OPEN: Final = frozenset({NOT_FOUND, 10010, 11044})
"""Not found, closed already, not open: filled, canceled, or never there."""
THROTTLED: Final = 10028
SESSION_WAIT_MS: Final = 1_000
""""You must wait for credits to replenish": a second brings five cancels, or twenty questions."""
BY_CODE: Final[Mapping[int, Outcome]] = {
    10000: Outcome.UNAUTHORIZED,
    10020: Outcome.REJECTED,
    THROTTLED: Outcome.THROTTLED,
    10040: Outcome.UNAVAILABLE,
    10041: Outcome.UNAVAILABLE,
    10047: Outcome.THROTTLED,
    11051: Outcome.UNAVAILABLE,
    11094: Outcome.UNKNOWN,
    13004: Outcome.UNAUTHORIZED,
    13009: Outcome.UNAUTHORIZED,
    13020: Outcome.REJECTED,
    13021: Outcome.UNAUTHORIZED,
    13028: Outcome.UNAVAILABLE,
    13888: Outcome.UNKNOWN,
}


def read_reply(command: Command, reply: Reply) -> Answer:
    """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
    body = read_json(reply.body)
    ours = text_at(body, "jsonrpc") == VERSION
    error, code = at(body, "error"), at(body, "error", "code")
    if ours and type(code) is int:
        return _read_error(command, reply, error, code)
    if reply.status != OK or not ours or error is not None:
        return refused(reply, body)
    answer = _read(command, at(body, "result"))
    return answer or unknown(reply, body, "not the documented reply to what was asked")


def _read_error(command: Command, reply: Reply, error: object, code: int) -> Answer:
    words = f"{text_at(error, 'message')} {text_at(error, 'data', 'reason')}".strip()
    detail = readable(f"HTTP {reply.status}: {code} {words}")[:DETAIL_MAX_CHARS]
    if isinstance(command, CancelOrder) and code == FILLED:
        return Closed(Outcome.GONE, detail)
    if isinstance(command, CancelOrder) and code in NOT_OPEN:
        return not_known(command, detail)
    if isinstance(command, QueryOrder) and code == NOT_FOUND:
        return not_known(command, detail)
    outcome = BY_CODE.get(code, Outcome.UNKNOWN)
    if outcome is Outcome.UNAUTHORIZED:
        # No document gives the codes of a refused stamp; another stamp does no harm.
        if "timestamp" in words.casefold():
            return Unproven(Outcome.UNAVAILABLE, detail, clock_refused=True)
        if "nonce" in words.casefold():
            return Unproven(Outcome.UNAVAILABLE, detail, nonce_floor=0)
    wait_ms = SESSION_WAIT_MS if outcome is Outcome.THROTTLED else None
    return Unproven(outcome, detail, retry_after_ms=wait_ms)


def _read(command: Command, result: object) -> Answer | None:
    match command:
        case CancelOrder(order_id=order_id) if same_id(at(result, "order_id"), order_id):
            return _read_cancel(word_at(result, "order_state"))
        case CancelScope():
            return scope_canceled(result)
        case QueryOrder(order_id=order_id) if same_id(at(result, "order_id"), order_id):
            state = STATES.get(word_at(result, "order_state"))
            return OrderReport(state) if state else None
        case ListOpenOrders() if isinstance(result, list):
            return ROWS.read(command, result)
        case ListPairs(part=kind):
            # Not every site has spot pairs.
            none = kind != KINDS[0] and result == []
            return PairList(()) if none else read_pairs(result, "instrument_name")
        case _:
            return None


def _read_cancel(state: str) -> Answer | None:
    if state == "cancelled":
        return Closed(Outcome.CANCELED)
    if state in ACCEPTED:
        return CancelAccepted(f"cancel accepted; the order is still {state}")
    return None
