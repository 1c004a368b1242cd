"""Bybit: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json

import pytest

from tests.support import golden
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.bybit.adapter import BYBIT, sign
from worker.exchanges.bybit.pairs import spell
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    PairList,
    ScopeCanceled,
    Unproven,
)
from worker.model.pairs import ListedPair
from worker.model.wire import Reply, Request

GOLDEN = [
    (category, case, command)
    for category in ("linear", "spot")
    for case in golden.cases(f"bybit_{category}")
    if (command := case.ours(spell))
]
ID, OTHER = "c6f055d9-7f21-4079-913d-e6523a9cfffa", "1616024329462743808"
NOW_MS = 1_700_000_000_000
CANCEL = CancelOrder(ID, pair="BTCUSDT")
QUERY = QueryOrder(ID, pair="BTCUSDT")
PAST = QueryOrder(ID, pair="BTCUSDT", past=True)
MINE = CancelOrder(pair="BTCUSDT", client_order_id="my-1")
ASK_MINE = QueryOrder(pair="BTCUSDT", client_order_id="my-1")
SCOPE = CancelScope("BTCUSDT")
LIST = ListOpenOrders(pair="BTCUSDT")
PREFIXED = ListOpenOrders(pair="BTCUSDT", client_id_prefix="my-")


def signed(command: Command, category: str = "linear") -> Request:
    """Sign a command."""
    access = Access("https://api.bybit.com", "k", "s", category=category)
    return BYBIT.sign(command, access, Stamp(NOW_MS))


def row(status: str, **other: object) -> dict[str, object]:
    """Build an order as the exchange writes it."""
    named = {"symbol": "BTCUSDT", "orderId": ID, "orderLinkId": "my-1", "side": "Buy"}
    return {**named, "orderStatus": status, "stopOrderType": "UNKNOWN", **other}


def done(**result: object) -> dict[str, object]:
    """Build a success."""
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": NOW_MS}


def rows(*found: object, category: str = "linear") -> dict[str, object]:
    """Build a list."""
    return done(category=category, list=list(found), nextPageCursor="")


def failed(code: int, words: str = "words") -> dict[str, object]:
    """Build an error."""
    return {"retCode": code, "retMsg": words, "result": {}, "retExtInfo": {}, "time": NOW_MS}


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Build a reply; a text is sent as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, headers or {}, text.encode(), received_ms=0)


# What goes out


@pytest.mark.parametrize(("category", "case", "command"), GOLDEN)
def test_requests_are_those_of_an_independent_implementation(
    category: str, case: golden.Case, command: Command
) -> None:
    """Method, address, parameters and headers are the same; a list asks for full pages."""
    access = Access("https://api.bybit.com", case.key, case.secret, category=category)
    request, theirs = BYBIT.sign(command, access, Stamp(case.now_ms)), case.request
    assert golden.place(request) == (theirs["method"], theirs["url"].partition("?")[0])
    asked = golden.parameters(request.url, "")
    assert asked.pop("limit", "50") == "50"
    assert asked == golden.parameters(theirs["url"], "")
    sent, wanted = (json.loads(body or "{}") for body in (request.body, theirs["body"]))
    assert sent == wanted
    assert sign(case.secret, case.signed_payload) == case.signature
    for name, value in theirs["headers"].items():
        if name not in ("X-BAPI-SIGN", "Referer") and (theirs["body"] or name != "Content-Type"):
            assert request.headers[name] == value


@pytest.mark.parametrize(("category", "case", "command"), GOLDEN)
def test_the_signature_covers_what_is_sent(
    category: str, case: golden.Case, command: Command
) -> None:
    """Time, key, window, and the query or the body as it is sent."""
    access = Access("https://proxy.example/x", case.key, case.secret, category=category)
    request = BYBIT.sign(command, access, Stamp(case.now_ms, window_ms=900))
    _, _, query = request.url.partition("?")
    payload = f"{case.now_ms}{case.key}900{query}{request.body.decode()}"
    assert request.headers["X-BAPI-SIGN"] == sign(case.secret, payload)
    assert request.headers["X-BAPI-RECV-WINDOW"] == "900"


@pytest.mark.parametrize("name", ["bybit_spot_cancel_order", "bybit_linear_cancel_order"])
def test_the_recorded_vectors_are_met(name: str) -> None:
    """They were recomputed by another implementation."""
    vector = golden.vector(name)
    assert sign(vector["secret"], vector["message"]) == vector["result"]


@pytest.mark.parametrize(
    ("category", "command", "named"),
    [
        ("spot", CANCEL, "Order"),
        ("spot", CancelOrder(ID, pair="BTCUSDT", stop=True), "StopOrder"),
        ("spot", CancelOrder(ID, pair="BTCUSDT", stop=True, stop_kind="tpslOrder"), "tpslOrder"),
        ("spot", CancelOrder(ID, pair="BTCUSDT", stop_kind="StopOrder"), "StopOrder"),
        ("linear", CancelOrder(ID, pair="BTCUSDT", stop=True, stop_kind="StopOrder"), None),
        ("inverse", CANCEL, None),
    ],
)
def test_a_spot_cancel_names_the_kind_of_order(
    category: str, command: Command, named: str | None
) -> None:
    """Stop orders of spot have filters of their own; contracts have none."""
    sent = json.loads(signed(command, category).body)
    assert (sent["category"], sent.get("orderFilter")) == (category, named)


def test_closed_orders_are_asked_about_in_the_history() -> None:
    """With the same parameters."""
    near, far = signed(QUERY).url, signed(PAST).url
    assert near.replace("/v5/order/realtime?", "/v5/order/history?") == far != near


@pytest.mark.parametrize(
    ("category", "after", "asked"),
    [
        ("spot", "", {}),
        ("inverse", "a%3D1", {"cursor": "a%3D1"}),
        ("linear", "", {"settleCoin": "USDT"}),
        ("linear", "USDT:a%3D1", {"settleCoin": "USDT", "cursor": "a%3D1"}),
        ("linear", "USDC:", {"settleCoin": "USDC"}),
    ],
)
def test_all_pairs_are_listed(category: str, after: str, asked: dict[str, str]) -> None:
    """Linear contracts by the coin that they are settled in."""
    sent = golden.parameters(signed(ListOpenOrders(after=after), category).url, "")
    assert sent == {"category": category, "limit": "50", **asked}


def test_a_page_of_a_pair_is_asked_for_by_its_cursor() -> None:
    """As the exchange wrote it."""
    sent = golden.parameters(signed(ListOpenOrders("BTCUSDT", after="a%3D1")).url, "")
    assert (sent["symbol"], sent["cursor"]) == ("BTCUSDT", "a%3D1")


@pytest.mark.parametrize(
    "command",
    [
        CancelOrder(ID),
        QueryOrder(ID),
        CancelScope(),
        CancelScope("BTCUSDT", "buy"),
        CancelOrder("12 34", pair="BTCUSDT"),
        CancelOrder("a_1", pair="BTCUSDT"),
        CancelOrder(pair="BTCUSDT", client_order_id="my.order"),
        CancelOrder(pair="BTCUSDT", client_order_id="m" * 37),
        SetCountdown(("BTCUSDT",), 60_000),
        FetchToken(),
    ],
)
def test_what_cannot_be_asked_is_refused(command: Command) -> None:
    """Before a request is made of it."""
    with pytest.raises(InvalidCommand):
        signed(command)


@pytest.mark.parametrize("category", ["", "option", "futures"])
def test_no_request_is_made_without_a_category(category: str) -> None:
    """It says which market's orders are meant."""
    with pytest.raises(InvalidCommand, match="category"):
        signed(CANCEL, category)


