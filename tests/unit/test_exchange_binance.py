"""Binance: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import golden
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.binance.adapter import BINANCE, BINANCE_COINM, BINANCE_USDM, Binance, sign
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    CountdownSet,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.model.wire import Reply

MARKETS = {"binance_spot": BINANCE, "binance_usdm": BINANCE_USDM, "binance_coinm": BINANCE_COINM}
GOLDEN = [
    (market, case, command)
    for name, market in MARKETS.items()
    for case in golden.cases(name)
    if (command := case.ours(market.capabilities.spelling))
]
NOT_OURS = {"recvWindow", "signature"}
"""Compared apart: the window is what is left of the call, and the signature covers it."""
NOW_MS = 1_700_000_000_000
CANCEL = CancelOrder("12345678", pair="BTCUSDT")
QUERY = QueryOrder("12345678", pair="BTCUSDT")
MINE = CancelOrder(pair="BTCUSDT", client_order_id="my-order-1")
ASK_MINE = QueryOrder(pair="BTCUSDT", client_order_id="my-order-1")
LIST = ListOpenOrders(pair="BTCUSDT")
GRID = ListOpenOrders(pair="BTCUSDT", client_id_prefix="grid-")
STOP = CancelOrder("2146760", pair="BTCUSDT", stop=True)
ASK_STOP = QueryOrder("2146760", pair="BTCUSDT", stop=True)
STOPS = ListStopOrders(pair="BTCUSDT")
SCOPE = CancelScope(pair="BTCUSDT")
TIMER = SetCountdown(("BTCUSDT",), 60_000)


def row(status: str, **other: object) -> dict[str, object]:
    """Build an order as the exchange writes it."""
    return {
        "symbol": "BTCUSDT",
        "orderId": 12345678,
        "origClientOrderId": "my-order-1",
        "clientOrderId": "cancel-1",
        "side": "BUY",
        "status": status,
        **other,
    }


def algo(status: str, **other: object) -> dict[str, object]:
    """Build an algo order as the exchange writes it."""
    return {
        "algoId": 2146760,
        "clientAlgoId": "my-stop-1",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "algoStatus": status,
        **other,
    }


def reply(status: int, body: object, headers: dict[str, str] | None = None) -> Reply:
    """Build a reply; a text is sent as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, headers or {}, text.encode(), received_ms=0)


def error(code: int, message: str = "…") -> dict[str, object]:
    """Build an error."""
    return {"code": code, "msg": message}


# What goes out


@pytest.mark.parametrize(("market", "case", "command"), GOLDEN)
def test_requests_are_those_of_an_independent_implementation(
    market: Binance, case: golden.Case, command: Command
) -> None:
    """Method, address and parameters are the same; their order is free."""
    access = Access(market.hosts.production, case.key, case.secret)
    request = market.sign(command, access, Stamp(case.now_ms))
    theirs = case.request
    assert golden.place(request) == (theirs["method"], theirs["url"].partition("?")[0])
    ours = golden.parameters(request.url, request.body.decode())
    wanted = golden.parameters(theirs["url"], theirs["body"] or "")
    assert ours.keys() - NOT_OURS == wanted.keys() - NOT_OURS
    assert all(ours[name] == wanted[name] for name in wanted.keys() - NOT_OURS)
    assert sign(case.secret, case.signed_payload) == case.signature
    assert request.headers["X-MBX-APIKEY"] == case.key
    if request.body:
        assert request.headers["Content-Type"] == theirs["headers"]["Content-Type"]


@pytest.mark.parametrize(("market", "case", "command"), GOLDEN)
def test_the_signature_covers_what_is_sent(
    market: Binance, case: golden.Case, command: Command
) -> None:
    """It comes last, and signs all before it."""
    access = Access(market.hosts.production, case.key, case.secret)
    request = market.sign(command, access, Stamp(case.now_ms))
    sent = request.body.decode() or request.url.partition("?")[2]
    payload, _, signature = sent.rpartition("&signature=")
    assert signature == sign(case.secret, payload)


