"""KuCoin: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support import golden
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.kucoin.adapter import KUCOIN, sign, spell
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    ReadTimer,
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
    TimerReading,
    Unproven,
)
from worker.model.wire import Reply

HOST = "https://api.kucoin.com"
SYNC = "cancel_order_sync"
PLAIN_CANCELS = ("cancel_order", "cancel_by_client_id")
"""Recorded on the path that only accepts; ours go to the one that proves."""


def ours(case: golden.Case) -> Command | None:
    """Return our command for a recorded request."""
    if case.command == SYNC:
        return CancelOrder(case.inputs["order_id"], pair=spell(case.inputs["symbol"]))
    if case.command == "countdown_set":
        pairs = tuple(spell(symbol) for symbol in case.inputs["symbols"])
        return SetCountdown(pairs, case.inputs["countdown_ms"])
    return case.ours(spell)


CASES = golden.cases("kucoin_spot_hf")
GOLDEN = [(case, command) for case in CASES if (command := ours(case))]
ID, OTHER, STOP_ID = "671124f9365ccb00073debd4", "671124f9365ccb00073debd5", "vs8hoo8ksc8mario"
NOW_MS = 1_700_000_000_000
CANCEL = CancelOrder(ID, pair="BTC-USDT")
QUERY = QueryOrder(ID, pair="BTC-USDT")
MINE = CancelOrder(pair="BTC-USDT", client_order_id="my-1")
ASK_MINE = QueryOrder(pair="BTC-USDT", client_order_id="my-1")
STOP = CancelOrder(STOP_ID, pair="BTC-USDT", stop=True)
OCO = CancelOrder(f"oco-{ID}", pair="BTC-USDT", stop=True)
ASK_OCO = QueryOrder(f"oco-{ID}", pair="BTC-USDT", stop=True)
ASK_STOP = QueryOrder(STOP_ID, pair="BTC-USDT", stop=True)
LIST, ALL = ListOpenOrders(pair="BTC-USDT"), ListOpenOrders()
PREFIXED = ListOpenOrders(pair="BTC-USDT", client_id_prefix="my-")
STOPS = ListStopOrders(pair="BTC-USDT")
OCOS = ListStopOrders(pair="BTC-USDT", after="oco-1")
TIMER, WHOLE = SetCountdown(("BTC-USDT", "ETH-USDT"), 60_000), SetCountdown((), 60_000)
OFF = SetCountdown((), 0)
READ = ReadTimer()
SCOPE, EVERYTHING = CancelScope(pair="BTC-USDT"), CancelScope()


def done(data: object) -> dict[str, object]:
    """Build the body of a success."""
    return {"code": "200000", "data": data}


def synced(**other: object) -> dict[str, object]:
    """Build what a cancel states of the order."""
    sizes = {"originSize": "0.01", "dealSize": "0", "remainSize": "0", "canceledSize": "0.01"}
    return done({"orderId": ID, **sizes, "status": "done", **other})


def row(**other: object) -> dict[str, object]:
    """Build an order as the exchange writes it."""
    named = {"id": ID, "clientOid": "my-1", "symbol": "BTC-USDT", "side": "buy"}
    return {**named, "active": True, "cancelExist": False, **other}


def stops(*rows: object, pages: int = 1) -> dict[str, object]:
    """Build a page of stop orders."""
    return done({"currentPage": 1, "totalPage": pages, "items": list(rows)})


def stop(**other: object) -> dict[str, object]:
    """Build a stop order."""
    named = {"id": STOP_ID, "clientOid": "my-2", "symbol": "BTC-USDT", "side": "sell"}
    return {**named, "status": "NEW", **other}


def oco(**other: object) -> dict[str, object]:
    """Build a pair of orders of which one ends the other."""
    named = {"orderId": ID, "clientOid": "my-3", "symbol": "BTC-USDT", "status": "NEW"}
    return {**named, **other}


def running(**other: object) -> dict[str, object]:
    """Build what a reading states of a timer."""
    return {"timeout": 60, "currentTime": 1_700_000_000, "triggerTime": 1_700_000_042, **other}


def failed(code: str, msg: str = "words") -> dict[str, object]:
    """Build the body of an error."""
    return {"code": code, "msg": msg}


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Build a reply; a text is sent as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, headers or {}, text.encode(), received_ms=0)


# What goes out


@pytest.mark.parametrize(("case", "command"), GOLDEN)
def test_requests_are_those_of_an_independent_implementation(
    case: golden.Case, command: Command
) -> None:
    """Method, address and parameters are the same; cancels go where they are proven."""
    access = Access(HOST, case.key, case.secret, memo="fake-pass")
    request, theirs = KUCOIN.sign(command, access, Stamp(case.now_ms)), case.request
    url = theirs["url"]
    if case.command in PLAIN_CANCELS:
        url = url.replace("/hf/orders/", "/hf/orders/sync/")
    assert golden.place(request) == (theirs["method"], url.partition("?")[0])
    assert golden.parameters(request.url, "") == golden.parameters(url, "")
    assert request.body.decode() == (theirs["body"] or "")
    for name in ("KEY", "KEY-VERSION", "TIMESTAMP", "PASSPHRASE"):
        assert request.headers[f"KC-API-{name}"] == theirs["headers"][f"KC-API-{name}"]


@pytest.mark.parametrize("case", CASES)
def test_the_signer_is_that_of_an_independent_implementation(case: golden.Case) -> None:
    """Of every recorded request."""
    assert sign(case.secret, case.signed_payload) == case.signature


@pytest.mark.parametrize(("case", "command"), GOLDEN)
def test_the_signature_covers_what_is_sent(case: golden.Case, command: Command) -> None:
    """Time, method, path with its query, and body."""
    access = Access("https://proxy.example/ku/", case.key, case.secret, memo="fake-pass")
    request = KUCOIN.sign(command, access, Stamp(case.now_ms))
    path = request.url.removeprefix("https://proxy.example/ku")
    payload = f"{request.headers['KC-API-TIMESTAMP']}{request.method}{path}{request.body.decode()}"
    assert request.headers["KC-API-SIGN"] == sign(case.secret, payload)


@pytest.mark.parametrize("name", ["kucoin_spot_hf_cancel_order_sync", "kucoin_passphrase_header"])
def test_the_recorded_vectors_are_met(name: str) -> None:
    """They were recomputed by another implementation."""
    vector = golden.vector(name)
    assert sign(vector["secret"], vector["message"]) == vector["result"]


STOP_PAGE = "GET /api/v1/stop-order?symbol=BTC-USDT&currentPage="
OCO_PAGE = "GET /api/v3/oco/orders?symbol=BTC-USDT&currentPage="
SENT: list[tuple[Command, str]] = [
    (MINE, "DELETE /api/v1/hf/orders/sync/client-order/my-1?symbol=BTC-USDT"),
    (ASK_MINE, "GET /api/v1/hf/orders/client-order/my-1?symbol=BTC-USDT"),
    (STOP, f"DELETE /api/v1/stop-order/{STOP_ID}"),
    (ASK_STOP, f"GET /api/v1/stop-order/{STOP_ID}"),
    (ALL, "GET /api/v1/hf/orders/active/symbols"),
    (EVERYTHING, "DELETE /api/v1/hf/orders/cancelAll"),
    (READ, "GET /api/v1/hf/orders/dead-cancel-all/query"),
    (STOPS, "GET /api/v1/stop-order?symbol=BTC-USDT&currentPage=1&pageSize=500"),
    (ListStopOrders(), "GET /api/v1/stop-order?currentPage=1&pageSize=500"),
    (replace(STOPS, after="2"), f"{STOP_PAGE}2&pageSize=500"),
    (replace(STOPS, after="oco-2"), f"{OCO_PAGE}2&pageSize=500"),
    (OCO, f"DELETE /api/v3/oco/order/{ID}"),
    (ASK_OCO, f"GET /api/v3/oco/order/{ID}"),
    (
        ListOpenOrders(after="ETH-USDT,BTC-USDT"),
        "GET /api/v1/hf/orders/active?symbol=ETH-USDT&tradeType=TRADE&status=active",
    ),
]


@pytest.mark.parametrize(("command", "line"), SENT)
def test_where_the_others_go(command: Command, line: str) -> None:
    """Stop orders have endpoints of their own; all pairs, too."""
    request = KUCOIN.sign(command, Access(HOST, "k", "s", memo="p"), Stamp(NOW_MS))
    assert f"{request.method} {request.url.removeprefix(HOST)}" == line


@pytest.mark.parametrize(
    "command",
    [
        CancelOrder(ID),
        QueryOrder(ID),
        CancelOrder("../orders", pair="BTC-USDT"),
        CancelOrder(pair="BTC-USDT", client_order_id="my.order"),
        CancelOrder(pair="BTC-USDT", client_order_id="m" * 41),
        CancelScope(pair="BTC-USDT", side="buy"),
        SetCountdown(("BTC-USDT",), 4_000),
        SetCountdown(("BTC-USDT",), 60_500),
        SetCountdown(("BTC-USDT",), 86_401_000),
        SetCountdown(tuple(f"A{n}-USDT" for n in range(51)), 60_000),
        FetchToken(),
    ],
)
def test_what_cannot_be_asked_is_refused(command: Command) -> None:
    """Before a request is made of it."""
    with pytest.raises(InvalidCommand):
        KUCOIN.sign(command, Access(HOST, "k", "s"), Stamp(NOW_MS))


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (TIMER, '{"timeout":60,"symbols":"BTC-USDT,ETH-USDT"}'),
        (WHOLE, '{"timeout":60}'),
        (SetCountdown(("BTC-USDT",), 0), '{"timeout":-1}'),
    ],
)
def test_a_timer_has_one_list(command: SetCountdown, body: str) -> None:
    """No list is every pair; 0 would be refused, and -1 stops it."""
    request = KUCOIN.sign(command, Access(HOST, "k", "s", memo="p"), Stamp(NOW_MS))
    assert (request.method, request.body.decode()) == ("POST", body)


@pytest.mark.parametrize("pair", ["BTC-USDT", "btc-usdt", "BTC/USDT"])
def test_pairs_in_either_spelling_are_one(pair: str) -> None:
    """The exchange's own, and ccxt's."""
    assert spell(pair) == "BTC-USDT"


# What comes back

OPEN_ROW = OpenOrder(ID, "BTC-USDT", "buy")
MEANS: list[tuple[Command, object, Answer]] = [
    (CANCEL, synced(), Closed(Outcome.CANCELED)),
    (CANCEL, synced(dealSize="0.004", canceledSize="0.006"), Closed(Outcome.CANCELED)),
    (CANCEL, synced(dealSize="0.01", canceledSize="0"), Closed(Outcome.GONE)),
    (CANCEL, synced(dealSize="0.010", canceledSize="0.0"), Closed(Outcome.GONE)),
    (CANCEL, synced(canceledSize="0", remainSize="0.01", status="open"), CancelAccepted()),
    (MINE, synced(clientOid="my-1", orderId=None), Closed(Outcome.CANCELED)),
    (STOP, done({"cancelledOrderIds": [STOP_ID]}), CancelAccepted()),
    (QUERY, done(row()), OrderReport(OrderState.OPEN)),
    (QUERY, done(row(cancelExist=True)), OrderReport(OrderState.OPEN)),
    (QUERY, done(row(active=False)), OrderReport(OrderState.FILLED)),
    (QUERY, done(row(active=False, cancelExist=True)), OrderReport(OrderState.CANCELED)),
    (ASK_MINE, done(row(id=OTHER, active=False)), OrderReport(OrderState.FILLED)),
    (ASK_STOP, done(stop()), OrderReport(OrderState.OPEN)),
    (ASK_STOP, done(stop(status="CANCELLED")), OrderReport(OrderState.CANCELED)),
    (SCOPE, done("success"), ScopeCanceled()),
    (EVERYTHING, done({"succeedSymbols": ["A-B"], "failedSymbols": []}), ScopeCanceled()),
    (LIST, done([]), OpenOrders((), complete=True)),
    (LIST, done([row()]), OpenOrders((OPEN_ROW,), complete=True)),
    (LIST, done([row(active=False)]), OpenOrders((), complete=True)),
    (LIST, done([row(symbol="ETH-USDT")]), OpenOrders((), complete=True)),
    (LIST, done([row(symbol="BTCUSDT")]), OpenOrders((), complete=False)),
    (LIST, done([row(side="")]), OpenOrders((OpenOrder(ID, "BTC-USDT"),), complete=False)),
    (LIST, done([row(active=None)]), OpenOrders((OPEN_ROW,), complete=False)),
    (LIST, done([row(id=None)]), OpenOrders((), complete=False)),
    (PREFIXED, done([row()]), OpenOrders((OPEN_ROW,), complete=True)),
    (PREFIXED, done([row(clientOid="x-1")]), OpenOrders((), complete=True)),
    (PREFIXED, done([row(clientOid=None)]), OpenOrders((), complete=False)),
    (ALL, done({"symbols": []}), OpenOrders((), complete=True)),
    (ALL, done({"symbols": ["A-B", "C-D"]}), OpenOrders((), complete=True, next="A-B,C-D")),
    (ALL, done({"symbols": ["A-B", 7]}), OpenOrders((), complete=False, next="A-B")),
    (
        ListOpenOrders(after="BTC-USDT,A-B"),
        done([row()]),
        OpenOrders((OPEN_ROW,), complete=True, next="A-B"),
    ),
    (ListOpenOrders(after="A-B"), done([row()]), OpenOrders((), complete=True)),
    (STOPS, stops(pages=0), OpenOrders((), complete=True, next="oco-1")),
    (OCO, done({"cancelledOrderIds": ["vs1", "vs2"]}), CancelAccepted()),
    (ASK_OCO, done(oco()), OrderReport(OrderState.OPEN)),
    (ASK_OCO, done(oco(status="CANCELLED")), OrderReport(OrderState.CANCELED)),
    (ASK_OCO, done(oco(status="DONE")), OrderReport(OrderState.FILLED)),
    (
        OCOS,
        stops(oco()),
        OpenOrders((OpenOrder(f"oco-{ID}", "BTC-USDT", None, stop=True),), complete=True),
    ),
    (OCOS, stops(oco(status="TRIGGERED")), OpenOrders((), complete=False)),
    (replace(OCOS, side="buy"), stops(oco()), OpenOrders((), complete=False)),
    (replace(OCOS, after="oco-1"), stops(pages=2), OpenOrders((), complete=False, next="oco-2")),
    (
        STOPS,
        stops(stop()),
        OpenOrders(
            (OpenOrder(STOP_ID, "BTC-USDT", "sell", stop=True),), complete=True, next="oco-1"
        ),
    ),
    (STOPS, stops(stop(symbol="ETH-USDT")), OpenOrders((), complete=True, next="oco-1")),
    (STOPS, stops(stop(status="TRIGGERED")), OpenOrders((), complete=False, next="oco-1")),
    (STOPS, stops(pages=2), OpenOrders((), complete=False, next="2")),
    (replace(STOPS, after="2"), stops(pages=2), OpenOrders((), complete=False, next="oco-1")),
    (READ, done(None), TimerReading(left_ms=0)),
    (READ, done({}), TimerReading(left_ms=0)),
    (READ, done({"timeout": -1}), TimerReading(left_ms=0)),
    (
        READ,
        done(running(symbols="BTC-USDT,ETH-USDT")),
        TimerReading(left_ms=42_000, pairs=("BTC-USDT", "ETH-USDT")),
    ),
    (READ, done(running(symbols="")), TimerReading(left_ms=42_000)),
    (READ, done(running()), TimerReading(left_ms=42_000)),
    (READ, done(running(triggerTime=1_699_999_999)), TimerReading(left_ms=0)),
    (
        READ,
        done(running(triggerTime=1_700_000_000, symbols="BTC-USDT")),
        TimerReading(left_ms=0),
    ),
    (OFF, done({"currentTime": 1_700_000_000, "triggerTime": 1_700_000_000}), CountdownSet()),
    (TIMER, done({"currentTime": 1_700_000_000, "triggerTime": 1_700_000_060}), CountdownSet()),
    (TIMER, done({"currentTime": 1_700_000_000, "triggerTime": 1_700_000_061}), CountdownSet()),
    (OFF, done({"currentTime": 1_700_000_000, "triggerTime": 0}), CountdownSet()),
    (OFF, done(None), CountdownSet()),
]


@pytest.mark.parametrize(("command", "body", "answer"), MEANS)
def test_documented_successes(command: Command, body: object, answer: Answer) -> None:
    """A synchronous cancel states the result; a stop's is only accepted."""
    assert KUCOIN.classify(command, reply(body)) == answer


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (CANCEL, synced(orderId=OTHER)),
        (CANCEL, synced(status="Done!")),
        (CANCEL, synced(canceledSize="0")),
        (CANCEL, synced(canceledSize="0", dealSize="0.009")),
        (CANCEL, synced(canceledSize="0", originSize="0")),
        (CANCEL, synced(canceledSize="NaN")),
        (CANCEL, synced(canceledSize="-1")),
        (CANCEL, synced(canceledSize=1)),
        (CANCEL, done({"orderId": ID})),
        (CANCEL, done(None)),
        (CANCEL, "<html>"),
        (CANCEL, {"code": 200000, "data": {"orderId": ID}}),
        (MINE, synced(clientOid="my-2")),
        (STOP, done({"cancelledOrderIds": [OTHER]})),
        (STOP, done({"cancelledOrderIds": STOP_ID})),
        (OCO, done({"cancelledOrderIds": []})),
        (ASK_OCO, done(oco(orderId=OTHER))),
        (ASK_OCO, done(oco(status="TRIGGERED"))),
        (QUERY, done(row(id=OTHER))),
        (QUERY, done(row(symbol="ETH-USDT"))),
        (QUERY, done(row(active=None))),
        (QUERY, done(row(active=False, cancelExist=None))),
        (ASK_STOP, done(stop(status="TRIGGERED"))),
        (ASK_STOP, done(stop(id=OTHER))),
        (SCOPE, done("failure")),
        (EVERYTHING, done({"succeedSymbols": [], "failedSymbols": ["A-B"]})),
        (EVERYTHING, done("success")),
        (LIST, done({"items": []})),
        (ALL, done({})),
        (STOPS, done([])),
        (READ, done([])),
        (READ, done({"timeout": 60})),
        (READ, done(running(triggerTime="1700000042"))),
        (READ, done(running(currentTime=None))),
        (READ, done(running(symbols=["BTC-USDT"]))),
        (READ, done(running(symbols="BTC USDT"))),
        (TIMER, done(None)),
        (TIMER, done({"currentTime": 1_700_000_000, "triggerTime": 0})),
        (TIMER, done({"currentTime": 1_700_000_000, "triggerTime": 1_700_000_005})),
        (TIMER, done({"currentTime": "1700000000", "triggerTime": "1700000060"})),
        (TIMER, done({"currentTime": "1700000000", "triggerTime": 1_700_000_060})),
        (TIMER, done({"currentTime": 1_700_000_000, "triggerTime": "1700000060"})),
        (OFF, done({"currentTime": 1_700_000_000, "triggerTime": 1_700_000_060})),
        (CANCEL, failed("400100", "cancel size invalid")),
        (LIST, failed("400100", "order_not_exist_or_not_allow_to_cancel")),
        (CANCEL, failed("200002", "Order cancel for this pair suspended")),
    ],
)
def test_what_is_not_the_documented_success_proves_nothing(command: Command, body: object) -> None:
    """Another order, an amount that fits no fate, a page."""
    answer = KUCOIN.classify(command, reply(body))
    assert isinstance(answer, Unproven)
    assert answer.outcome is Outcome.UNKNOWN
    assert not answer.missing


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("words", ["order_not_exist_or_not_allow_to_cancel", "Order not exist."])
def test_an_order_that_is_not_known_is_missing(words: str, status: int) -> None:
    """Filled, canceled or never there: ask; and a question may not know it either."""
    answer = KUCOIN.classify(CANCEL, reply(failed("400100", words), status))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.missing) == (Outcome.UNKNOWN, True)
    asked = KUCOIN.classify(QUERY, reply(failed("400100", words), status))
    assert isinstance(asked, OrderReport)
    assert asked.state is OrderState.MISSING