@pytest.mark.parametrize(
    ("pair", "spelled"),
    [
        ("BTCUSDT", "BTCUSDT"),
        ("btcusdt", "BTCUSDT"),
        ("BTC/USDT", "BTCUSDT"),
        ("BTC/USDT:USDT", "BTCUSDT"),
        ("BTC/USDC", "BTCUSDC"),
        ("BTC/USDC:USDC", "BTCPERP"),
        ("BTC/USD:BTC", "BTCUSD"),
        ("BTC/USDT:USDT-250328", "BTCUSDT-28MAR25"),
        ("BTC/USDC:USDC-250307", "BTC-7MAR25"),
        ("BTC/USD:BTC-240628", "BTCUSDM24"),
        ("BTC/USDC:USDC-soon", "BTCUSDC"),
        ("BTC/USDT:USDT-251328", "BTCUSDT"),
    ],
)
def test_pairs_in_either_spelling_are_one(pair: str, spelled: str) -> None:
    """The exchange's own, and ccxt's."""
    assert spell(pair) == spelled
    assert spell(spelled) == spelled


# What comes back

OPEN = OrderReport(OrderState.OPEN)
MEANS: list[tuple[Command, object, Answer]] = [
    (CANCEL, done(orderId=ID, orderLinkId=""), CancelAccepted()),
    (MINE, done(orderId=ID, orderLinkId="my-1"), CancelAccepted()),
    (SCOPE, done(list=[{"orderId": ID}], success="1"), ScopeCanceled()),
    (SCOPE, done(list=[]), ScopeCanceled()),
    (QUERY, rows(row("New")), OPEN),
    (QUERY, rows(row("PartiallyFilled")), OPEN),
    (QUERY, rows(row("Untriggered")), OPEN),
    (
        QUERY,
        rows(row("Untriggered", stopOrderType="tpslOrder"), category="spot"),
        OrderReport(OrderState.OPEN, stop_kind="tpslOrder"),
    ),
    (
        QUERY,
        rows(row("Untriggered", stopOrderType="Stop"), category="spot"),
        OrderReport(OrderState.OPEN, stop_kind="StopOrder"),
    ),
    (QUERY, rows(row("Untriggered", stopOrderType="Stop")), OPEN),
    (QUERY, rows(row("Filled")), OrderReport(OrderState.FILLED)),
    (QUERY, rows(row("Cancelled")), OrderReport(OrderState.CANCELED)),
    (QUERY, rows(row("PartiallyFilledCanceled")), OrderReport(OrderState.CANCELED)),
    (QUERY, rows(row("Rejected")), OrderReport(OrderState.FILLED)),
    (QUERY, rows(row("Deactivated", stopOrderType="Stop")), OrderReport(OrderState.FILLED)),
    (PAST, rows(row("Cancelled")), OrderReport(OrderState.CANCELED)),
    (ASK_MINE, rows(row("Cancelled")), OrderReport(OrderState.CANCELED)),
    (LIST, rows(), OpenOrders((), complete=True)),
    (LIST, rows(row("New")), OpenOrders((OpenOrder(ID, "BTCUSDT", "buy"),), complete=True)),
    (
        LIST,
        rows(row("Untriggered", stopOrderType="TakeProfit")),
        OpenOrders((OpenOrder(ID, "BTCUSDT", "buy", stop=True),), complete=True),
    ),
    (LIST, rows(row("New", symbol="ETHUSDT")), OpenOrders((), complete=True)),
    (LIST, rows(row("New", orderId=None)), OpenOrders((), complete=False)),
    (LIST, rows(row("Born")), OpenOrders((OpenOrder(ID, "BTCUSDT", "buy"),), complete=False)),
    (PREFIXED, rows(row("New")), OpenOrders((OpenOrder(ID, "BTCUSDT", "buy"),), complete=True)),
    (PREFIXED, rows(row("New", orderLinkId="")), OpenOrders((), complete=True)),
    (PREFIXED, rows(row("New", orderLinkId=None)), OpenOrders((), complete=False)),
]


