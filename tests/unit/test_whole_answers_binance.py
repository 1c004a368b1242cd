"""Whole answers of Binance: outcome, words for people, waits and flags."""

from __future__ import annotations

import pytest

from tests.support.whole_answers import (
    SHAPE,
    THROTTLED,
    UNAVAILABLE,
    UNKNOWN,
    Case,
    check,
    failed,
    unproven,
)
from worker.exchanges.binance import replies as binance
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
)
from worker.model.outcomes import OpenOrder, OpenOrders, OrderReport, OrderState, ScopeCanceled

BINANCE = binance.read_reply
B_CANCEL, B_QUERY = CancelOrder("7", pair="BTCUSDT"), QueryOrder("7", pair="BTCUSDT")
B_LIST = ListOpenOrders(pair="BTCUSDT")
B_SELLS = ListOpenOrders(pair="BTCUSDT", side="sell")
B_MINE = ListOpenOrders(pair="BTCUSDT", client_id_prefix="my")
B_ROW = {
    "orderId": 7,
    "symbol": "BTCUSDT",
    "side": "BUY",
    "status": "NEW",
    "clientOrderId": "my1",
}
B_OPEN = OpenOrder("7", "BTCUSDT", "buy")
S_LIST, S_MINE = (
    ListStopOrders(pair="BTCUSDT"),
    ListStopOrders(pair="BTCUSDT", client_id_prefix="my"),
)
S_ROW = {
    "algoId": 7,
    "symbol": "BTCUSDT",
    "side": "BUY",
    "algoStatus": "NEW",
    "clientAlgoId": "my1",
}
S_OPEN = OpenOrder("7", "BTCUSDT", "buy", stop=True)
BINANCE_CASES = [
    Case(
        BINANCE,
        ListOpenOrders(pair="BTCUSDT", side="buy"),
        [B_ROW],
        OpenOrders((B_OPEN,), complete=True),
    ),
    Case(
        BINANCE,
        ListStopOrders(pair="BTCUSDT", side="buy"),
        [S_ROW],
        OpenOrders((S_OPEN,), complete=True),
    ),
    Case(
        BINANCE,
        B_CANCEL,
        failed(-1021),
        unproven(UNAVAILABLE, "HTTP 400: some words", clock_refused=True),
        400,
    ),
    Case(
        BINANCE,
        CancelScope(pair="BTCUSDT"),
        failed(-2011, "Unknown order sent."),
        ScopeCanceled(0),
        400,
    ),
    Case(
        BINANCE,
        CancelScope(pair="BTCUSDT"),
        failed(-2011, "Not now"),
        unproven(UNKNOWN, "HTTP 400: Not now"),
        400,
    ),
    Case(
        BINANCE,
        B_CANCEL,
        failed(-2011, "Unknown order sent."),
        unproven(UNKNOWN, "HTTP 400: Unknown order sent.", missing=True),
        400,
    ),
    Case(
        BINANCE,
        B_QUERY,
        failed(-2013),
        OrderReport(OrderState.MISSING, "HTTP 400: some words"),
        400,
    ),
    Case(
        BINANCE, B_QUERY, failed(-2026), OrderReport(OrderState.FILLED, "HTTP 400: some words"), 400
    ),
    Case(BINANCE, B_CANCEL, failed(-9, ""), unproven(UNKNOWN, f"HTTP 400: {SHAPE}"), 400),
    Case(BINANCE, B_CANCEL, failed(-9), unproven(UNKNOWN, "HTTP 400: some words"), 400),
    Case(
        BINANCE,
        B_CANCEL,
        failed(-1003, "try again in 0.5 seconds"),
        unproven(THROTTLED, "HTTP 429: try again in 0.5 seconds", retry_after_ms=500),
        429,
    ),
    Case(BINANCE, B_CANCEL, failed(-1008), unproven(UNAVAILABLE, "HTTP 503: some words"), 503),
    Case(BINANCE, B_LIST, [B_ROW], OpenOrders((B_OPEN,), complete=True)),
    Case(BINANCE, B_SELLS, [B_ROW], OpenOrders((), complete=True)),
    Case(BINANCE, B_MINE, [B_ROW], OpenOrders((B_OPEN,), complete=True)),
    Case(BINANCE, B_MINE, [{**B_ROW, "clientOrderId": ""}], OpenOrders((), complete=False)),
    Case(BINANCE, B_LIST, [{**B_ROW, "clientOrderId": ""}], OpenOrders((B_OPEN,), complete=True)),
    Case(
        BINANCE, B_LIST, [{**B_ROW, "orderId": "x"}, B_ROW], OpenOrders((B_OPEN,), complete=False)
    ),
    Case(
        BINANCE,
        ListOpenOrders(),
        [{**B_ROW, "symbol": "B C"}, B_ROW],
        OpenOrders((B_OPEN,), complete=False),
    ),
    Case(
        BINANCE,
        B_LIST,
        [{**B_ROW, "status": "FILLED"}, B_ROW],
        OpenOrders((B_OPEN,), complete=True),
    ),
    Case(BINANCE, B_LIST, [{**B_ROW, "status": "ODD"}], OpenOrders((B_OPEN,), complete=False)),
    Case(BINANCE, S_LIST, [S_ROW], OpenOrders((S_OPEN,), complete=True)),
    Case(BINANCE, S_MINE, [S_ROW], OpenOrders((S_OPEN,), complete=True)),
    Case(BINANCE, S_MINE, [{**S_ROW, "clientAlgoId": "other"}], OpenOrders((), complete=True)),
    Case(
        BINANCE, ListStopOrders(pair="BTCUSDT", side="sell"), [S_ROW], OpenOrders((), complete=True)
    ),
    *(
        Case(
            BINANCE,
            ListStopOrders(),
            [{**S_ROW, **odd}, S_ROW],
            OpenOrders((S_OPEN,), complete=False),
        )
        for odd in ({"symbol": "B C"}, {"side": "up"}, {"clientAlgoId": ""}, {"algoStatus": "ODD"})
    ),
]


@pytest.mark.parametrize("case", BINANCE_CASES)
def test_whole_answers(case: Case) -> None:
    """A row that cannot be read leaves a list incomplete and hides no other row."""
    check(case)
