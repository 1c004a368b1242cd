"""Whole answers of OKX: outcome, words for people, waits and flags."""

from __future__ import annotations

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
from worker.exchanges.okx import replies as okx
from worker.model.commands import CancelOrder, ListOpenOrders, QueryOrder, SetCountdown
from worker.model.outcomes import CancelAccepted, CountdownSet, OrderReport, OrderState, Unproven

OKX = okx.read_reply
ID = "590908157585625111"
OKX_CANCEL, OKX_QUERY = CancelOrder(ID, pair="BTC-USDT"), QueryOrder(ID, pair="BTC-USDT")
OKX_LIST, OKX_TIMER, OKX_STOP = ListOpenOrders(), SetCountdown((), 60_000), SetCountdown((), 0)
NOW_MS = 1_700_000_000_000


def data(*rows: object, code: str = "0", msg: str = "") -> dict[str, object]:
    """Build a body of OKX."""
    return {"code": code, "msg": msg, "data": list(rows)}


def canceled(code: str, words: str = "row words", *, top: str = "1", **other: object) -> Any:
    """Build OKX's reply to one cancel."""
    return data({"ordId": ID, "sCode": code, "sMsg": words, **other}, code=top, msg="top words")


def timed(fires: object, at: object = str(NOW_MS)) -> Any:
    """Build OKX's reply to a countdown."""
    return data({"triggerTime": fires, "ts": at})


def odd_okx(words: str, row: str) -> Unproven:
    """Build the answer to what OKX documents nowhere."""
    shape = f"{{code: text, msg: text, data: [1 of {{{row}}}]}}"
    return unproven(UNKNOWN, f"HTTP 200: {UNDOCUMENTED}{words}; {shape}")


