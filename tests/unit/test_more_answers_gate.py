"""Whole answers of Gate: how orders ended, and what is about another command."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.whole_answers import UNAUTHORIZED, UNDOCUMENTED, UNKNOWN, Case, check, unproven
from worker.exchanges.gate.adapter import GATE, GATE_FUTURES
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    ListOpenOrders,
    ListPairs,
    ListStopOrders,
    QueryOrder,
)
from worker.model.outcomes import OpenOrder, OpenOrders, OrderReport, OrderState, Unproven
from worker.model.wire import Reply

SPOT, FUTURES = GATE.classify, GATE_FUTURES.classify
ID = "12345678"
CANCEL, QUERY = CancelOrder(ID, pair="BTC_USDT"), QueryOrder(ID, pair="BTC_USDT")
ROW = {"id": ID, "currency_pair": "BTC_USDT", "side": "buy", "contract": "BTC_USDT", "size": 1}
OPEN, FILLED, CANCELED = OrderState.OPEN, OrderState.FILLED, OrderState.CANCELED
SPOT_STATES: list[tuple[str, str, OrderState | None]] = [
    ("open", "", OPEN),
    ("open", "open", OPEN),
    ("open", "ioc", None),
    ("closed", "", FILLED),
    ("closed", "filled", FILLED),
    ("closed", "cancelled", None),
    ("cancelled", "", CANCELED),
    ("canceled", "", CANCELED),
    ("canceled", "canceled", CANCELED),
    ("closed", "ioc", FILLED),
    ("canceled", "stp", FILLED),
    ("cancelled", "stp", FILLED),
    ("odd", "", None),
]
FUTURES_STATES: list[tuple[str, str, OrderState | None]] = [
    ("open", "", OPEN),
    ("open", "open", OPEN),
    ("open", "ioc", None),
    ("finished", "cancelled", CANCELED),
    ("finished", "ioc", FILLED),
    ("finished", "", None),
]


@pytest.mark.parametrize(
    ("market", "status", "ended", "state"),
    [
        *(("spot", *row) for row in SPOT_STATES),
        *(("futures", *row) for row in FUTURES_STATES),
    ],
)
def test_how_an_order_ended(market: str, status: str, ended: str, state: OrderState | None) -> None:
    """A way to end that does not fit the status proves nothing."""
    raw = json.dumps({**ROW, "status": status, "finish_as": ended}).encode()
    answer = (SPOT if market == "spot" else FUTURES)(QUERY, Reply(200, {}, raw, received_ms=0))
    if state is None:
        assert isinstance(answer, Unproven)
    else:
        assert answer == OrderReport(state)


CASES = [
    # Without a label, the message is shown.
    Case(
        SPOT,
        CANCEL,
        {"message": "odd"},
        unproven(UNKNOWN, "HTTP 500: odd", retry_after_ms=3_000),
        500,
    ),
    # Only an order is said not to be found.
    Case(
        SPOT,
        CancelScope("BTC_USDT"),
        {"label": "ORDER_NOT_FOUND", "message": "odd"},
        unproven(UNAUTHORIZED, "HTTP 401: ORDER_NOT_FOUND odd"),
        401,
    ),
    Case(SPOT, ListPairs(after="100"), {}, unproven(UNKNOWN, f"HTTP 200: {UNDOCUMENTED}; {{}}")),
]


@pytest.mark.parametrize("case", CASES)
def test_whole_answers(case: Case) -> None:
    """What is about another command, or has another form."""
    check(case)


TRIGGER = {"trigger": {"price": "1"}, "market": "BTC_USDT", "put": {"side": "buy"}}


@pytest.mark.parametrize(
    ("read", "scope", "row", "stop"),
    [
        (SPOT, ListStopOrders(), {"id": ID, "status": "open", **TRIGGER}, True),
        (FUTURES, ListOpenOrders(), {**ROW, "status": "open"}, False),
    ],
)
def test_only_open_spot_orders_of_the_account_come_grouped_by_pair(
    read: Any, scope: ListOpenOrders | ListStopOrders, row: dict[str, object], *, stop: bool
) -> None:
    """Other lists have the rows themselves; each row's id is kept."""
    answer = read(scope, Reply(200, {}, json.dumps([row]).encode(), received_ms=0))
    assert isinstance(answer, OpenOrders)
    assert answer.orders == (OpenOrder(ID, "BTC_USDT", "buy", stop=stop),)
    assert answer.seen == (ID,)
