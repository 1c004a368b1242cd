"""Whole answers of Bybit: outcome, words for people, waits and flags."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.whole_answers import (
    REJECTED,
    THROTTLED,
    UNAVAILABLE,
    UNDOCUMENTED,
    UNKNOWN,
    Case,
    check,
    unproven,
)
from worker.exchanges.bybit.replies import read_reply
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
from worker.model.wire import Reply

ID = "c6f055d9"
CANCEL, QUERY = CancelOrder(ID, pair="BTCUSDT"), QueryOrder(ID, pair="BTCUSDT")
MINE = CancelOrder(ID, pair="BTCUSDT", client_order_id="my-1")
LIST, ALL, SCOPE = ListOpenOrders("BTCUSDT"), ListOpenOrders(), CancelScope("BTCUSDT")
NOW_MS = 1_700_000_000_000
RESET = "x-bapi-limit-reset-timestamp"


def body(code: object = 0, words: str = "some words", **result: object) -> dict[str, object]:
    """Build a body."""
    return {"retCode": code, "retMsg": words, "result": result}


def row(**other: object) -> dict[str, object]:
    """Build an open order."""
    named = {"symbol": "BTCUSDT", "orderId": ID, "orderLinkId": "my-1", "side": "Buy"}
    return {**named, "orderStatus": "New", **other}


def odd(result: str) -> Unproven:
    """Build the answer to what Bybit documents nowhere."""
    shape = f"{{retCode: number, retMsg: text, result: {result}}}"
    return unproven(UNKNOWN, f"HTTP 200: {UNDOCUMENTED}; {shape}")


def found(*, after: str = "", complete: bool = True) -> OpenOrders:
    """Build the answer to a page with one order."""
    return OpenOrders((OpenOrder(ID, "BTCUSDT", "buy"),), complete, after, (ID,))


MISSING = "the exchange lists no such order"
NEAR, PAST = f"{MISSING} among its open and newest closed ones", f"{MISSING} in its history"
CASES = [
    Case(read_reply, CANCEL, body(orderId=ID), CancelAccepted()),
    Case(read_reply, MINE, body(orderLinkId="my-1"), CancelAccepted()),
    Case(read_reply, MINE, body(orderId=ID), odd("{orderId: text}")),
    Case(read_reply, CANCEL, body(), odd("{}")),
    Case(
        read_reply,
        CANCEL,
        body(orderId=ID) | {"retCode": 0.0},
        unproven(UNKNOWN, "HTTP 200: {retCode: fraction, retMsg: text, result: {orderId: text}}"),
    ),
    Case(
        read_reply,
        CANCEL,
        body(orderId=ID),
        unproven(UNAVAILABLE, "HTTP 500", retry_after_ms=3_000),
        500,
    ),
    Case(
        read_reply,
        CANCEL,
        {"message": "access too frequent"},
        unproven(THROTTLED, "HTTP 403: access too frequent", retry_after_ms=600_000, banned=True),
        403,
    ),
    Case(
        read_reply,
        CANCEL,
        {"message": "too many"},
        unproven(THROTTLED, "HTTP 429: too many", retry_after_ms=3_000),
        429,
    ),
    Case(read_reply, CANCEL, "page", unproven(UNKNOWN, "HTTP 200: page")),
    # Errors, with the words of the exchange.
    Case(
        read_reply,
        CANCEL,
        body(10002),
        unproven(UNAVAILABLE, "10002 some words", clock_refused=True),
    ),
    Case(read_reply, CANCEL, body(110010), Closed(Outcome.CANCELED, "110010 some words")),
    Case(read_reply, CANCEL, body(110001), unproven(UNKNOWN, "110001 some words", missing=True)),
    Case(read_reply, QUERY, body(110001), unproven(UNKNOWN, "110001 some words")),
    Case(read_reply, QUERY, body(110010), unproven(UNKNOWN, "110010 some words")),
    Case(read_reply, CANCEL, body(10001), unproven(REJECTED, "10001 some words")),
    Case(read_reply, CANCEL, body(-1, ""), unproven(UNKNOWN, "-1")),
    Case(read_reply, CANCEL, body(10006), unproven(THROTTLED, "10006 some words")),
    Case(read_reply, CANCEL, body(1, "w" * 300), unproven(UNKNOWN, f"1 {'w' * 198}")),
    # Scopes and orders.
    Case(read_reply, SCOPE, body(list=[], success="1"), ScopeCanceled()),
    Case(read_reply, SCOPE, body(list=[], success=None), ScopeCanceled()),
    Case(read_reply, SCOPE, body(list=[], success=1), odd("{list: [0], success: number}")),
    Case(read_reply, SCOPE, body(success="1"), odd("{success: text}")),
    Case(read_reply, QUERY, body(list=[]), OrderReport(OrderState.MISSING, NEAR)),
    Case(
        read_reply,
        QueryOrder(ID, pair="BTCUSDT", past=True),
        body(list=[]),
        OrderReport(OrderState.MISSING, PAST),
    ),
    Case(read_reply, QueryOrder(ID), body(list=[]), odd("{list: [0]}")),
    Case(
        read_reply,
        QueryOrder(ID, pair="btcusdt"),
        body(list=[row()], category="spot"),
        OrderReport(OrderState.OPEN),
    ),
    Case(
        read_reply,
        QUERY,
        body(list=[row(orderStatus="Filled", stopOrderType="Stop")], category="spot"),
        OrderReport(OrderState.FILLED),
    ),
    Case(
        read_reply,
        QUERY,
        body(list=[row(stopOrderType="Stop")], category="linear"),
        OrderReport(OrderState.OPEN),
    ),
    Case(
        read_reply,
        QUERY,
        body(list=[row(stopOrderType="Stop")], category="spot"),
        OrderReport(OrderState.OPEN, stop_kind="StopOrder"),
    ),
    Case(read_reply, LIST, body(list={}), odd("{list: {}}")),
    Case(read_reply, LIST, body(list=[row()]), found()),
    Case(read_reply, ALL, body(list=[row()]), found(complete=False)),
    Case(read_reply, ALL, body(list=[row()], category="inverse"), found()),
    Case(read_reply, ALL, body(list=[row()], category="linear"), found(after="USDC:")),
    Case(
        read_reply,
        ListOpenOrders(after="USDC:x"),
        body(list=[row()], category="linear"),
        found(),
    ),
    Case(
        read_reply,
        ListOpenOrders(after="odd"),
        body(list=[row()], category="linear"),
        found(),
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_whole_answers(case: Case) -> None:
    """An error counts by its code, whatever its words are."""
    check(case)


@pytest.mark.parametrize(
    ("resets", "now", "wait_ms"),
    [
        (f" {NOW_MS + 10_000} ", NOW_MS, 10_000),
        (f"{NOW_MS + 10_001}", NOW_MS, None),
        (f"{NOW_MS}", f"{NOW_MS}", 0),
        (f"{NOW_MS - 1}", NOW_MS, None),
        ("1" * 15, "1" * 15, 0),
        ("1" * 16, "1" * 16, None),
        ("\N{ARABIC-INDIC DIGIT ONE}", "1", None),
        ("1", "\N{ARABIC-INDIC DIGIT ONE}", None),
        ("1", "", None),
        ("x", "1", None),
    ],
)
def test_a_limit_is_reset_within_ten_seconds(resets: str, now: object, wait_ms: int | None) -> None:
    """By two times of the exchange; the same for its code and for HTTP 429."""
    for status in (200, 429):
        told: dict[str, Any] = {**body(10006, "slow"), "time": now}
        reply = Reply(status, {RESET: resets}, json.dumps(told).encode(), received_ms=0)
        words = "10006 slow" if status == 200 else "HTTP 429"
        assert read_reply(CANCEL, reply) == unproven(THROTTLED, words, retry_after_ms=wait_ms)
    reply = Reply(503, {RESET: resets}, json.dumps({"time": now}).encode(), received_ms=0)
    assert read_reply(CANCEL, reply) == unproven(UNAVAILABLE, "HTTP 503")
    told = {**body(10001, "no"), "time": now}
    reply = Reply(200, {RESET: resets}, json.dumps(told).encode(), received_ms=0)
    assert read_reply(CANCEL, reply) == unproven(REJECTED, "10001 no")