NO_TIMER = odd_okx("", "triggerTime: text, ts: text")
ARABIC = {ord(str(digit)): chr(0x660 + digit) for digit in range(10)}
OKX_CASES = [
    Case(OKX, OKX_CANCEL, canceled("0", "", top="0"), CancelAccepted()),
    Case(
        OKX,
        OKX_CANCEL,
        canceled("51400", top="0"),
        unproven(UNKNOWN, "HTTP 200: 51400 row words", missing=True),
    ),
    Case(
        OKX,
        OKX_QUERY,
        data({"ordId": ID, "instId": "BTC-USDT", "state": "live", "sCode": "51000"}),
        unproven(UNKNOWN, "HTTP 200: 51000"),
    ),
    Case(
        OKX,
        OKX_CANCEL,
        canceled("51400", top="2"),
        unproven(UNKNOWN, "HTTP 200: 51400 row words", missing=True),
    ),
    Case(
        OKX,
        OKX_CANCEL,
        canceled("51400", ""),
        unproven(UNKNOWN, "HTTP 200: 51400 top words", missing=True),
    ),
    Case(OKX, OKX_CANCEL, canceled("51400"), unproven(UNKNOWN, "HTTP 400: 51400 row words"), 400),
    Case(OKX, OKX_QUERY, canceled("51400"), unproven(UNKNOWN, "HTTP 200: 51400 row words")),
    Case(
        OKX,
        OKX_QUERY,
        data(code="51603", msg="gone"),
        OrderReport(OrderState.MISSING, "HTTP 200: 51603 gone"),
    ),
    Case(
        OKX,
        OKX_QUERY,
        data(code="51603", msg="gone"),
        unproven(UNKNOWN, "HTTP 404: 51603 gone"),
        404,
    ),
    Case(
        OKX, OKX_CANCEL, data(code="51603", msg="gone"), unproven(UNKNOWN, "HTTP 200: 51603 gone")
    ),
    Case(OKX, OKX_CANCEL, canceled("51410"), CancelAccepted("HTTP 200: 51410 row words")),
    Case(OKX, OKX_CANCEL, canceled("51410"), unproven(UNKNOWN, "HTTP 400: 51410 row words"), 400),
    Case(
        OKX,
        OKX_CANCEL,
        canceled("51410", ordId="7"),
        unproven(UNKNOWN, "HTTP 200: 51410 row words"),
    ),
    Case(
        OKX,
        OKX_CANCEL,
        data(code="50102", msg="late"),
        unproven(UNAVAILABLE, "HTTP 401: 50102 late", clock_refused=True),
        401,
    ),
    Case(
        OKX,
        OKX_CANCEL,
        data(code="59999", msg="odd"),
        unproven(UNAVAILABLE, "HTTP 503: 59999 odd", retry_after_ms=3_000),
        503,
    ),
    Case(
        OKX,
        OKX_CANCEL,
        data(code="50011", msg="slow"),
        unproven(THROTTLED, "HTTP 429: 50011 slow", retry_after_ms=3_000),
        429,
    ),
    Case(
        OKX,
        OKX_CANCEL,
        data(code="50011", msg="try again in 0.5 seconds"),
        unproven(THROTTLED, "HTTP 429: 50011 try again in 0.5 seconds", retry_after_ms=500),
        429,
    ),
    Case(
        OKX,
        OKX_CANCEL,
        data(code="51001", msg="no pair"),
        unproven(REJECTED, "HTTP 503: 51001 no pair"),
        503,
    ),
    Case(
        OKX, OKX_CANCEL, data(code="1", msg="all failed"), unproven(UNKNOWN, "HTTP 200: all failed")
    ),
    Case(
        OKX,
        OKX_CANCEL,
        {"code": "1", "data": []},
        unproven(UNKNOWN, "HTTP 200: {code: text, data: [0]}"),
    ),
    Case(
        OKX,
        OKX_CANCEL,
        canceled("0", "", top="0"),
        unproven(UNAVAILABLE, "HTTP 503: top words", retry_after_ms=3_000),
        503,
    ),
    Case(OKX, OKX_CANCEL, canceled("0", "", top="2"), unproven(UNKNOWN, "HTTP 200: top words")),
    Case(OKX, OKX_CANCEL, data({"ordId": ID}), odd_okx("", "ordId: text")),
    Case(OKX, OKX_CANCEL, {**data({"ordId": ID}), "msg": "odd"}, odd_okx(": odd", "ordId: text")),
    Case(
        OKX,
        OKX_QUERY,
        data({"ordId": ID, "instId": "BTC-USDT", "state": "live"}),
        OrderReport(OrderState.OPEN),
    ),
    Case(OKX, OKX_TIMER, timed(str(NOW_MS + 60_000)), CountdownSet()),
    Case(OKX, OKX_TIMER, timed(NOW_MS + 61_000), CountdownSet()),
    Case(OKX, OKX_TIMER, timed(str(NOW_MS + 61_001)), NO_TIMER),
    Case(OKX, OKX_TIMER, timed(str(NOW_MS // 1_000 + 60), str(NOW_MS // 1_000)), CountdownSet()),
    Case(OKX, OKX_TIMER, timed(str(NOW_MS // 1_000 + 60)), CountdownSet()),
    Case(OKX, OKX_TIMER, timed("60", "0"), NO_TIMER),
    Case(OKX, OKX_TIMER, timed("x"), NO_TIMER),
    Case(OKX, OKX_TIMER, timed(str(NOW_MS + 60_000).translate(ARABIC)), NO_TIMER),
    Case(OKX, OKX_TIMER, timed(str(10**11 + 60_000), str(10**11)), NO_TIMER),
    Case(OKX, OKX_TIMER, timed("\N{ARABIC-INDIC DIGIT ONE}"), NO_TIMER),
    Case(OKX, OKX_TIMER, timed("1" * 15, "1" * 14 + "2"), NO_TIMER),
    Case(OKX, OKX_TIMER, timed(str(10**14 + 60_000), str(10**14)), CountdownSet()),
    Case(OKX, OKX_TIMER, timed(str(10**15 + 60_000), str(10**15)), NO_TIMER),
    Case(OKX, OKX_STOP, timed("0"), CountdownSet()),
    Case(OKX, OKX_STOP, timed("0", "x"), NO_TIMER),
    Case(OKX, OKX_STOP, timed(str(NOW_MS)), NO_TIMER),
]


@pytest.mark.parametrize("case", OKX_CASES)
def test_whole_answers(case: Case) -> None:
    """The code of the order counts before the code of the request, and its words too."""
    check(case)
