"""Whole answers of Kraken: outcome, words for people, waits and flags."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.whole_answers import THROTTLED, UNDOCUMENTED, UNKNOWN, Case, check, unproven
from worker.exchanges.kraken import replies as kraken
from worker.model.commands import CancelOrder, CancelScope, ListOpenOrders, SetCountdown
from worker.model.outcomes import CountdownSet, OpenOrder, OpenOrders, ScopeCanceled

KRAKEN = kraken.read_reply
TXID, OTHER = "OABCDE-ABCDE-ABCDEF", "OABCDE-ABCDE-ABCDEG"
K_CANCEL, K_TIMER, K_STOP = CancelOrder(TXID), SetCountdown((), 60_000), SetCountdown((), 0)
K_ALL = CancelScope()
K_LIST = ListOpenOrders(pair="XBTUSD")


def result(found: object) -> dict[str, object]:
    """Build a body of Kraken."""
    return {"error": [], "result": found}


def k_timer(now: str, fires: str) -> Any:
    """Build Kraken's reply to a countdown."""
    return result({"currentTime": now, "triggerTime": fires})


def k_row(kind: str = "buy", pair: str = "XBTUSD", status: str = "open") -> dict[str, object]:
    """Build an open order of Kraken."""
    return {"status": status, "descr": {"pair": pair, "type": kind, "ordertype": "limit"}}


NO_K_TIMER = unproven(
    UNKNOWN,
    f"HTTP 200: {UNDOCUMENTED}; {{error: [0], result: {{currentTime: text, triggerTime: text}}}}",
)
DAY = "2023-11-14T22:13:"
K_OPEN = OpenOrder(TXID, "XBTUSD", "buy")
KRAKEN_CASES = [
    Case(
        KRAKEN,
        ListOpenOrders(pair="XBTUSD", side="buy"),
        result({"open": {TXID: k_row()}}),
        OpenOrders((K_OPEN,), complete=True),
    ),
    Case(
        KRAKEN,
        K_CANCEL,
        {"error": ["EOrder:Unknown order", "EService:Busy"]},
        unproven(UNKNOWN, "HTTP 200: EOrder:Unknown order; EService:Busy"),
    ),
    Case(
        KRAKEN,
        K_CANCEL,
        {"error": ["EService:Busy", "EGeneral:Odd"]},
        unproven(UNKNOWN, "HTTP 200: EService:Busy; EGeneral:Odd"),
    ),
    Case(
        KRAKEN, K_CANCEL, {"error": [7]}, unproven(UNKNOWN, "HTTP 418: {error: [1 of number]}"), 418
    ),
    Case(
        KRAKEN,
        K_CANCEL,
        {"error": [7]},
        unproven(UNKNOWN, f"HTTP 200: {UNDOCUMENTED}; {{error: [1 of number]}}"),
    ),
    Case(
        KRAKEN,
        K_CANCEL,
        "<p>busy</p>",
        unproven(UNKNOWN, "HTTP 503: <p>busy</p>", retry_after_ms=3_000),
        503,
    ),
    Case(
        KRAKEN,
        K_CANCEL,
        "<p>slow</p>",
        unproven(THROTTLED, "HTTP 429: <p>slow</p>", retry_after_ms=3_000),
        429,
    ),
    Case(KRAKEN, K_TIMER, k_timer(f"{DAY}00Z", f"{DAY}59Z"), CountdownSet()),
    Case(KRAKEN, K_TIMER, k_timer(f"{DAY}00Z", f"{DAY}58.5Z"), NO_K_TIMER),
    Case(KRAKEN, K_TIMER, k_timer(f"{DAY}00Z", "0"), NO_K_TIMER),
    Case(KRAKEN, SetCountdown((), 60_900), k_timer(f"{DAY}00.5Z", f"{DAY}59.5Z"), CountdownSet()),
    Case(KRAKEN, K_STOP, k_timer(f"{DAY}00Z", "0"), CountdownSet()),
    Case(KRAKEN, K_STOP, k_timer(f"{DAY}00Z", f"{DAY}00Z"), CountdownSet()),
    Case(KRAKEN, K_STOP, k_timer(f"{DAY}01Z", f"{DAY}00Z"), CountdownSet()),
    Case(KRAKEN, K_STOP, k_timer(f"{DAY}00Z", f"{DAY}01Z"), NO_K_TIMER),
    Case(KRAKEN, K_STOP, k_timer(f"{DAY}00Z", "soon"), NO_K_TIMER),
    Case(KRAKEN, K_TIMER, k_timer("2023-11-14 22:13:00", "2023-11-14 22:14:00"), NO_K_TIMER),
    Case(KRAKEN, K_LIST, result({"open": {TXID: k_row()}}), OpenOrders((K_OPEN,), complete=True)),
    Case(
        KRAKEN,
        ListOpenOrders(pair="XBTUSD", side="sell"),
        result({"open": {TXID: k_row()}}),
        OpenOrders((), complete=True),
    ),
    Case(
        KRAKEN,
        K_LIST,
        result({"open": {OTHER: k_row(status="closed"), TXID: k_row()}}),
        OpenOrders((K_OPEN,), complete=True),
    ),
    Case(
        KRAKEN,
        K_LIST,
        result({"open": {OTHER: k_row(pair="X Y"), TXID: k_row()}}),
        OpenOrders((K_OPEN,), complete=False),
    ),
    # Of cancels that are pending nothing is known but that there are so many.
    Case(KRAKEN, K_ALL, result({"count": 0, "pending": True}), ScopeCanceled()),
    Case(KRAKEN, K_ALL, result({"count": 2, "pending": True}), ScopeCanceled()),
    Case(KRAKEN, K_ALL, result({"count": 2, "pending": False}), ScopeCanceled(2)),
    Case(
        KRAKEN,
        K_ALL,
        result({"count": -1, "pending": True}),
        unproven(
            UNKNOWN,
            f"HTTP 200: {UNDOCUMENTED}; "
            "{error: [0], result: {count: number, pending: true or false}}",
        ),
    ),
]


@pytest.mark.parametrize("case", KRAKEN_CASES)
def test_whole_answers(case: Case) -> None:
    """Errors that differ in what they mean prove nothing together."""
    check(case)
