"""Whole answers of KuCoin: outcome, words for people, waits and flags."""

from __future__ import annotations

import json
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
from worker.exchanges.kucoin.replies import read_reply
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    ListOpenOrders,
    QueryOrder,
)
from worker.model.outcomes import (
    CancelAccepted,
    Closed,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.model.wire import Reply

ID = "5e8c8c2f"
CANCEL, QUERY = CancelOrder(ID, pair="BTC-USDT"), QueryOrder(ID, pair="BTC-USDT")
MINE = CancelOrder(ID, pair="BTC-USDT", client_order_id="my-1")
STOP, ASK_STOP = CancelOrder(ID, stop=True), QueryOrder(ID, stop=True)
OCO, ASK_OCO = CancelOrder(f"oco-{ID}", stop=True), QueryOrder(f"oco-{ID}", stop=True)
LIST = ListOpenOrders("BTC-USDT")
WORDS = "some words"


def ok(data: object) -> dict[str, object]:
    """Build a success."""
    return {"code": "200000", "data": data}


def error(code: object, msg: str = WORDS) -> dict[str, object]:
    """Build an error."""
    return {"code": code, "msg": msg}


def odd(data: str) -> Unproven:
    """Build the answer to what KuCoin documents nowhere."""
    return unproven(UNKNOWN, f"HTTP 200: {UNDOCUMENTED}; {{code: text, data: {data}}}")


def canceled(origin: object, dealt: object, amount: object, status: str = "done") -> Any:
    """Build the reply to a synchronous cancel."""
    sizes = {"originSize": origin, "dealSize": dealt, "canceledSize": amount}
    return ok({"orderId": ID, "status": status, **sizes})


SIZES = "{orderId: text, status: text, originSize: text, dealSize: text, canceledSize: text}"
CASES = [
    # The status and the code.
    Case(read_reply, CANCEL, ok({}), odd("{}")),
    Case(read_reply, CANCEL, ok({}), unproven(UNAVAILABLE, "HTTP 500", retry_after_ms=3_000), 500),
    Case(read_reply, CANCEL, ok({}), unproven(UNKNOWN, "HTTP 400: {code: text, data: {}}"), 400),
    Case(read_reply, CANCEL, {"data": {}}, unproven(UNKNOWN, "HTTP 400: {data: {}}"), 400),
    Case(read_reply, CANCEL, error(1), unproven(UNKNOWN, f"HTTP 200: {WORDS}")),
    Case(
        read_reply,
        CANCEL,
        error("400100", "symbol odd"),
        unproven(UNAVAILABLE, "HTTP 503: symbol odd", retry_after_ms=3_000),
        503,
    ),
    Case(
        read_reply,
        CANCEL,
        error("400002"),
        unproven(UNAVAILABLE, f"HTTP 200: 400002 {WORDS}", clock_refused=True),
    ),
    Case(
        read_reply,
        CANCEL,
        error("400100", "order not exist or not allowed"),
        unproven(UNKNOWN, "HTTP 400: 400100 order not exist or not allowed", missing=True),
        400,
    ),
    Case(
        read_reply,
        CANCEL,
        error("400100", "Order_does-not exist."),
        unproven(UNKNOWN, "HTTP 404: 400100 Order_does-not exist.", missing=True),
        404,
    ),
    Case(
        read_reply,
        QUERY,
        error("400100", "order not exist"),
        OrderReport(OrderState.MISSING, "HTTP 403: 400100 order not exist"),
        403,
    ),
    Case(
        read_reply,
        LIST,
        error("400100", "order not exist"),
        unproven(UNKNOWN, "HTTP 200: 400100 order not exist"),
    ),
    Case(
        read_reply,
        CANCEL,
        error("400100", "the order not exist"),
        unproven(UNKNOWN, "HTTP 200: 400100 the order not exist"),
    ),
    Case(
        read_reply,
        CANCEL,
        error("400100", "Symbol not exists"),
        unproven(REJECTED, "HTTP 200: 400100 Symbol not exists"),
    ),
    Case(read_reply, CANCEL, error("400100", ""), unproven(UNKNOWN, "HTTP 200: 400100")),
    Case(
        read_reply,
        CANCEL,
        error("400003"),
        unproven(UNAUTHORIZED, f"HTTP 401: 400003 {WORDS}"),
        401,
    ),
    Case(
        read_reply,
        CANCEL,
        error("429000"),
        unproven(THROTTLED, f"HTTP 200: 429000 {WORDS}"),
    ),
    Case(
        read_reply,
        CANCEL,
        error("999"),
        unproven(THROTTLED, f"HTTP 429: 999 {WORDS}", retry_after_ms=3_000),
        429,
    ),
    Case(read_reply, CANCEL, error("999"), unproven(UNKNOWN, f"HTTP 200: 999 {WORDS}")),
    Case(
        read_reply,
        CANCEL,
        error("999", "w" * 300),
        unproven(UNKNOWN, f"HTTP 200: 999 {'w' * 186}"),
    ),
    # A synchronous cancel.
    Case(read_reply, CANCEL, canceled("2", "0", "2", "open"), CancelAccepted()),
    Case(read_reply, CANCEL, canceled("2", "1", "1"), Closed(Outcome.CANCELED)),
    Case(read_reply, CANCEL, canceled("2", "1.9", "0.1"), Closed(Outcome.CANCELED)),
    Case(read_reply, CANCEL, canceled("2", "2.0", "0"), Closed(Outcome.GONE)),
    Case(read_reply, CANCEL, canceled("0.5", "0.5", "0"), Closed(Outcome.GONE)),
    Case(read_reply, CANCEL, canceled("2", "1", "0"), odd(SIZES)),
    Case(read_reply, CANCEL, canceled("0", "0", "0"), odd(SIZES)),
    Case(read_reply, CANCEL, canceled("-2", "2", "2"), odd(SIZES)),
    Case(read_reply, CANCEL, canceled("x", "2", "2"), odd(SIZES)),
    Case(read_reply, CANCEL, canceled("2", "x", "2"), odd(SIZES)),
    Case(read_reply, CANCEL, canceled("2", "2", "x"), odd(SIZES)),
    Case(read_reply, CANCEL, canceled("NaN", "2", "2"), odd(SIZES)),
    Case(read_reply, CANCEL, canceled("Infinity", "2", "2"), odd(SIZES)),
    Case(read_reply, CANCEL, canceled("\N{ARABIC-INDIC DIGIT TWO}", "2", "2"), odd(SIZES)),
    Case(read_reply, CANCEL, canceled("0" * 62 + "2", "2", "0"), Closed(Outcome.GONE)),
    Case(read_reply, CANCEL, canceled("0" * 63 + "2", "2", "0"), odd(SIZES)),
    Case(read_reply, CANCEL, canceled("2", "0", "2", "odd"), odd(SIZES)),
    Case(
        read_reply,
        MINE,
        ok({"clientOid": "my-1", "status": "OPEN"}),
        CancelAccepted(),
    ),
    Case(
        read_reply,
        MINE,
        ok({"orderId": ID, "status": "open"}),
        odd("{orderId: text, status: text}"),
    ),
    # An order.
    Case(
        read_reply,
        QUERY,
        ok(None),
        OrderReport(OrderState.MISSING, "the exchange knows no such order"),
    ),
    *(
        Case(
            read_reply,
            QueryOrder(ID, pair="btc-usdt"),
            ok({"id": ID, "symbol": "BTC-USDT", "active": active, "cancelExist": exists}),
            OrderReport(state),
        )
        for active, exists, state in (
            (True, True, OrderState.OPEN),
            (True, False, OrderState.OPEN),
            (False, True, OrderState.CANCELED),
            (False, False, OrderState.FILLED),
        )
    ),
    Case(
        read_reply,
        QueryOrder(ID),
        ok({"id": ID, "symbol": "X", "active": True, "cancelExist": True}),
        odd("{id: text, symbol: text, active: true or false, cancelExist: true or false}"),
    ),
    # Stop orders.
    Case(read_reply, STOP, ok({"cancelledOrderIds": [ID]}), CancelAccepted()),
    Case(
        read_reply,
        STOP,
        ok({"cancelledOrderIds": ["1"]}),
        odd("{cancelledOrderIds: [1 of text]}"),
    ),
    Case(read_reply, OCO, ok({"cancelledOrderIds": ["1"]}), CancelAccepted()),
    Case(read_reply, OCO, ok({"cancelledOrderIds": []}), odd("{cancelledOrderIds: [0]}")),
    Case(
        read_reply,
        ASK_STOP,
        ok(None),
        OrderReport(OrderState.MISSING, "the exchange knows no such stop order"),
    ),
    Case(read_reply, ASK_STOP, ok({"id": ID, "status": "NEW"}), OrderReport(OrderState.OPEN)),
    Case(
        read_reply,
        ASK_STOP,
        ok({"id": ID, "status": "DONE"}),
        odd("{id: text, status: text}"),
    ),
    Case(
        read_reply,
        ASK_STOP,
        ok({"orderId": ID, "status": "NEW"}),
        odd("{orderId: text, status: text}"),
    ),
    Case(
        read_reply,
        ASK_OCO,
        ok({"orderId": ID, "status": "DONE"}),
        OrderReport(OrderState.FILLED),
    ),
    Case(
        read_reply,
        ASK_OCO,
        ok({"id": ID, "status": "DONE"}),
        odd("{id: text, status: text}"),
    ),
    # Scopes.
    Case(read_reply, CancelScope("BTC-USDT"), ok("success"), ScopeCanceled()),
    Case(read_reply, CancelScope("BTC-USDT"), ok("failed"), odd("text")),
    Case(read_reply, CancelScope(), ok({"failedSymbols": []}), ScopeCanceled()),
    Case(read_reply, CancelScope(), ok({}), odd("{}")),
    Case(
        read_reply,
        CancelScope(),
        ok({"failedSymbols": ["A-B"]}),
        odd("{failedSymbols: [1 of text]}"),
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_whole_answers(case: Case) -> None:
    """A parameter that is refused counts by the words alone."""
    check(case)


@pytest.mark.parametrize(
    ("reset", "wait_ms"),
    [
        (" 1500 ", 1_500),
        ("60001", 60_000),
        ("9" * 9, 60_000),
        ("9" * 10, 3_000),
        ("\N{ARABIC-INDIC DIGIT ONE}", 3_000),
        ("x", 3_000),
        ("", 3_000),
        ("0", 0),
    ],
)
def test_a_window_of_weights_ends_within_a_minute(reset: str, wait_ms: int) -> None:
    """Else the wait is that of any server."""
    headers = {"gw-ratelimit-reset": reset, "retry-after": "3"}
    reply = Reply(429, headers, json.dumps(error("429000")).encode(), received_ms=0)
    words = f"HTTP 429: 429000 {WORDS}"
    assert read_reply(CANCEL, reply) == unproven(THROTTLED, words, retry_after_ms=wait_ms)


def test_only_a_refusal_for_the_rate_waits_for_the_window() -> None:
    """Every reply says when that ends."""
    headers = {"gw-ratelimit-reset": "100"}
    reply = Reply(401, headers, json.dumps(error("400001")).encode(), received_ms=0)
    assert read_reply(CANCEL, reply) == unproven(UNAUTHORIZED, f"HTTP 401: 400001 {WORDS}")