@pytest.mark.parametrize("name", ["binance_spot_ascii", "binance_spot_non_ascii", "binance_usdm"])
def test_documented_vectors_are_met(name: str) -> None:
    """The documents print these signatures."""
    vector = golden.vector(name)
    assert sign(vector["secret"], vector["message"]) == vector["result"]


@pytest.mark.parametrize(("window_ms", "sent"), [(None, 5_000), (1_200, 1_200), (60_000, 5_000)])
def test_a_request_is_valid_for_what_is_left_of_the_call(window_ms: int | None, sent: int) -> None:
    """A late one is refused by the exchange."""
    access = Access("https://api.binance.com/", "k", "s")
    request = BINANCE.sign(CANCEL, access, Stamp(NOW_MS, window_ms=window_ms))
    parameters = golden.parameters(request.url, "")
    assert (parameters["recvWindow"], parameters["timestamp"]) == (str(sent), str(NOW_MS))


@pytest.mark.parametrize(
    "command",
    [
        CancelOrder("12345678"),
        QueryOrder("12345678"),
        CancelScope(),
        CancelOrder("12 34", pair="BTCUSDT"),
        CancelOrder("a1", pair="BTCUSDT"),
        CancelOrder(pair="BTCUSDT"),
        CancelOrder(pair="BTCUSDT", client_order_id=""),
        CancelOrder(pair="BTCUSDT", client_order_id="my order"),
        CancelOrder(pair="BTCUSDT", client_order_id="m|1"),
        CancelOrder(pair="BTCUSDT", client_order_id="m" * 37),
        CancelOrder("12345678", pair="BTCUSDT", client_order_id="my-order-1"),
        CancelOrder(client_order_id="my-order-1"),
        ListOpenOrders(client_id_prefix=""),
        ListOpenOrders(client_id_prefix="grid "),
        FetchToken(),
    ],
)
def test_what_cannot_be_asked_is_refused(command: Command) -> None:
    """Ids are unique for a symbol only, so that each command names one."""
    with pytest.raises(InvalidCommand):
        BINANCE.check(command)


def test_spot_keeps_no_timer() -> None:
    """Workers hold its switches."""
    with pytest.raises(InvalidCommand):
        BINANCE.check(TIMER)
    BINANCE_USDM.check(TIMER)


@pytest.mark.parametrize("pair", ["BTCUSDT", "btcusdt", "BTC/USDT", "BTC/USDT:USDT"])
def test_a_pair_is_taken_in_either_spelling(pair: str) -> None:
    """As the exchange writes it, or as ccxt does."""
    assert BINANCE_USDM.capabilities.spelling(pair) == "BTCUSDT"


def test_a_perpetual_of_coin_margin_keeps_its_name() -> None:
    """`BTCUSD_PERP` is no pair of two parts."""
    for pair in ("BTCUSD_PERP", "BTC/USD:BTC"):
        assert BINANCE_COINM.capabilities.spelling(pair) == "BTCUSD_PERP"
    assert BINANCE_USDM.capabilities.spelling("BTC/USDT:USDT-240329") == "BTCUSDT_240329"


# What comes back


