"""Whole answers of Deribit: outcome, words for people, waits and flags."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.whole_answers import (
    REJECTED,
    THROTTLED,
    UNAUTHORIZED,
    UNAVAILABLE,
    UNDOCUMENTED,
    UNKNOWN,
    Case,
    check,
    unproven,
)
from worker.exchanges.deribit.replies import read_reply
from worker.model.commands import CancelOrder, CancelScope, ListOpenOrders, QueryOrder
from worker.model.outcomes import (
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

ID = "ETH-349"
CANCEL, QUERY, SCOPE = CancelOrder(ID), QueryOrder(ID), CancelScope()
LIST = ListOpenOrders("BTC-PERPETUAL")


def ok(result: object) -> dict[str, object]:
    """Build a success."""
    return {"jsonrpc": "2.0", "result": result}


def error(code: object, message: object = "some_words", **data: object) -> dict[str, object]:
    """Build an error."""
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message, "data": data}}


def odd(result: str) -> Unproven:
    """Build the answer to what Deribit documents nowhere."""
    return unproven(UNKNOWN, f"HTTP 200: {UNDOCUMENTED}; {{jsonrpc: text, result: {result}}}")


def order(state: str, order_id: object = ID) -> Any:
    """Build a success that is an order."""
    return ok({"order_id": order_id, "order_state": state})


NAMED = "{order_id: text, order_state: text}"
ROW = {
    "order_id": ID,
    "instrument_name": "BTC-PERPETUAL",
    "direction": "buy",
    "order_state": "open",
    "order_type": "stop_limit",
}
CASES = [
    # Whose reply it is.
    Case(
        read_reply,
        CANCEL,
        {"result": {"order_id": ID, "order_state": "cancelled"}},
        unproven(UNKNOWN, f"HTTP 200: {{result: {NAMED}}}"),
    ),
    Case(
        read_reply,
        CANCEL,
        {"jsonrpc": "2.0", "error": "odd", "result": {}},
        unproven(UNKNOWN, "HTTP 200: odd"),
    ),
    Case(
        read_reply,
        CANCEL,
        error("10004"),
        unproven(
            UNKNOWN,
            "HTTP 200: {jsonrpc: text, error: {code: text, message: text, data: {}}}",
        ),
    ),
    Case(
        read_reply,
        CANCEL,
        {"error": {"code": 11008}},
        unproven(UNKNOWN, "HTTP 400: {error: {code: number}}"),
        400,
    ),
    Case(
        read_reply,
        CANCEL,
        order("cancelled"),
        unproven(UNAVAILABLE, "HTTP 500", retry_after_ms=3_000),
        500,
    ),
    # Errors, whatever the status is.
    Case(
        read_reply,
        CANCEL,
        error(11008, reason="filled"),
        Closed(Outcome.GONE, "HTTP 400: 11008 some_words filled"),
        400,
    ),
    Case(read_reply, QUERY, error(11008), unproven(UNKNOWN, "HTTP 400: 11008 some_words"), 400),
    *(
        Case(
            read_reply,
            CANCEL,
            error(code),
            unproven(UNKNOWN, f"HTTP 400: {code} some_words", missing=True),
            400,
        )
        for code in (10004, 10010, 11044)
    ),
    Case(
        read_reply,
        QUERY,
        error(10004),
        OrderReport(OrderState.MISSING, "HTTP 400: 10004 some_words"),
        400,
    ),
    Case(read_reply, QUERY, error(10010), unproven(UNKNOWN, "HTTP 400: 10010 some_words"), 400),
    Case(read_reply, SCOPE, error(10004), unproven(UNKNOWN, "HTTP 400: 10004 some_words"), 400),
    Case(read_reply, CANCEL, error(10020), unproven(REJECTED, "HTTP 400: 10020 some_words"), 400),
    Case(read_reply, CANCEL, error(-1, None), unproven(UNKNOWN, "HTTP 400: -1"), 400),
    Case(
        read_reply, CANCEL, error(1, "w" * 300), unproven(UNKNOWN, f"HTTP 400: 1 {'w' * 188}"), 400
    ),
    Case(
        read_reply,
        CANCEL,
        error(10028),
        unproven(THROTTLED, "HTTP 429: 10028 some_words", retry_after_ms=1_000),
        429,
    ),
    Case(
        read_reply, CANCEL, error(13009), unproven(UNAUTHORIZED, "HTTP 400: 13009 some_words"), 400
    ),
    Case(
        read_reply,
        CANCEL,
        error(13009, reason="bad Timestamp"),
        unproven(UNAVAILABLE, "HTTP 400: 13009 some_words bad Timestamp", clock_refused=True),
        400,
    ),
    Case(
        read_reply,
        CANCEL,
        error(13004, reason="Nonce used"),
        unproven(UNAVAILABLE, "HTTP 400: 13004 some_words Nonce used", nonce_floor=0),
        400,
    ),
    Case(
        read_reply,
        CANCEL,
        error(10020, reason="timestamp"),
        unproven(REJECTED, "HTTP 400: 10020 some_words timestamp"),
        400,
    ),
    # Orders.
    Case(read_reply, CANCEL, order("Cancelled"), Closed(Outcome.CANCELED)),
    *(
        Case(
            read_reply,
            CANCEL,
            order(state),
            CancelAccepted(f"cancel accepted; the order is still {state}"),
        )
        for state in ("open", "untriggered", "triggered", "filled", "rejected")
    ),
    Case(read_reply, CANCEL, order("odd"), odd(NAMED)),
    Case(read_reply, CANCEL, order("cancelled", "1"), odd(NAMED)),
    Case(read_reply, QUERY, order("rejected"), OrderReport(OrderState.FILLED)),
    Case(read_reply, QUERY, order("triggered"), odd(NAMED)),
    Case(read_reply, QUERY, order("open", "1"), odd(NAMED)),
    # Scopes.
    Case(read_reply, SCOPE, ok(0), ScopeCanceled(0)),
    Case(read_reply, SCOPE, ok(3), ScopeCanceled(3)),
    Case(read_reply, SCOPE, ok(-1), odd("number")),
    Case(read_reply, SCOPE, ok(bool(1)), odd("true or false")),
    Case(
        read_reply,
        LIST,
        ok([ROW]),
        OpenOrders((OpenOrder(ID, "BTC-PERPETUAL", "buy", stop=True),), complete=True, seen=(ID,)),
    ),
    Case(read_reply, LIST, ok({}), odd("{}")),
]


@pytest.mark.parametrize("case", CASES)
def test_whole_answers(case: Case) -> None:
    """An error counts by its code; its words and their reason are shown."""
    check(case)