@pytest.mark.parametrize("command", [QUERY, ASK_STOP])
def test_nothing_in_the_place_of_an_order_is_missing(command: Command) -> None:
    """It proves nothing."""
    answer = KUCOIN.classify(command, reply(done(None)))
    assert isinstance(answer, OrderReport)
    assert answer.state is OrderState.MISSING


REFUSALS: list[tuple[object, int, Outcome]] = [
    (failed("400001"), 401, Outcome.UNAUTHORIZED),
    (failed("400003"), 401, Outcome.UNAUTHORIZED),
    (failed("400004"), 401, Outcome.UNAUTHORIZED),
    (failed("400005"), 200, Outcome.UNAUTHORIZED),
    (failed("400006"), 403, Outcome.UNAUTHORIZED),
    (failed("400007"), 403, Outcome.UNAUTHORIZED),
    (failed("400100", "symbol not exists"), 400, Outcome.REJECTED),
    (failed("900001", "symbol not exists"), 400, Outcome.REJECTED),
    (failed("429000"), 429, Outcome.THROTTLED),
    (failed("429000"), 200, Outcome.THROTTLED),
    (failed("500000"), 500, Outcome.UNAVAILABLE),
    ("<html>", 502, Outcome.UNAVAILABLE),
    ("<html>", 504, Outcome.UNKNOWN),
    ("<html>", 429, Outcome.THROTTLED),
]


@pytest.mark.parametrize(("body", "status", "outcome"), REFUSALS)
def test_documented_refusals(body: object, status: int, outcome: Outcome) -> None:
    """By their code, and else by the status."""
    answer = KUCOIN.classify(CANCEL, reply(body, status))
    assert isinstance(answer, Unproven)
    assert answer.outcome is outcome


@pytest.mark.parametrize(
    ("header", "wait_ms"), [("1500", 1_500), ("90000", 60_000), ("soon", None), ("", None)]
)
def test_the_exchange_says_when_weights_are_free(header: str, wait_ms: int | None) -> None:
    """Without its header it is busy, and not full."""
    headers = {"gw-ratelimit-reset": header} if header else {}
    answer = KUCOIN.classify(CANCEL, reply(failed("429000"), 429, headers))
    assert isinstance(answer, Unproven)
    assert answer.retry_after_ms == wait_ms


def test_a_refused_clock_is_corrected() -> None:
    """Nothing was done; the next stamp is by the exchange's clock."""
    answer = KUCOIN.classify(CANCEL, reply(failed("400002"), 401))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.clock_refused) == (Outcome.UNAVAILABLE, True)