PROVEN: list[tuple[Command, object, Answer]] = [
    (CANCEL, row("CANCELED"), Closed(Outcome.CANCELED)),
    (CANCEL, row("CANCELED", orderId="12345678"), Closed(Outcome.CANCELED)),
    (CANCEL, row("FILLED"), Closed(Outcome.GONE)),
    (CANCEL, row("EXPIRED"), Closed(Outcome.GONE)),
    (CANCEL, {"orderListId": 7, "orderReports": [row("CANCELED")]}, Closed(Outcome.CANCELED)),
    (MINE, row("CANCELED"), Closed(Outcome.CANCELED)),
    (
        MINE,
        row("FILLED", clientOrderId="my-order-1", origClientOrderId=None),
        Closed(Outcome.GONE),
    ),
    (ASK_MINE, row("NEW", clientOrderId="my-order-1"), OrderReport(OrderState.OPEN)),
    (QUERY, row("NEW"), OrderReport(OrderState.OPEN)),
    (QUERY, row("PENDING_NEW"), OrderReport(OrderState.OPEN)),
    (QUERY, row("PARTIALLY_FILLED"), OrderReport(OrderState.OPEN)),
    (QUERY, row("CANCELED"), OrderReport(OrderState.CANCELED)),
    (QUERY, row("FILLED"), OrderReport(OrderState.FILLED)),
    (QUERY, row("EXPIRED_IN_MATCH"), OrderReport(OrderState.FILLED)),
    (QUERY, row("REJECTED"), OrderReport(OrderState.FILLED)),
    (SCOPE, [row("CANCELED")], ScopeCanceled(1, ("12345678",))),
    (SCOPE, [], ScopeCanceled(0)),
    (SCOPE, [row("FILLED")], ScopeCanceled(0)),
    # What cannot be read may be of any order.
    (SCOPE, [row("CANCELED"), row("NEW")], ScopeCanceled()),
    (SCOPE, [row("CANCELED"), row("CANCELED", orderId="a")], ScopeCanceled()),
    (SCOPE, [row("CANCELED"), {}], ScopeCanceled()),
    (SCOPE, ["a"], ScopeCanceled()),
    (
        SCOPE,
        [
            {"orderListId": 1, "orderReports": [row("CANCELED"), row("CANCELED", orderId=9)]},
            row("EXPIRED"),
            row("CANCELED"),
        ],
        ScopeCanceled(2, ("12345678", "9")),
    ),
    (
        SCOPE,
        {"code": 200, "msg": "The operation of cancel all open order is done."},
        ScopeCanceled(),
    ),
    (STOP, {"algoId": 2146760, "code": "200", "msg": "success"}, CancelAccepted()),
    (ASK_STOP, algo("NEW"), OrderReport(OrderState.OPEN)),
    (ASK_STOP, algo("CANCELED"), OrderReport(OrderState.CANCELED)),
    (ASK_STOP, algo("FINISHED"), OrderReport(OrderState.FILLED)),
    (
        STOPS,
        [algo("NEW"), algo("CANCELED", algoId=1), algo("NEW", symbol="ETHUSDT")],
        OpenOrders((OpenOrder("2146760", "BTCUSDT", "sell", stop=True),), complete=True),
    ),
    (STOPS, [algo("TRIGGERING")], OpenOrders((), complete=False)),
    (STOPS, [algo("NEW", algoId=None)], OpenOrders((), complete=False)),
    (
        LIST,
        [row("NEW", type="STOP")],
        OpenOrders((OpenOrder("12345678", "BTCUSDT", "buy"),), complete=True),
    ),
    (LIST, [], OpenOrders((), complete=True)),
    (LIST, [row("NEW")], OpenOrders((OpenOrder("12345678", "BTCUSDT", "buy"),), complete=True)),
    (LIST, [row("NEW", symbol="ETHUSDT")], OpenOrders((), complete=True)),
    (LIST, [row("NEW", side="?")], OpenOrders((OpenOrder("12345678", "BTCUSDT"),), complete=False)),
    (
        GRID,
        [row("NEW", clientOrderId="grid-1"), row("NEW", orderId=2, clientOrderId="Grid-2")],
        OpenOrders((OpenOrder("12345678", "BTCUSDT", "buy"),), complete=True),
    ),
    (GRID, [row("NEW", clientOrderId="")], OpenOrders((), complete=False)),
    (GRID, [row("NEW", clientOrderId=None)], OpenOrders((), complete=False)),
    (LIST, [row("NEW", orderId=None)], OpenOrders((), complete=False)),
    (TIMER, {"symbol": "BTCUSDT", "countdownTime": "60000"}, CountdownSet()),
]


