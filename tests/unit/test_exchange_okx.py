"""OKX: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support import golden
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.okx.adapter import OKX, sign, spell
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    CountdownSet,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

HYPHENS = "my-order-1"
"""Shows where the id goes in a recorded request; the exchange takes letters and digits."""


def ours(case: golden.Case) -> Command | None:
    """Return our command for a recorded request."""
    if case.command.startswith("countdown"):
        return SetCountdown((), case.inputs["countdown_ms"])
    if case.inputs.get("client_order_id") == HYPHENS:
        return CancelOrder(pair=spell(case.inputs["symbol"]), client_order_id="myorder1")
    return case.ours(spell)


GOLDEN = [(case, command) for case in golden.cases("okx") if (command := ours(case))]
ID, OTHER = "590908157585625111", "590908157585625112"
NOW_MS = 1_700_000_000_000
CANCEL = CancelOrder(ID, pair="BTC-USDT")
QUERY = QueryOrder(ID, pair="BTC-USDT")
MINE = CancelOrder(pair="BTC-USDT", client_order_id="my1")
ASK_MINE = QueryOrder(pair="BTC-USDT", client_order_id="my1")
LIST = ListOpenOrders(pair="BTC-USDT")
ALL = ListOpenOrders()
TIMER = SetCountdown((), 60_000)
STOP = SetCountdown((), 0)


def row(state: str, **other: object) -> dict[str, object]:
    """Build an order as the exchange writes it."""
    named = {"instId": "BTC-USDT", "ordId": ID, "clOrdId": "my1", "side": "buy"}
    return {**named, "state": state, **other}


def done(*rows: object, code: str = "0", msg: str = "") -> dict[str, object]:
    """Build a body."""
    return {"code": code, "msg": msg, "data": list(rows)}


def result(code: str, **other: object) -> dict[str, object]:
    """Build the reply to one cancel."""
    failed = code != "0"
    named = {"ordId": ID, "clOrdId": "my1", "sCode": code, "sMsg": "words" if failed else ""}
    return done({**named, **other}, code="1" if failed else "0")


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Build a reply; a text is sent as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, headers or {}, text.encode(), received_ms=0)


# What goes out


@pytest.mark.parametrize(("case", "command"), GOLDEN)
def test_requests_are_those_of_an_independent_implementation(
    case: golden.Case, command: Command
) -> None:
    """Method, address and parameters are the same; values are compared as text."""
    access = Access("https://www.okx.com", case.key, case.secret, memo="fake-pass")
    request, theirs = OKX.sign(command, access, Stamp(case.now_ms)), case.request
    assert golden.place(request) == (theirs["method"], theirs["url"].partition("?")[0])
    assert golden.parameters(request.url, "") == golden.parameters(theirs["url"], "")
    sent, wanted = (json.loads(body or "{}") for body in (request.body, theirs["body"]))
    given = {name: HYPHENS if name == "clOrdId" else value for name, value in sent.items()}
    assert given == {name: str(value) for name, value in wanted.items()}
    assert sign(case.secret, case.signed_payload) == case.signature
    for name, value in theirs["headers"].items():
        if name != "OK-ACCESS-SIGN":
            assert request.headers[name] == value


@pytest.mark.parametrize(("case", "command"), GOLDEN)
def test_the_signature_covers_what_is_sent(case: golden.Case, command: Command) -> None:
    """Time, method, path with its query, and body."""
    access = Access("https://proxy.example/okx/", case.key, case.secret, memo="fake-pass")
    request = OKX.sign(command, access, Stamp(case.now_ms))
    path = request.url.removeprefix("https://proxy.example/okx")
    stamped = request.headers["OK-ACCESS-TIMESTAMP"]
    payload = f"{stamped}{request.method}{path}{request.body.decode()}"
    assert request.headers["OK-ACCESS-SIGN"] == sign(case.secret, payload)


def test_the_recorded_vector_is_met() -> None:
    """It was recomputed by another implementation."""
    vector = golden.vector("okx_cancel_order")
    assert sign(vector["secret"], vector["message"]) == vector["result"]


@pytest.mark.parametrize("testnet", [True, False])
def test_a_test_account_trades_in_the_demo(*, testnet: bool) -> None:
    """The host is the same; only a header differs, which is not signed."""
    access = Access(OKX.hosts.testnet or "", "k", "s", memo="p", testnet=testnet)
    request = OKX.sign(CANCEL, access, Stamp(NOW_MS + 7))
    assert request.headers.get("x-simulated-trading") == ("1" if testnet else None)
    assert request.headers["OK-ACCESS-TIMESTAMP"] == "2023-11-14T22:13:20.007Z"


@pytest.mark.parametrize(("countdown_ms", "sent"), [(0, "0"), (10_000, "10"), (120_000, "120")])
def test_a_timer_is_in_whole_seconds(countdown_ms: int, sent: str) -> None:
    """As text, for the whole account, without a tag."""
    access = Access("https://www.okx.com", "k", "s", memo="p")
    request = OKX.sign(SetCountdown((), countdown_ms), access, Stamp(NOW_MS))
    assert json.loads(request.body) == {"timeOut": sent}


@pytest.mark.parametrize(
    "command",
    [
        CancelOrder(ID),
        QueryOrder(ID),
        CancelScope(),
        CancelOrder("12 34", pair="BTC-USDT"),
        CancelOrder("a1", pair="BTC-USDT"),
        CancelOrder(pair="BTC-USDT", client_order_id="my-order"),
        CancelOrder(pair="BTC-USDT", client_order_id="m" * 33),
        SetCountdown(("BTC-USDT",), 60_000),
        SetCountdown((), 9_000),
        SetCountdown((), 121_000),
        SetCountdown((), 10_500),
        FetchToken(),
    ],
)
def test_what_cannot_be_asked_is_refused(command: Command) -> None:
    """Before a request is made of it."""
    with pytest.raises(InvalidCommand):
        OKX.sign(command, Access("https://www.okx.com", "k", "s"), Stamp(NOW_MS))


@pytest.mark.parametrize(
    ("pair", "spelled"),
    [
        ("BTC-USDT", "BTC-USDT"),
        ("btc-usdt", "BTC-USDT"),
        ("BTC/USDT", "BTC-USDT"),
        ("BTC/USDT:USDT", "BTC-USDT-SWAP"),
        ("BTC/USD:BTC", "BTC-USD-SWAP"),
        ("BTC/USD:BTC-240329", "BTC-USD-240329"),
        ("BTC-USDT-SWAP", "BTC-USDT-SWAP"),
    ],
)
def test_pairs_in_either_spelling_are_one(pair: str, spelled: str) -> None:
    """The exchange's own, and ccxt's."""
    assert spell(pair) == spelled
    assert spell(spelled) == spelled


# What comes back

MEANS: list[tuple[Command, object, Answer]] = [
    (CANCEL, result("0"), CancelAccepted()),
    (MINE, result("0"), CancelAccepted()),
    (QUERY, done(row("live")), OrderReport(OrderState.OPEN)),
    (QUERY, done(row("partially_filled")), OrderReport(OrderState.OPEN)),
    (QUERY, done(row("filled")), OrderReport(OrderState.FILLED)),
    (QUERY, done(row("canceled")), OrderReport(OrderState.CANCELED)),
    (QUERY, done(row("mmp_canceled")), OrderReport(OrderState.CANCELED)),
    (ASK_MINE, done(row("canceled")), OrderReport(OrderState.CANCELED)),
    (LIST, done(), OpenOrders((), complete=True)),
    (LIST, done(row("live")), OpenOrders((OpenOrder(ID, "BTC-USDT", "buy"),), complete=True)),
    (LIST, done(row("live", instId="ETH-USDT")), OpenOrders((), complete=True)),
    (
        ALL,
        done(row("live"), row("partially_filled", ordId=OTHER, instId="ETH-USDT", side="sell")),
        OpenOrders(
            (OpenOrder(ID, "BTC-USDT", "buy"), OpenOrder(OTHER, "ETH-USDT", "sell")), complete=True
        ),
    ),
    (LIST, done(row("live", ordId=None)), OpenOrders((), complete=False)),
    (
        LIST,
        done(row("triggered")),
        OpenOrders((OpenOrder(ID, "BTC-USDT", "buy"),), complete=False),
    ),
    (TIMER, done({"triggerTime": str(NOW_MS + 60_000), "ts": str(NOW_MS)}), CountdownSet()),
    (TIMER, done({"triggerTime": "1700000060", "ts": "1700000000"}), CountdownSet()),
    (STOP, done({"triggerTime": "0", "ts": str(NOW_MS)}), CountdownSet()),
]


@pytest.mark.parametrize(("command", "body", "answer"), MEANS)
def test_documented_successes(command: Command, body: object, answer: Answer) -> None:
    """A cancel's success is no proof: the exchange is asked."""
    assert OKX.classify(command, reply(body)) == answer