@pytest.mark.parametrize(("command", "body", "answer"), MEANS)
def test_documented_successes(command: Command, body: object, answer: Answer) -> None:
    """A cancel's success is no proof: the exchange is asked."""
    assert BYBIT.classify(command, reply(body)) == answer


ALL = ListOpenOrders()
FULL = [row("New", orderId=str(n)) for n in range(50)]


@pytest.mark.parametrize(
    ("command", "category", "found", "cursor", "after", "complete"),
    [
        (LIST, "linear", FULL, "a%3D1", "a%3D1", True),
        (LIST, "linear", FULL, "", "", True),
        (LIST, "linear", FULL, None, "", False),
        (LIST, "linear", FULL[:49], "a%3D1", "", True),
        (LIST, "", FULL[:49], None, "", True),
        (ALL, "spot", FULL, "a%3D1", "a%3D1", True),
        (ALL, "spot", [], "", "", True),
        (ALL, "", [], "", "", False),
        (ALL, "linear", FULL, "a%3D1", "USDT:a%3D1", True),
        (ALL, "linear", FULL, "", "USDC:", True),
        (ALL, "linear", [], "", "USDC:", True),
        (ListOpenOrders(after="USDT:b"), "linear", [], "", "USDC:", True),
        (ListOpenOrders(after="USDC:"), "linear", FULL, "b", "USDC:b", True),
        (ListOpenOrders(after="USDC:b"), "linear", [], "", "", True),
    ],
)
def test_a_full_page_may_not_be_all(  # noqa: PLR0917
    command: Command,
    category: str,
    found: list[object],
    cursor: object,
    after: str,
    complete: bool,  # noqa: FBT001
) -> None:
    """The next page has a cursor; the linear contracts of one coin follow those of another."""
    body = done(category=category, list=found, nextPageCursor=cursor)
    answer = BYBIT.classify(command, reply(body))
    assert isinstance(answer, OpenOrders)
    assert (len(answer.orders), answer.next, answer.complete) == (len(found), after, complete)