@pytest.mark.parametrize(("command", "body", "answer"), PROVEN)
def test_a_documented_success_is_read(command: Command, body: object, answer: Answer) -> None:
    """A row proves what it says of the order that was asked for."""
    assert BINANCE_USDM.classify(command, reply(200, body)) == answer


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (CANCEL, row("NEW")),
        (CANCEL, row("PARTIALLY_FILLED")),
        (CANCEL, row("CANCELED", orderId=1)),
        (CANCEL, row("CANCELED", symbol="ETHUSDT")),
        (CANCEL, row("CANCELED", symbol=None)),
        (CANCEL, {"orderReports": [row("CANCELED"), row("FILLED")]}),
        (MINE, row("CANCELED", origClientOrderId="my-order-2")),
        (MINE, row("CANCELED", origClientOrderId="x", clientOrderId="my-order-1")),
        (MINE, row("CANCELED", symbol="ETHUSDT")),
        (ASK_MINE, row("FILLED")),
        (STOP, {"algoId": 1, "code": "200", "msg": "success"}),
        (STOP, {"algoId": 2146760, "code": "400"}),
        (ASK_STOP, algo("TRIGGERED")),
        (ASK_STOP, algo("CANCELED", algoId=1)),
        (ASK_STOP, algo("CANCELED", symbol="ETHUSDT")),
        (STOPS, {}),
        (CANCEL, {"orderReports": []}),
        (CANCEL, {}),
        (CANCEL, []),
        (QUERY, row("SOMETHING")),
        (QUERY, row("FILLED", symbol="ETHUSDT")),
        (LIST, {}),
        (LIST, {"code": 200}),
        (SCOPE, {}),
        (SCOPE, {"code": "200"}),
        (TIMER, {"symbol": "BTCUSDT", "countdownTime": "0"}),
        (TIMER, {"symbol": "ETHUSDT", "countdownTime": "60000"}),
        (TIMER, {}),
        (CANCEL, "<html></html>"),
    ],
)
def test_what_is_not_the_documented_success_proves_nothing(command: Command, body: object) -> None:
    """Another order, another symbol, an open state, a page."""
    answer = BINANCE_USDM.classify(command, reply(200, body))
    assert isinstance(answer, Unproven)
    assert answer.outcome is Outcome.UNKNOWN
    assert not answer.missing


UNKNOWN_ORDER = error(-2011, "Unknown order sent.")
RESTRICTED = error(-2011, "Order was not canceled due to cancel restrictions.")
FAILED = "Internal error; unable to process your request. Please try again."
UNSURE = "Unknown error, please check your request or try again later."


@pytest.mark.parametrize(
    ("command", "status", "body", "outcome", "facts"),
    [
        (CANCEL, 400, UNKNOWN_ORDER, Outcome.UNKNOWN, {"missing": True}),
        (MINE, 400, UNKNOWN_ORDER, Outcome.UNKNOWN, {"missing": True}),
        (CANCEL, 400, RESTRICTED, Outcome.UNKNOWN, {"missing": False}),
        (CANCEL, 400, error(-1121), Outcome.REJECTED, {}),
        (CANCEL, 400, error(-1021), Outcome.UNAVAILABLE, {"clock_refused": True}),
        (CANCEL, 400, error(-1022), Outcome.UNAUTHORIZED, {}),
        (CANCEL, 401, error(-2014), Outcome.UNAUTHORIZED, {}),
        (CANCEL, 401, error(-2015), Outcome.UNAUTHORIZED, {}),
        (CANCEL, 401, error(-1002), Outcome.UNAUTHORIZED, {}),
        (CANCEL, 429, error(-1003), Outcome.THROTTLED, {"retry_after_ms": 3_000}),
        (CANCEL, 418, error(-1003), Outcome.THROTTLED, {"retry_after_ms": 3_000}),
        (CANCEL, 403, "<html>", Outcome.THROTTLED, {}),
        (CANCEL, 400, error(-1006), Outcome.UNKNOWN, {}),
        (CANCEL, 400, error(-1007), Outcome.UNKNOWN, {}),
        (CANCEL, 400, error(-1000), Outcome.UNKNOWN, {}),
        (CANCEL, 408, error(-1007), Outcome.UNKNOWN, {}),
        (CANCEL, 500, "", Outcome.UNKNOWN, {}),
        (CANCEL, 502, "<html>", Outcome.UNKNOWN, {}),
        (CANCEL, 503, error(-1008), Outcome.UNAVAILABLE, {}),
        (CANCEL, 503, {"msg": "Service Unavailable."}, Outcome.UNAVAILABLE, {}),
        (CANCEL, 503, {"msg": FAILED}, Outcome.UNAVAILABLE, {}),
        (CANCEL, 503, {"msg": UNSURE}, Outcome.UNKNOWN, {}),
        (CANCEL, 400, error(-9999), Outcome.UNKNOWN, {}),
        (CANCEL, 400, error(-2013), Outcome.UNKNOWN, {"missing": False}),
        (QUERY, 400, UNKNOWN_ORDER, Outcome.UNKNOWN, {"missing": False}),
        (TIMER, 400, error(-1121), Outcome.REJECTED, {}),
    ],
)
def test_a_documented_error_is_read(
    command: Command, status: int, body: object, outcome: Outcome, facts: dict[str, object]
) -> None:
    """A code that names one fate is believed, one that names several is not."""
    answer = BINANCE_USDM.classify(command, reply(status, body, {"retry-after": "3"}))
    assert isinstance(answer, Unproven)
    assert answer.outcome is outcome
    assert {name: getattr(answer, name) for name in facts} == facts