def test_the_page_after_a_full_one_is_asked_for_by_the_last_id() -> None:
    """Orders that are canceled meanwhile move no other to a page that was read."""
    rows = [row("live", ordId=str(n)) for n in range(200, 100, -1)]
    answer = OKX.classify(LIST, reply(done(*rows)))
    assert isinstance(answer, OpenOrders)
    assert (len(answer.orders), answer.complete, answer.next) == (100, True, "101")
    request = OKX.sign(
        replace(LIST, after=answer.next), Access("https://h", "k", "s"), Stamp(NOW_MS)
    )
    assert request.url.endswith("/orders-pending?instId=BTC-USDT&after=101")


def test_a_full_page_without_a_last_id_is_not_all() -> None:
    """There is no way to the page after it."""
    rows = [row("live", ordId=str(n)) for n in range(200, 101, -1)]
    answer = OKX.classify(LIST, reply(done(*rows, {})))
    assert isinstance(answer, OpenOrders)
    assert (answer.complete, answer.next) == (False, "")


@pytest.mark.parametrize(
    ("client_id", "orders", "complete"),
    [("grid7", 1, True), ("mine", 0, True), ("", 0, True), (None, 0, False), (7, 0, False)],
)
def test_a_list_is_read_by_the_beginning_of_client_ids(
    client_id: object, orders: int, *, complete: bool
) -> None:
    """An order without one has an empty text; a row without the key cannot be read."""
    scope = replace(LIST, client_id_prefix="grid")
    answer = OKX.classify(scope, reply(done(row("live", clOrdId=client_id))))
    assert isinstance(answer, OpenOrders)
    assert (len(answer.orders), answer.complete) == (orders, complete)


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (CANCEL, result("0", ordId=OTHER)),
        (MINE, result("0", clOrdId="my2")),
        (CANCEL, done()),
        (CANCEL, done(row("canceled"))),
        (CANCEL, done({"ordId": ID, "sCode": "0"}, {"ordId": ID, "sCode": "0"})),
        (CANCEL, result("51412")),
        (CANCEL, result("51999")),
        (CANCEL, done(code="50004", msg="API endpoint request timeout")),
        (QUERY, done(row("canceled", ordId=OTHER))),
        (QUERY, done(row("canceled", instId="ETH-USDT"))),
        (QUERY, done(row("gone"))),
        (QUERY, done()),
        (LIST, {"code": "0", "data": {}}),
        (TIMER, done({"triggerTime": str(NOW_MS + 10_000), "ts": str(NOW_MS)})),
        (TIMER, done({"triggerTime": "0", "ts": str(NOW_MS)})),
        (TIMER, done({"triggerTime": str(NOW_MS + 60_000)})),
        (STOP, done({"triggerTime": str(NOW_MS + 60_000), "ts": str(NOW_MS)})),
        (CANCEL, "<html>"),
        (CANCEL, {"code": 0, "data": []}),
    ],
)
def test_what_is_not_the_documented_success_proves_nothing(command: Command, body: object) -> None:
    """Another order, another countdown, a code of two meanings, a page."""
    answer = OKX.classify(command, reply(body))
    assert isinstance(answer, Unproven)
    assert answer.outcome is Outcome.UNKNOWN
    assert not answer.missing