@pytest.mark.parametrize(("command", "where"), [(QUERY, "newest"), (PAST, "history")])
def test_an_empty_list_is_an_order_that_is_missing(command: Command, where: str) -> None:
    """No code says so."""
    answer = BYBIT.classify(command, reply(rows()))
    assert isinstance(answer, OrderReport)
    assert answer.state is OrderState.MISSING
    assert where in answer.detail


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (CANCEL, done(orderId=OTHER, orderLinkId="")),
        (MINE, done(orderId=ID, orderLinkId="my-2")),
        (CANCEL, done()),
        (CANCEL, rows(row("Cancelled"))),
        (CANCEL, {**done(orderId=ID), "retCode": "0"}),
        (CANCEL, {**done(orderId=ID), "retCode": False}),
        (CANCEL, failed(170147)),
        (CANCEL, failed(10000)),
        (CANCEL, failed(110079)),
        (CANCEL, failed(170191)),
        (CANCEL, failed(170212)),
        (CANCEL, failed(999999)),
        (SCOPE, done(list=[], success="0")),
        (SCOPE, done(success="1")),
        (SCOPE, failed(110010)),
        (QUERY, failed(110010)),
        (QUERY, failed(110001)),
        (QUERY, rows(row("Cancelled", orderId=OTHER))),
        (QUERY, rows(row("Cancelled", symbol="ETHUSDT"))),
        (QUERY, rows(row("Cancelled"), row("Cancelled"))),
        (QUERY, rows(row("Triggered"))),
        (QUERY, done(list={})),
        (LIST, done(list=None)),
        (CANCEL, "<html>"),
    ],
)
def test_what_is_not_the_documented_success_proves_nothing(command: Command, body: object) -> None:
    """Another order, a busy one, a code of two meanings, a page."""
    answer = BYBIT.classify(command, reply(body))
    assert isinstance(answer, Unproven)
    assert answer.outcome is Outcome.UNKNOWN
    assert not answer.missing


@pytest.mark.parametrize("code", [110001, 110008, 170143, 170213])
def test_an_order_that_is_filled_canceled_or_was_never_there_is_missing(code: int) -> None:
    """One code for several fates: ask."""
    answer = BYBIT.classify(CANCEL, reply(failed(code)))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.missing) == (Outcome.UNKNOWN, True)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(110010, Outcome.CANCELED), (170142, Outcome.CANCELED), (170139, Outcome.GONE)],
)
def test_codes_that_name_one_fate_prove_it(code: int, outcome: Outcome) -> None:
    """For the one order of the cancel, with the status that documents give."""
    answer = BYBIT.classify(CANCEL, reply(failed(code)))
    assert isinstance(answer, Closed)
    assert answer.outcome is outcome
    assert isinstance(BYBIT.classify(CANCEL, reply(failed(code), 500)), Unproven)