@pytest.mark.parametrize("market", [BINANCE, BINANCE_COINM])
def test_stop_orders_are_told_by_their_type(market: Binance) -> None:
    """Where they are plain orders; there they are canceled as such."""
    rows = [row("NEW", type="TAKE_PROFIT_LIMIT"), row("NEW", orderId=2, type="LIMIT")]
    answer = market.classify(LIST, reply(200, rows))
    assert isinstance(answer, OpenOrders)
    assert [order.stop for order in answer.orders] == [True, False]
    request = market.sign(replace(CANCEL, stop=True), Access("https://x", "k", "s"), Stamp(NOW_MS))
    assert "orderId=12345678" in request.url
    with pytest.raises(InvalidCommand, match="no documented way to list stop orders"):
        market.check(STOPS)


def test_a_ban_without_a_time_lasts_for_the_shortest() -> None:
    """Nothing is sent for two minutes."""
    answer = BINANCE.classify(CANCEL, reply(418, error(-1003)))
    assert isinstance(answer, Unproven)
    assert (answer.retry_after_ms, answer.banned) == (120_000, True)


def test_a_long_ban_is_believed() -> None:
    """Up to the three days that the document names."""
    for told, wait_ms in (("3600", 3_600_000), ("999999", 259_200_000)):
        answer = BINANCE.classify(CANCEL, reply(418, error(-1003), {"retry-after": told}))
        assert isinstance(answer, Unproven)
        assert (answer.retry_after_ms, answer.banned) == (wait_ms, True)


@pytest.mark.parametrize(
    ("code", "state"), [(-2013, OrderState.MISSING), (-2026, OrderState.FILLED)]
)
def test_a_question_about_an_order_that_is_not_there(code: int, state: OrderState) -> None:
    """Unknown proves nothing; archived proves that it is not open."""
    answer = BINANCE.classify(QUERY, reply(400, error(code)))
    assert isinstance(answer, OrderReport)
    assert answer.state is state


def test_nothing_to_cancel_is_proven_by_a_list() -> None:
    """Spot answers a cancel-all of nothing with its unknown order."""
    assert BINANCE.classify(SCOPE, reply(400, UNKNOWN_ORDER)) == ScopeCanceled(0)


@given(st.binary(max_size=200), st.sampled_from([200, 400, 401, 403, 418, 429, 500, 503]))
def test_no_bytes_raise_or_prove_a_cancel(body: bytes, status: int) -> None:
    """Whatever comes, it is read."""
    for command in (CANCEL, MINE, STOP, QUERY, ASK_MINE, ASK_STOP, LIST, STOPS, SCOPE, TIMER):
        answer = BINANCE.classify(command, replace(reply(status, ""), body=body))
        assert not isinstance(answer, Closed)
