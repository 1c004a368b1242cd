"""Whole answers of Binance: outcome, words for people, waits and flags."""

from __future__ import annotations

import pytest

from tests.support.whole_answers import (
    SHAPE,
    THROTTLED,
    UNAVAILABLE,
    UNDOCUMENTED,
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
from worker.model.outcomes import (
    CancelAccepted,
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
)

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

STOP, ASK_STOP = CancelOrder("7", "BTCUSDT", stop=True), QueryOrder("7", "BTCUSDT", stop=True)
ALGO = {"algoId": 7, "code": "200", "symbol": "BTCUSDT", "algoStatus": "NEW"}
ODD = "{algoId: number, code: text, symbol: text, algoStatus: text}"
ROW = "{orderId: number, symbol: text, side: text, status: text, clientOrderId: text}"
NOTHING_KNOWN = f"HTTP 200: {UNDOCUMENTED}; "
# Spot has no orders of its own for algo ids: a stop order is one of the book.
BINANCE_CASES += [
    Case(BINANCE, STOP, {**B_ROW, "status": "CANCELED"}, Closed(Outcome.CANCELED)),
    Case(BINANCE, ASK_STOP, B_ROW, OrderReport(OrderState.OPEN)),
    Case(BINANCE, STOP, ALGO, CancelAccepted()),
    Case(BINANCE, STOP, {**ALGO, "algoId": 8}, unproven(UNKNOWN, NOTHING_KNOWN + ODD)),
    Case(BINANCE, ASK_STOP, ALGO, OrderReport(OrderState.OPEN)),
    Case(BINANCE, ASK_STOP, {**ALGO, "algoId": 8}, unproven(UNKNOWN, NOTHING_KNOWN + ODD)),
    Case(BINANCE, QueryOrder("7", stop=True), ALGO, unproven(UNKNOWN, NOTHING_KNOWN + ODD)),
    Case(BINANCE, QueryOrder("7"), B_ROW, unproven(UNKNOWN, NOTHING_KNOWN + ROW)),
    # A status without a documented code.
    Case(BINANCE, B_CANCEL, {"msg": "odd"}, unproven(UNKNOWN, "HTTP 400: odd"), 400),
    Case(
        BINANCE,
        B_CANCEL,
        {"msg": "odd"},
        unproven(THROTTLED, "HTTP 429: odd", retry_after_ms=3_000),
        429,
    ),
    Case(
        BINANCE,
        B_CANCEL,
        {"msg": "odd"},
        unproven(UNKNOWN, "HTTP 500: odd", retry_after_ms=3_000),
        500,
    ),
    Case(
        BINANCE,
        B_CANCEL,
        {"msg": "Service Unavailable."},
        unproven(UNAVAILABLE, "HTTP 503: Service Unavailable.", retry_after_ms=3_000),
        503,
    ),
    Case(BINANCE, B_CANCEL, failed([]), unproven(UNKNOWN, "HTTP 400: some words"), 400),
    Case(BINANCE, B_CANCEL, failed(-1003.0), unproven(UNKNOWN, "HTTP 400: some words"), 400),
    Case(
        BINANCE,
        B_CANCEL,
        failed(-1003),
        unproven(THROTTLED, "HTTP 418: some words", retry_after_ms=3_000, banned=True),
        418,
    ),
    Case(BINANCE, B_CANCEL, failed(0), unproven(THROTTLED, "HTTP 403: some words"), 403),
    Case(BINANCE, B_CANCEL, {}, unproven(UNKNOWN, f"{NOTHING_KNOWN}{{}}")),
]


@pytest.mark.parametrize("case", BINANCE_CASES)
def test_whole_answers(case: Case) -> None:
    """A row that cannot be read leaves a list incomplete and hides no other row."""
    check(case)