REFUSALS: list[tuple[object, int, Outcome]] = [
    (failed(10016), 200, Outcome.UNAVAILABLE),
    *((failed(code), 200, Outcome.UNAUTHORIZED) for code in (10003, 10004, 10005, 10007)),
    *((failed(code), 200, Outcome.UNAUTHORIZED) for code in (10010, 33004)),
    *((failed(code), 200, Outcome.REJECTED) for code in (10001, 170121)),
    *((failed(code), 200, Outcome.THROTTLED) for code in (10006, 10429, 170222)),
    ("busy", 429, Outcome.THROTTLED),
    ("<html>", 502, Outcome.UNAVAILABLE),
    ("<html>", 504, Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("body", "status", "outcome"), REFUSALS)
def test_documented_refusals(body: object, status: int, outcome: Outcome) -> None:
    """By their code, and else by the status."""
    answer = BYBIT.classify(CANCEL, reply(body, status))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.banned) == (outcome, False)


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        (str(NOW_MS + 640), 640),
        (str(NOW_MS), 0),
        (str(NOW_MS - 1), None),
        (str(NOW_MS + 60_000), None),
        ("soon", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("status", [200, 429])
def test_a_limit_is_reset_at_a_time_of_the_exchange(
    header: str, wait_ms: int | None, status: int
) -> None:
    """Counted from the time in the same reply; one that is far off is not believed."""
    headers = {"x-bapi-limit-reset-timestamp": header}
    answer = BYBIT.classify(CANCEL, reply(failed(10006), status, headers))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.retry_after_ms) == (Outcome.THROTTLED, wait_ms)


def test_a_forbidden_address_rests_for_ten_minutes() -> None:
    """The page says so and nothing else."""
    answer = BYBIT.classify(QUERY, reply("403, access too frequent", 403))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.banned, answer.retry_after_ms) == (
        Outcome.THROTTLED,
        True,
        600_000,
    )


def test_a_refused_clock_is_corrected() -> None:
    """Nothing was done; the next stamp is by the exchange's clock."""
    answer = BYBIT.classify(CANCEL, reply(failed(10002)))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.clock_refused) == (Outcome.UNAVAILABLE, True)


@pytest.mark.parametrize(
    ("after", "asked", "rows", "cursor", "following"),
    [
        ("", "", 1, "", "PreLaunch:"),
        ("", "", 1, "c=1", ":c=1"),
        (":c=1", "&cursor=c%3D1", 1, "", "PreLaunch:"),
        (":c=1", "&cursor=c%3D1", 0, "", "PreLaunch:"),
        ("PreLaunch:", "&status=PreLaunch", 0, "", "Delivering:"),
        ("Delivering:", "&status=Delivering", 1, "c2", "Delivering:c2"),
        ("Delivering:c2", "&status=Delivering&cursor=c2", 1, "", ""),
    ],
)
def test_contracts_are_listed_to_anybody_one_status_after_the_other(
    after: str, asked: str, rows: int, cursor: str, following: str
) -> None:
    """A page at a time: orders may be open before a contract trades and while it is delivered."""
    command = ListPairs(after=after)
    request = signed(command)
    home = "https://api.bybit.com/v5/market/instruments-info?category=linear&limit=500"
    assert (request.method, request.url, request.headers) == ("GET", home + asked, {})
    body = done(category="linear", list=[{"symbol": "BTCUSDT"}] * rows, nextPageCursor=cursor)
    assert BYBIT.classify(command, reply(body)) == PairList(
        (ListedPair("BTCUSDT"),) * rows, following
    )


def test_pairs_of_spot_are_one_list() -> None:
    """Of pairs that trade; the exchange knows no other status there."""
    body = done(category="spot", list=[{"symbol": "BTCUSDT"}], nextPageCursor="")
    assert BYBIT.classify(ListPairs(), reply(body)) == PairList((ListedPair("BTCUSDT"),))


@pytest.mark.parametrize("rows", [[], [{"symbol": "BTCUSDT"}, {}], [{"symbol": "a b"}], None, {}])
def test_a_list_of_pairs_that_cannot_be_read_is_none(rows: object) -> None:
    """An empty one, one with a row without a name, no list."""
    body = done(category="linear", list=rows, nextPageCursor="")
    assert isinstance(BYBIT.classify(ListPairs(), reply(body)), Unproven)
