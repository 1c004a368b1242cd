"""Whole answers of Gate: outcome, words for people, waits and flags."""

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
from worker.exchanges.gate.adapter import GATE, GATE_FUTURES
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import (
    Closed,
    CountdownSet,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

SPOT, FUTURES = GATE.classify, GATE_FUTURES.classify
ID = "12345678"
CANCEL, QUERY = CancelOrder(ID, pair="BTC_USDT"), QueryOrder(ID, pair="BTC_USDT")
LIST, STOPS = ListOpenOrders("BTC_USDT"), ListStopOrders("BTC_USDT")
TIMER, OFF = SetCountdown(("BTC_USDT",), 60_000), SetCountdown(("BTC_USDT",), 0)
NOW_MS = 1_700_000_000_000


def spot(**other: object) -> dict[str, object]:
    """Build an open spot order, with no client order id."""
    named = {"id": ID, "currency_pair": "BTC_USDT", "side": "buy", "status": "open"}
    return {**named, **other}


def error(label: str, words: str = "some words") -> dict[str, str]:
    """Build an error."""
    return {"label": label, "message": words}


def odd(shape: str, words: str = "") -> Unproven:
    """Build the answer to what Gate documents nowhere."""
    return unproven(UNKNOWN, f"HTTP 200: {UNDOCUMENTED}{words}; {shape}")


def found(*orders: OpenOrder, complete: bool = True, seen: tuple[str, ...] = (ID,)) -> OpenOrders:
    """Build the answer to a page of a list."""
    return OpenOrders(orders, complete, "", seen)


BUY = OpenOrder(ID, "BTC_USDT", "buy")
SIDED = ListOpenOrders("BTC_USDT", "buy")
GRID = ListOpenOrders("BTC_USDT", client_id_prefix="t-grid-")
CASES = [
    Case(SPOT, CANCEL, {}, odd("{}")),
    Case(SPOT, CANCEL, {"message": "busy"}, odd("{message: text}", ": busy")),
    Case(SPOT, CancelScope("BTC_USDT"), {"a": 1}, odd("{a: number}")),
    Case(SPOT, CANCEL, error("ODD"), unproven(UNKNOWN, "HTTP 200: some words")),
    # A label with a client error.
    Case(
        SPOT,
        CANCEL,
        error("REQUEST_EXPIRED"),
        unproven(UNAVAILABLE, "HTTP 400: REQUEST_EXPIRED some words", clock_refused=True),
        400,
    ),
    Case(
        SPOT,
        CANCEL,
        error("ORDER_CANCELLED"),
        Closed(Outcome.CANCELED, "HTTP 400: ORDER_CANCELLED some words"),
        400,
    ),
    Case(
        SPOT,
        CANCEL,
        error("ORDER_CLOSED", ""),
        unproven(UNKNOWN, "HTTP 400: ORDER_CLOSED", missing=True),
        400,
    ),
    Case(
        SPOT,
        QUERY,
        error("ORDER_NOT_FOUND"),
        OrderReport(OrderState.MISSING, "HTTP 404: ORDER_NOT_FOUND some words"),
        404,
    ),
    Case(
        SPOT,
        QUERY,
        error("ORDER_CLOSED"),
        unproven(UNKNOWN, "HTTP 404: ORDER_CLOSED some words"),
        404,
    ),
    Case(
        SPOT,
        LIST,
        error("ORDER_NOT_FOUND"),
        unproven(UNKNOWN, "HTTP 499: ORDER_NOT_FOUND some words"),
        499,
    ),
    Case(SPOT, CANCEL, error("ODD"), unproven(UNAUTHORIZED, "HTTP 401: ODD some words"), 401),
    Case(
        SPOT,
        CANCEL,
        error("INVALID_CURRENCY_PAIR"),
        unproven(REJECTED, "HTTP 401: INVALID_CURRENCY_PAIR some words"),
        401,
    ),
    Case(
        SPOT,
        CANCEL,
        error("ODD", "w" * 300),
        unproven(UNKNOWN, f"HTTP 400: ODD {'w' * 186}"),
        400,
    ),
    Case(SPOT, CANCEL, {"message": "busy"}, unproven(UNKNOWN, "HTTP 400: busy"), 400),
    Case(SPOT, CANCEL, {"a": 1}, unproven(UNKNOWN, "HTTP 400: {a: number}"), 400),
    # Any other status, with a label or without.
    Case(
        SPOT,
        CANCEL,
        error("TOO_MANY_REQUESTS"),
        unproven(THROTTLED, "HTTP 429: TOO_MANY_REQUESTS some words", retry_after_ms=3_000),
        429,
    ),
    Case(SPOT, CANCEL, "slow", unproven(THROTTLED, "HTTP 429: slow", retry_after_ms=3_000), 429),
    Case(
        SPOT,
        CANCEL,
        error("SERVER_ERROR"),
        unproven(UNKNOWN, "HTTP 500: SERVER_ERROR some words", retry_after_ms=3_000),
        500,
    ),
    Case(SPOT, CANCEL, "down", unproven(UNKNOWN, "HTTP 599: down", retry_after_ms=3_000), 599),
    Case(SPOT, CANCEL, error("ORDER_CANCELLED"), unproven(UNKNOWN, "HTTP 302: some words"), 302),
    # Which order a row is about.
    Case(SPOT, QueryOrder(ID, pair="btc_usdt"), spot(), OrderReport(OrderState.OPEN)),
    Case(
        SPOT,
        QueryOrder("", pair="BTC_USDT"),
        spot(id=""),
        odd("{id: text, currency_pair: text, side: text, status: text}"),
    ),
    Case(SPOT, QueryOrder(ID), spot(), OrderReport(OrderState.OPEN)),
    # Which rows of a list are of the scope, and whether it is whole.
    Case(SPOT, LIST, [spot()], found(BUY)),
    Case(SPOT, LIST, [spot(id="x/1")], found(complete=False, seen=("x/1",))),
    Case(SPOT, LIST, [spot(currency_pair="")], found(complete=False)),
    Case(SPOT, LIST, [spot(side="odd")], found(OpenOrder(ID, "BTC_USDT"))),
    Case(SPOT, LIST, [spot(id="x/1"), spot()], found(BUY, complete=False, seen=("x/1", ID))),
    Case(SPOT, LIST, [spot(currency_pair="BTCUSDT", status="closed")], found()),
    Case(SPOT, LIST, [spot(currency_pair="BTCUSDT", status="odd")], found(complete=False)),
    Case(SPOT, LIST, [spot(currency_pair="ETH_USDT", status="odd")], found(complete=False)),
    Case(SPOT, SIDED, [spot()], found(BUY)),
    Case(SPOT, SIDED, [spot(side="sell")], found()),
    Case(SPOT, SIDED, [spot(side="odd")], found(complete=False)),
    Case(SPOT, GRID, [spot(text="t-grid-1")], found(BUY)),
    Case(SPOT, GRID, [spot(text="t-grid-1", currency_pair="ETH_USDT")], found()),
    Case(SPOT, GRID, [spot()], found(complete=False)),
    Case(
        SPOT,
        STOPS,
        [{"id": 1, "market": "BTCUSDT", "put": {"side": "sell"}, "status": "open"}],
        found(seen=("1",)),
    ),
    Case(
        SPOT,
        ListOpenOrders(),
        [{"orders": [spot()]}, {"orders": {}}],
        found(BUY, complete=False),
    ),
    Case(
        FUTURES,
        LIST,
        [
            {"id": 1, "contract": "BTC_USDT", "size": "0.00", "status": "open"},
            {"id": 2, "contract": "BTC_USDT", "size": "+5", "status": "open"},
            {
                "id": 3,
                "contract": "BTC_USDT",
                "size": 0,
                "auto_size": "close_long",
                "status": "open",
            },
        ],
        found(
            OpenOrder("1", "BTC_USDT"),
            OpenOrder("2", "BTC_USDT"),
            OpenOrder("3", "BTC_USDT", "sell"),
            seen=("1", "2", "3"),
        ),
    ),
    Case(
        FUTURES,
        STOPS,
        [
            {
                "id": 1,
                "initial": {"contract": "BTC_USDT", "size": 0},
                "order_type": "close-short-position",
                "status": "open",
            },
            {"id": 2, "initial": {"contract": "BTC_USDT", "size": 5}, "status": "odd"},
        ],
        found(
            OpenOrder("1", "BTC_USDT", "buy", stop=True),
            OpenOrder("2", "BTC_USDT", "buy", stop=True),
            complete=False,
            seen=("1", "2"),
        ),
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_whole_answers(case: Case) -> None:
    """The label counts with a client error alone; the words are the exchange's own."""
    check(case)


def timed(command: SetCountdown, fires: object, taken: str) -> bool:
    """Return whether a reply to a countdown says that it was set."""
    body = json.dumps({"triggerTime": fires}).encode()
    reply = Reply(200, {"x-in-time": taken}, body, received_ms=0)
    return SPOT(command, reply) == CountdownSet()


TAKEN = f"{NOW_MS}000"


@pytest.mark.parametrize(
    ("command", "fires", "taken", "wanted"),
    [
        (TIMER, NOW_MS + 61_500, TAKEN, True),
        (TIMER, NOW_MS + 61_501, TAKEN, False),
        (TIMER, NOW_MS + 58_500, TAKEN, True),
        (TIMER, NOW_MS + 58_499, TAKEN, False),
        (TIMER, NOW_MS // 1_000 + 60, TAKEN, True),
        (TIMER, f" {NOW_MS + 60_000} ", f" {TAKEN} ", True),
        (OFF, NOW_MS + 1_500, TAKEN, True),
        (OFF, NOW_MS + 1_501, TAKEN, False),
        (OFF, 0, "soon", True),
        (OFF, 1, "soon", False),
        # Without a time of the gateway that can be read, a time to come is enough.
        (TIMER, 1, "\N{ARABIC-INDIC DIGIT ONE}", True),
        (TIMER, 1, "1" * 19, True),
        (TIMER, NOW_MS, "1" * 18, False),
        # A time that is none.
        (TIMER, "\N{ARABIC-INDIC DIGIT ONE}", "", False),
        (TIMER, "1" * 15, "", True),
        (TIMER, "1" * 16, "", False),
        # What is in seconds, and what in ms.
        (TIMER, 10**11, f"{10**14 - 60_000}000", True),
        (TIMER, 10**11 + 1, f"{10**11 - 60_000}000", True),
    ],
)
def test_a_countdown_is_held_against_the_time_of_the_request(
    command: SetCountdown,
    fires: object,
    taken: str,
    wanted: bool,  # noqa: FBT001
) -> None:
    """Within one and a half seconds; times are in ms or in seconds, by their size."""
    assert timed(command, fires, taken) is wanted


@pytest.mark.parametrize(
    ("after", "following"),
    [("", "2"), ("7", "8"), ("\N{ARABIC-INDIC DIGIT SEVEN}", "2"), ("9" * 10, "2"), ("x", "2")],
)
def test_pages_are_counted_from_the_one_that_was_asked_for(after: str, following: str) -> None:
    """A page that is no number, or too large for one, is the first."""
    rows = [spot(id=str(n)) for n in range(1, 101)]
    reply = Reply(200, {}, json.dumps(rows).encode(), received_ms=0)
    answer: Any = SPOT(ListOpenOrders("BTC_USDT", after=after), reply)
    assert answer.next == following


@pytest.mark.parametrize(
    ("headers", "wait_ms"),
    [
        ({"x-out-time": f"{NOW_MS}999"}, 1_000),
        ({"x-out-time": "x"}, 5_000),
        ({"x-out-time": f"{NOW_MS + 999}000"}, 1),
        ({"x-out-time": f"{NOW_MS + 1_000}000"}, 3_000),
        ({}, 5_000),
    ],
)
def test_a_limit_is_reset_by_the_time_of_the_gateway(headers: dict[str, str], wait_ms: int) -> None:
    """Else by when the reply came; a reset that has passed says nothing, so another header does."""
    reset = {"x-gate-ratelimit-reset-timestamp": f" {NOW_MS + 1_000} ", "retry-after": "3"}
    reply = Reply(429, {**reset, **headers}, b"slow", received_ms=NOW_MS - 4_000)
    assert SPOT(CANCEL, reply) == unproven(THROTTLED, "HTTP 429: slow", retry_after_ms=wait_ms)