def test_an_order_that_is_filled_canceled_or_was_never_there_is_missing() -> None:
    """One code for three fates: ask; and a question may not know it either."""
    answer = OKX.classify(CANCEL, reply(result("51400")))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.missing) == (Outcome.UNKNOWN, True)
    asked = OKX.classify(QUERY, reply(done(code="51603", msg="Order does not exist")))
    assert isinstance(asked, OrderReport)
    assert asked.state is OrderState.MISSING


def test_an_order_that_is_being_canceled_is_asked_about() -> None:
    """As after a cancel that was accepted."""
    assert isinstance(OKX.classify(CANCEL, reply(result("51410"))), CancelAccepted)
    for command, body in ((CANCEL, result("51410", ordId=OTHER)), (QUERY, result("51410"))):
        assert isinstance(OKX.classify(command, reply(body)), Unproven)


REFUSALS: list[tuple[object, int, Outcome]] = [
    (done(code="50001"), 503, Outcome.UNAVAILABLE),
    (done(code="50026"), 500, Outcome.UNAVAILABLE),
    (done(code="50004"), 400, Outcome.UNKNOWN),
    (done(code="50011"), 429, Outcome.THROTTLED),
    (done(code="50011"), 200, Outcome.THROTTLED),
    (done(code="50013"), 429, Outcome.THROTTLED),
    (done(code="50061"), 200, Outcome.THROTTLED),
    (result("50061"), 200, Outcome.THROTTLED),
    (done(code="50103"), 401, Outcome.UNAUTHORIZED),
    (done(code="50105"), 401, Outcome.UNAUTHORIZED),
    (done(code="50110"), 401, Outcome.UNAUTHORIZED),
    (done(code="50113"), 401, Outcome.UNAUTHORIZED),
    (done(code="50120"), 401, Outcome.UNAUTHORIZED),
    (done(code="51001"), 200, Outcome.REJECTED),
    ("<html>", 502, Outcome.UNAVAILABLE),
    ("<html>", 504, Outcome.UNKNOWN),
    ("<html>", 429, Outcome.THROTTLED),
]


@pytest.mark.parametrize(("body", "status", "outcome"), REFUSALS)
def test_documented_refusals(body: object, status: int, outcome: Outcome) -> None:
    """By their code, and else by the status."""
    answer = OKX.classify(CANCEL, reply(body, status, {"retry-after": "3"}))
    assert isinstance(answer, Unproven)
    assert answer.outcome is outcome
    if outcome is Outcome.THROTTLED and status == 429:
        assert answer.retry_after_ms == 3_000


def test_a_refused_clock_is_corrected() -> None:
    """Nothing was done; the next stamp is by the exchange's clock."""
    answer = OKX.classify(CANCEL, reply(done(code="50102", msg="expired"), 401))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.clock_refused) == (Outcome.UNAVAILABLE, True)
