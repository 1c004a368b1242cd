"""Whole answers of Indodax's Trade API 2.0: outcome, words for people, waits and flags."""

from __future__ import annotations

import pytest

from tests.support.whole_answers import (
    REJECTED,
    SHAPE,
    THROTTLED,
    UNAUTHORIZED,
    UNAVAILABLE,
    UNDOCUMENTED,
    UNKNOWN,
    Case,
    check,
    failed,
    unproven,
)
from worker.exchanges.indodax_v2 import replies as indodax_v2
from worker.model.commands import CancelOrder, ListOpenOrders, QueryOrder
from worker.model.outcomes import OpenOrder, OpenOrders, OrderReport, OrderState

V2 = indodax_v2.read_reply
V2_ID = "btcidr-limit-31695"
V2_CANCEL, V2_QUERY = CancelOrder(V2_ID, pair="BTCIDR"), QueryOrder(V2_ID, pair="BTCIDR")
V2_LIST = ListOpenOrders(pair="BTCIDR")
V2_SELLS = ListOpenOrders(pair="BTCIDR", side="sell")
V2_ROW = {"orderId": V2_ID, "symbol": "btcidr", "side": "BUY", "status": "NEW"}
V2_SHAPE = "{orderId: text, symbol: text, side: text, status: text}"
V2_OPEN = OpenOrder(V2_ID, "BTCIDR", "buy")
V2_CASES = [
    Case(V2, V2_QUERY, {"code": 0, "data": V2_ROW}, OrderReport(OrderState.OPEN)),
    Case(V2, V2_QUERY, {"code": 200, "data": V2_ROW}, OrderReport(OrderState.OPEN)),
    Case(V2, V2_CANCEL, failed(-9, ""), unproven(UNKNOWN, "HTTP 200")),
    Case(
        V2,
        ListOpenOrders(pair="BTCIDR", side="buy"),
        [V2_ROW],
        OpenOrders((V2_OPEN,), complete=True),
    ),
    Case(V2, V2_QUERY, failed(-2013), OrderReport(OrderState.MISSING, "HTTP 404: some words"), 404),
    Case(V2, V2_QUERY, failed(1112), OrderReport(OrderState.MISSING, "HTTP 404: some words"), 404),
    Case(V2, V2_QUERY, failed(-9, "x"), unproven(UNKNOWN, "HTTP 404: x"), 404),
    Case(V2, V2_QUERY, failed(-2013), unproven(UNKNOWN, "HTTP 200: some words"), 200),
    Case(V2, V2_QUERY, failed(-9), unproven(UNKNOWN, "HTTP 200: some words"), 200),
    Case(
        V2,
        V2_CANCEL,
        failed(-9),
        unproven(UNAVAILABLE, "HTTP 502: some words", retry_after_ms=3_000),
        502,
    ),
    Case(V2, V2_CANCEL, failed(-9, ""), unproven(UNKNOWN, f"HTTP 404: {SHAPE}"), 404),
    Case(V2, V2_CANCEL, failed(1), unproven(UNKNOWN, "HTTP 200: some words"), 200),
    Case(V2, V2_CANCEL, failed(0), unproven(UNKNOWN, "HTTP 418: some words"), 418),
    Case(V2, V2_CANCEL, {"code": 0}, unproven(UNKNOWN, "HTTP 418: {code: number}"), 418),
    Case(
        V2,
        V2_CANCEL,
        failed(-2011, "Unknown order sent."),
        unproven(UNKNOWN, "HTTP 400: Unknown order sent.", missing=True),
        400,
    ),
    Case(
        V2,
        V2_CANCEL,
        failed(-9, "Unknown order sent."),
        unproven(UNKNOWN, "HTTP 400: Unknown order sent."),
        400,
    ),
    Case(
        V2,
        V2_QUERY,
        failed(-2011, "Unknown order sent."),
        unproven(UNKNOWN, "HTTP 400: Unknown order sent."),
        400,
    ),
    Case(
        V2,
        V2_CANCEL,
        failed(-1021),
        unproven(UNAVAILABLE, "HTTP 400: some words", clock_refused=True),
        400,
    ),
    Case(
        V2,
        V2_CANCEL,
        failed(1003, "nonce must be greater than 17"),
        unproven(UNAVAILABLE, "HTTP 400: nonce must be greater than 17", nonce_floor=17),
        400,
    ),
    Case(V2, V2_CANCEL, failed(-1022), unproven(UNAUTHORIZED, "HTTP 400: some words"), 400),
    Case(
        V2,
        V2_CANCEL,
        failed(-1121, "no nonce here"),
        unproven(REJECTED, "HTTP 400: no nonce here"),
        400,
    ),
    Case(
        V2,
        V2_CANCEL,
        failed(-1003, "try again in 0.5 seconds"),
        unproven(THROTTLED, "HTTP 429: try again in 0.5 seconds", retry_after_ms=500),
        429,
    ),
    Case(V2, V2_CANCEL, failed(-1003), unproven(THROTTLED, "HTTP 400: some words"), 400),
    Case(V2, V2_CANCEL, failed(-1121), unproven(REJECTED, "HTTP 502: some words"), 502),
    Case(V2, V2_QUERY, {"data": V2_ROW}, OrderReport(OrderState.OPEN)),
    Case(
        V2,
        V2_QUERY,
        {"data": V2_ROW, "msg": "no"},
        unproven(
            UNKNOWN,
            f"HTTP 200: {UNDOCUMENTED}: no; {{data: {V2_SHAPE}, msg: text}}",
        ),
    ),
    Case(
        V2,
        V2_QUERY,
        {**V2_ROW, "orderId": "another-1"},
        unproven(
            UNKNOWN,
            f"HTTP 200: {UNDOCUMENTED}; {V2_SHAPE}",
        ),
    ),
    Case(V2, V2_QUERY, {"orderId": V2_ID, "status": "NEW"}, OrderReport(OrderState.OPEN)),
    Case(V2, QueryOrder(V2_ID, pair="btc_idr"), V2_ROW, OrderReport(OrderState.OPEN)),
    Case(
        V2,
        QueryOrder(V2_ID),
        V2_ROW,
        unproven(
            UNKNOWN,
            f"HTTP 200: {UNDOCUMENTED}; {V2_SHAPE}",
        ),
    ),
    Case(V2, V2_LIST, [V2_ROW], OpenOrders((V2_OPEN,), complete=True)),
    Case(V2, V2_SELLS, [V2_ROW], OpenOrders((), complete=True)),
    *(
        Case(V2, V2_LIST, [{**V2_ROW, **odd}, V2_ROW], OpenOrders((V2_OPEN,), complete=False))
        for odd in ({"orderId": "a b"}, {"symbol": "b c"}, {"side": "up"}, {"status": "odd"})
    ),
]


@pytest.mark.parametrize("case", V2_CASES)
def test_whole_answers(case: Case) -> None:
    """Codes count with their HTTP status, and words come from the reply."""
    check(case)
