"""Gate: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from tests.support import golden
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.gate.adapter import GATE, GATE_FUTURES, Gate, payload, sign, spell
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    ListPairs,
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
    PairList,
    ScopeCanceled,
    Unproven,
)
from worker.model.pairs import ListedPair
from worker.model.wire import Reply

Row = Callable[..., dict[str, object]]

MARKETS = {"gate_spot": GATE, "gate_futures_usdt": GATE_FUTURES}
GOLDEN = [
    (market, case, command)
    for name, market in MARKETS.items()
    for case in golden.cases(name)
    if (command := case.ours(spell))
]
ADDED = {"account", "contract"}
"""What the other implementation adds to requests for one order, and no document has."""
HOST = "https://api.gateio.ws"
NOW_MS = 1_700_000_000_000
NOW_US = NOW_MS * 1_000
ID, OTHER = "12345678", "12345679"
CANCEL = CancelOrder(ID, pair="BTC_USDT")
QUERY = QueryOrder(ID, pair="BTC_USDT")
MINE = CancelOrder(pair="BTC_USDT", client_order_id="t-my-order-1")
ASK_MINE = QueryOrder(pair="BTC_USDT", client_order_id="t-my-order-1")
LIST = ListOpenOrders(pair="BTC_USDT")
ALL = ListOpenOrders()
GRID = ListOpenOrders(pair="BTC_USDT", client_id_prefix="t-grid-")
STOP = CancelOrder(ID, pair="BTC_USDT", stop=True)
ASK_STOP = QueryOrder(ID, pair="BTC_USDT", stop=True)
STOPS = ListStopOrders(pair="BTC_USDT")
SCOPE = CancelScope(pair="BTC_USDT")
TIMER = SetCountdown(("BTC_USDT",), 60_000)
OFF = SetCountdown(("BTC_USDT",), 0)
ROW = OpenOrder(ID, "BTC_USDT", "buy")


def spot(status: str, **other: object) -> dict[str, object]:
    """Build a spot order as the exchange writes it."""
    named = {"id": ID, "text": "t-my-order-1", "currency_pair": "BTC_USDT", "side": "buy"}
    return {**named, "status": status, **other}


def future(status: str, **other: object) -> dict[str, object]:
    """Build a futures order as the exchange writes it: the sign of its size is its side."""
    named = {"id": int(ID), "text": "t-my-order-1", "contract": "BTC_USDT", "size": 10}
    return {**named, "status": status, **other}


def spot_stop(status: str, **other: object) -> dict[str, object]:
    """Build a price-triggered spot order."""
    return {"id": int(ID), "market": "BTC_USDT", "put": {"side": "buy"}, "status": status, **other}


def future_stop(status: str, **other: object) -> dict[str, object]:
    """Build a price-triggered futures order."""
    initial = {"contract": "BTC_USDT", "size": 10}
    return {"id": int(ID), "initial": initial, "status": status, **other}


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Build a reply; a text is sent as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    told = {"x-in-time": str(NOW_US), "x-out-time": str(NOW_US + 7_000)}
    return Reply(status, {**told, **(headers or {})}, text.encode(), received_ms=NOW_MS)


def error(label: str) -> dict[str, str]:
    """Build an error."""
    return {"label": label, "message": "words"}


# What goes out


@pytest.mark.parametrize(("market", "case", "command"), GOLDEN)
def test_requests_are_those_of_an_independent_implementation(
    market: Gate, case: golden.Case, command: Command
) -> None:
    """Method, address and parameters are the same, and so is the signature of its bytes."""
    access = Access(HOST, case.key, case.secret)
    request, theirs = market.sign(command, access, Stamp(case.now_ms)), case.request
    assert sign(case.secret, case.signed_payload) == case.signature
    for name, value in theirs["headers"].items():
        if name not in ("SIGN", "X-Gate-Channel-Id", "X-Gate-Size-Decimal"):
            assert request.headers[name] == value
    if market is GATE and case.command == "open_orders":
        return  # it asks for all pairs, whichever one it names: see the next test
    assert golden.place(request) == (theirs["method"], theirs["url"].partition("?")[0])
    single = isinstance(command, CancelOrder | QueryOrder)
    added = ADDED if single and market is GATE_FUTURES else {"account"}
    wanted = golden.parameters(theirs["url"], "")
    assert golden.parameters(request.url, "") == {k: wanted[k] for k in wanted.keys() - added}
    assert request.body.decode() == (theirs["body"] or "")


@pytest.mark.parametrize(("market", "case", "command"), GOLDEN)
def test_the_signature_covers_what_is_sent(
    market: Gate, case: golden.Case, command: Command
) -> None:
    """Method, path, query, body and time."""
    request = market.sign(command, Access(f"{HOST}/", case.key, case.secret), Stamp(case.now_ms))
    parts = urlsplit(request.url)
    signed = payload(request.method, parts.path, parts.query, request.body.decode(), "1700000000")
    assert request.headers["SIGN"] == sign(case.secret, signed)


@pytest.mark.parametrize("name", ["gate_spot_countdown_set", "gate_futures_usdt_cancel_order"])
def test_the_recorded_vectors_are_met(name: str) -> None:
    """They were recomputed by another implementation."""
    vector = golden.vector(name)
    assert sign(vector["secret"], vector["message"]) == vector["result"]


@pytest.mark.parametrize(
    ("market", "command", "method", "target"),
    [
        (GATE, LIST, "GET", "/spot/orders?currency_pair=BTC_USDT&status=open"),
        (GATE, ALL, "GET", "/spot/open_orders"),
        (GATE, STOPS, "GET", "/spot/price_orders?status=open&market=BTC_USDT"),
        (GATE, ListStopOrders(), "GET", "/spot/price_orders?status=open"),
        (GATE, STOP, "DELETE", f"/spot/price_orders/{ID}"),
        (GATE, ASK_STOP, "GET", f"/spot/price_orders/{ID}"),
        (GATE, CancelScope(), "DELETE", "/spot/orders"),
        (
            GATE,
            CancelScope("BTC_USDT", "sell"),
            "DELETE",
            "/spot/orders?currency_pair=BTC_USDT&side=sell",
        ),
        (GATE_FUTURES, ALL, "GET", "/futures/usdt/orders?status=open"),
        (GATE_FUTURES, CancelOrder(ID), "DELETE", f"/futures/usdt/orders/{ID}"),
        (GATE_FUTURES, STOP, "DELETE", f"/futures/usdt/price_orders/{ID}"),
        (GATE_FUTURES, STOPS, "GET", "/futures/usdt/price_orders?status=open&contract=BTC_USDT"),
        (
            GATE_FUTURES,
            CancelScope("BTC_USDT", "buy"),
            "DELETE",
            "/futures/usdt/orders?contract=BTC_USDT&side=bid",
        ),
        (
            GATE_FUTURES,
            CancelScope("BTC_USDT", "sell"),
            "DELETE",
            "/futures/usdt/orders?contract=BTC_USDT&side=ask",
        ),
    ],
)
def test_where_a_request_goes(market: Gate, command: Command, method: str, target: str) -> None:
    """Stop orders are price-triggered orders, at an address of their own."""
    request = market.sign(command, Access(HOST, "k", "s"), Stamp(NOW_MS))
    assert (request.method, request.url) == (method, f"{HOST}/api/v4{target}")


@pytest.mark.parametrize("market", MARKETS.values())
@pytest.mark.parametrize("command", [CANCEL, STOP, SCOPE, TIMER, OFF])
@pytest.mark.parametrize(
    ("window_ms", "valid_ms"), [(None, 5_000), (1_700, 1_700), (60_000, 5_000)]
)
def test_what_changes_something_expires(
    market: Gate, command: Command, window_ms: int | None, valid_ms: int
) -> None:
    """At the exact ms by which it has been given up; a question does not."""
    stamp = Stamp(NOW_MS, window_ms=window_ms)
    request = market.sign(command, Access(HOST, "k", "s"), stamp)
    assert request.headers["X-Gate-Exptime"] == str(NOW_MS + valid_ms)
    assert "X-Gate-Exptime" not in market.sign(QUERY, Access(HOST, "k", "s"), stamp).headers


@pytest.mark.parametrize("countdown_ms", [0, 5_000, 61_000])
def test_a_timer_is_in_whole_seconds(countdown_ms: int) -> None:
    """As a number, of one pair: without one it would be for all."""
    command = SetCountdown(("BTC_USDT",), countdown_ms)
    request = GATE.sign(command, Access(HOST, "k", "s"), Stamp(NOW_MS))
    wanted = {"timeout": countdown_ms // 1_000, "currency_pair": "BTC_USDT"}
    assert json.loads(request.body) == wanted


@pytest.mark.parametrize(
    ("market", "command"),
    [
        (GATE, CancelOrder(ID)),
        (GATE, QueryOrder(ID)),
        (GATE_FUTURES, CancelScope()),
        *[
            (market, command)
            for market in MARKETS.values()
            for command in (
                CancelOrder("", pair="BTC_USDT"),
                CancelOrder("t-1", pair="BTC_USDT"),
                CancelOrder("1/2", pair="BTC_USDT"),
                CancelOrder(pair="BTC_USDT", client_order_id="my-order-1"),
                CancelOrder(pair="BTC_USDT", client_order_id="t-"),
                CancelOrder(pair="BTC_USDT", client_order_id="t-a/b"),
                CancelOrder(pair="BTC_USDT", client_order_id="t-" + "m" * 29),
                CancelScope(pair=""),
                SetCountdown((), 60_000),
                SetCountdown(("BTC_USDT", "ETH_USDT"), 60_000),
                SetCountdown(("BTC_USDT",), 4_000),
                SetCountdown(("BTC_USDT",), 5_500),
                FetchToken(),
            )
        ],
    ],
)
def test_what_cannot_be_asked_is_refused(market: Gate, command: Command) -> None:
    """Before a request is made of it: an order without a name would be every order."""
    with pytest.raises(InvalidCommand):
        market.sign(command, Access(HOST, "k", "s"), Stamp(NOW_MS))


@pytest.mark.parametrize("pair", ["BTC_USDT", "btc_usdt", "BTC/USDT", "BTC/USDT:USDT"])
def test_pairs_in_either_spelling_are_one(pair: str) -> None:
    """The exchange's own, and ccxt's."""
    assert spell(pair) == "BTC_USDT"


# What comes back

NONE = OpenOrders((), complete=True)
OPEN, CANCELED, FILLED = OrderState.OPEN, OrderState.CANCELED, OrderState.FILLED
GONE = Closed(Outcome.GONE)
MEANS: list[tuple[Gate, Command, object, Answer]] = [
    (GATE, CANCEL, spot("cancelled", finish_as="cancelled"), Closed(Outcome.CANCELED)),
    (GATE, CANCEL, spot("cancelled"), Closed(Outcome.CANCELED)),
    (GATE, MINE, spot("cancelled"), Closed(Outcome.CANCELED)),
    (GATE, CANCEL, spot("closed", finish_as="filled"), GONE),
    (GATE, CANCEL, spot("closed"), GONE),
    *[
        (GATE, CANCEL, spot("cancelled", finish_as=how), GONE)
        for how in ("liquidate_cancelled", "small", "depth_not_enough", "ioc", "poc", "fok", "stp")
    ],
    (GATE, QUERY, spot("open"), OrderReport(OPEN)),
    (GATE, QUERY, spot("open", finish_as="open"), OrderReport(OPEN)),
    (GATE, QUERY, spot("cancelled", finish_as="cancelled"), OrderReport(CANCELED)),
    (GATE, QUERY, spot("cancelled", finish_as="stp"), OrderReport(FILLED)),
    (GATE, QUERY, spot("closed"), OrderReport(FILLED)),
    (GATE, ASK_MINE, spot("open"), OrderReport(OPEN)),
    (GATE, STOP, spot_stop("cancelled"), Closed(Outcome.CANCELED)),
    (GATE, STOP, spot_stop("canceled"), Closed(Outcome.CANCELED)),
    (GATE, STOP, spot_stop("open"), CancelAccepted()),
    (GATE, STOP, spot_stop("finish"), GONE),
    (GATE, ASK_STOP, spot_stop("open"), OrderReport(OPEN)),
    (GATE, ASK_STOP, spot_stop("expired"), OrderReport(FILLED)),
    (GATE, ASK_STOP, spot_stop("failed"), OrderReport(FILLED)),
    (GATE, STOPS, [spot_stop("open")], OpenOrders((replace(ROW, stop=True),), complete=True)),
    (GATE, STOPS, [spot_stop("open", market="ETH_USDT")], NONE),
    (GATE, ListStopOrders("BTC_USDT", None, "t-grid-"), [spot_stop("open")], NONE),
    (GATE, SCOPE, [], ScopeCanceled(0)),
    (GATE, SCOPE, [spot("cancelled", succeeded=True, label="")], ScopeCanceled(1, (ID,))),
    (GATE, SCOPE, [spot("cancelled", succeeded=False, label="X")], ScopeCanceled(0)),
    (GATE, SCOPE, [spot("closed", succeeded=True)], ScopeCanceled(0)),
    (GATE, SCOPE, [spot("cancelled"), spot("cancelled")], ScopeCanceled(1, (ID,))),
    # What cannot be read may be of any order.
    (GATE, SCOPE, [spot("open", succeeded=True)], ScopeCanceled()),
    (GATE, SCOPE, [spot("cancelled"), spot("cancelled", id="")], ScopeCanceled()),
    (GATE, SCOPE, [{}], ScopeCanceled()),
    (GATE, LIST, [], NONE),
    (GATE, LIST, [spot("open")], OpenOrders((ROW,), complete=True)),
    (GATE, LIST, [spot("open", currency_pair="ETH_USDT")], NONE),
    (GATE, LIST, [spot("open", currency_pair="BTCUSDT")], OpenOrders((), complete=False)),
    (GATE, LIST, [spot("cancelled")], NONE),
    (GATE, LIST, [spot("odd")], OpenOrders((ROW,), complete=False)),
    (GATE, LIST, [spot("open", id=None)], OpenOrders((), complete=False)),
    (GATE, GRID, [spot("open", text="t-grid-1")], OpenOrders((ROW,), complete=True)),
    (GATE, GRID, [spot("open"), spot("open", id="2", text="api")], NONE),
    (GATE, GRID, [spot("open", text=None)], OpenOrders((), complete=False)),
    (
        GATE,
        ALL,
        [
            {"currency_pair": "BTC_USDT", "total": 1, "orders": [spot("open")]},
            {
                "currency_pair": "ETH_USDT",
                "total": 1,
                "orders": [spot("open", id=OTHER, currency_pair="ETH_USDT", side="sell")],
            },
        ],
        OpenOrders((ROW, OpenOrder(OTHER, "ETH_USDT", "sell")), complete=True),
    ),
    (GATE, ALL, [{"currency_pair": "BTC_USDT", "total": 1}], OpenOrders((), complete=False)),
    (GATE, TIMER, {"triggerTime": str(NOW_MS + 60_000)}, CountdownSet()),
    (GATE, OFF, {"triggerTime": "0"}, CountdownSet()),
    (GATE, OFF, {"triggerTime": NOW_MS}, CountdownSet()),
    (
        GATE_FUTURES,
        CANCEL,
        future("finished", finish_as="cancelled", left=4),
        Closed(Outcome.CANCELED),
    ),
    (
        GATE_FUTURES,
        CancelOrder(ID),
        future("finished", finish_as="cancelled"),
        Closed(Outcome.CANCELED),
    ),
    (GATE_FUTURES, MINE, future("finished", finish_as="cancelled"), Closed(Outcome.CANCELED)),
    *[
        (GATE_FUTURES, CANCEL, future("finished", finish_as=how), GONE)
        for how in ("filled", "liquidated", "ioc", "auto_deleveraged", "reduce_only", "reduce_out")
    ],
    (GATE_FUTURES, QUERY, future("open"), OrderReport(OPEN)),
    (GATE_FUTURES, QUERY, future("finished", finish_as="position_closed"), OrderReport(FILLED)),
    (GATE_FUTURES, QUERY, future("finished", finish_as="cancelled"), OrderReport(CANCELED)),
    (
        GATE_FUTURES,
        STOP,
        future_stop("finished", finish_as="cancelled"),
        Closed(Outcome.CANCELED),
    ),
    (GATE_FUTURES, STOP, future_stop("open"), CancelAccepted()),
    (GATE_FUTURES, ASK_STOP, future_stop("finished", finish_as="succeeded"), OrderReport(FILLED)),
    (
        GATE_FUTURES,
        STOPS,
        [
            future_stop("open"),
            future_stop("open", id=2, initial={"contract": "BTC_USDT", "size": -3}),
            future_stop(
                "open",
                id=3,
                initial={"contract": "BTC_USDT", "size": 0},
                order_type="plan-close-long-position",
            ),
        ],
        OpenOrders(
            (
                replace(ROW, stop=True),
                OpenOrder("2", "BTC_USDT", "sell", stop=True),
                OpenOrder("3", "BTC_USDT", "sell", stop=True),
            ),
            complete=True,
        ),
    ),
    (GATE_FUTURES, SCOPE, [future("finished", finish_as="cancelled")], ScopeCanceled(1, (ID,))),
    (
        GATE_FUTURES,
        LIST,
        [
            future("open"),
            future("open", id=2, size=-1),
            future("open", id=3, size=0, auto_size="close_short"),
            future("open", id=4, size=0),
            future("open", id=5, size="-1.5"),
        ],
        OpenOrders(
            (
                ROW,
                OpenOrder("2", "BTC_USDT", "sell"),
                OpenOrder("3", "BTC_USDT", "buy"),
                OpenOrder("4", "BTC_USDT"),
                OpenOrder("5", "BTC_USDT", "sell"),
            ),
            complete=True,
        ),
    ),
    (
        GATE_FUTURES,
        ListOpenOrders("BTC_USDT", "sell"),
        [future("open"), future("open", id=4, size=0)],
        OpenOrders((), complete=False),
    ),
    (GATE_FUTURES, TIMER, {"triggerTime": NOW_MS + 60_900}, CountdownSet()),
]


@pytest.mark.parametrize(("market", "command", "body", "answer"), MEANS)
def test_documented_successes(market: Gate, command: Command, body: object, answer: Answer) -> None:
    """A row proves what it says of the order that was asked for; `finish_as` is its fate."""
    assert market.classify(command, reply(body)) == answer


@pytest.mark.parametrize(
    ("market", "command", "body"),
    [
        (GATE, CANCEL, spot("open")),
        (GATE, CANCEL, spot("cancelled", id=OTHER)),
        (GATE, CANCEL, spot("cancelled", currency_pair="ETH_USDT")),
        (GATE, CANCEL, spot("cancelled", finish_as="odd")),
        (GATE, CANCEL, spot("cancelled", finish_as="open")),
        (GATE, CANCEL, spot("closed", finish_as="cancelled")),
        (GATE, CANCEL, spot("cancelled", label="ORDER_CLOSED")),
        (GATE, CANCEL, [spot("cancelled")]),
        (GATE, CANCEL, {}),
        (GATE, CANCEL, {"id": ID, "succeeded": True}),
        (GATE, CANCEL, "<html>"),
        (GATE, CANCEL, error("ORDER_CANCELLED")),
        (GATE, MINE, spot("cancelled", text="t-my-order-2")),
        (GATE, MINE, spot("cancelled", text=None)),
        (GATE, STOP, spot("cancelled")),
        (GATE, QUERY, spot("odd")),
        (GATE, QUERY, spot("finished", finish_as="cancelled")),
        (GATE, ASK_STOP, spot_stop("odd")),
        (GATE, SCOPE, {}),
        (GATE, LIST, {}),
        (GATE, STOPS, {}),
        (GATE, TIMER, {}),
        (GATE, TIMER, {"triggerTime": "0"}),
        (GATE, TIMER, {"triggerTime": str(NOW_MS + 30_000)}),
        (GATE, TIMER, {"triggerTime": "soon"}),
        (GATE, OFF, {"triggerTime": str(NOW_MS + 60_000)}),
        (GATE_FUTURES, CANCEL, future("finished")),
        (GATE_FUTURES, CANCEL, future("finished", finish_as="odd")),
        (GATE_FUTURES, CANCEL, future("cancelled", finish_as="cancelled")),
        (GATE_FUTURES, CANCEL, future("finished", finish_as="cancelled", contract="ETH_USDT")),
        (GATE_FUTURES, QUERY, future("finished", finish_as="cancelled", id=int(OTHER))),
        (GATE_FUTURES, ASK_STOP, future_stop("inactive")),
        (GATE_FUTURES, ASK_STOP, future_stop("invalid")),
    ],
)
def test_what_is_not_the_documented_success_proves_nothing(
    market: Gate, command: Command, body: object
) -> None:
    """Another order or pair, an open state, a fate of no document, another time, a page."""
    answer = market.classify(command, reply(body))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.missing) == (Outcome.UNKNOWN, False)


@pytest.mark.parametrize(
    ("market", "row", "pages"),
    [(GATE, spot, ("page=2", "page=3")), (GATE_FUTURES, future, ("offset=100", "offset=200"))],
)
def test_a_full_page_has_another_after_it(market: Gate, row: Row, pages: tuple[str, str]) -> None:
    """By its number on spot, by the rows before it on the futures."""
    rows = [row("open", id=str(n)) for n in range(1, 101)]
    command = LIST
    for page in pages:
        answer = market.classify(command, reply(rows))
        assert isinstance(answer, OpenOrders)
        assert (len(answer.orders), len(answer.seen), answer.complete) == (100, 100, True)
        command = replace(LIST, after=answer.next)
        request = market.sign(command, Access(HOST, "k", "s"), Stamp(NOW_MS))
        assert request.url.endswith(f"&status=open&{page}")
    last = market.classify(command, reply(rows[:99]))
    assert isinstance(last, OpenOrders)
    assert (last.next, last.complete) == ("", True)


def test_stop_orders_have_pages_by_offset() -> None:
    """On both markets."""
    for market, row in ((GATE, spot_stop), (GATE_FUTURES, future_stop)):
        answer = market.classify(STOPS, reply([row("open", id=n) for n in range(1, 101)]))
        assert isinstance(answer, OpenOrders)
        command = replace(STOPS, after=answer.next)
        request = market.sign(command, Access(HOST, "k", "s"), Stamp(NOW_MS))
        assert request.url.endswith("=BTC_USDT&offset=100")


def test_pages_of_all_pairs_count_for_each() -> None:
    """Another follows as long as one pair has a full page."""
    groups = [{"currency_pair": f"A{n}_B", "orders": [spot("open")]} for n in range(100)]
    whole = GATE.classify(ALL, reply(groups))
    assert isinstance(whole, OpenOrders)
    assert (len(whole.orders), whole.next, whole.complete) == (100, "", True)
    rows = [spot("open", id=str(n)) for n in range(1, 101)]
    page = GATE.classify(ALL, reply([*groups, {"currency_pair": "BTC_USDT", "orders": rows}]))
    assert isinstance(page, OpenOrders)
    assert (len(page.orders), page.next, page.complete) == (200, "2", True)
    request = GATE.sign(replace(ALL, after="2"), Access(HOST, "k", "s"), Stamp(NOW_MS))
    assert request.url.endswith("/spot/open_orders?page=2")


def test_pairs_are_listed_to_anybody() -> None:
    """Without a key; the contracts a page at a time."""
    request = GATE.sign(ListPairs(), Access(HOST, "k", "s"), Stamp(NOW_MS))
    assert (request.url, request.headers) == (f"{HOST}/api/v4/spot/currency_pairs", {})
    rows = [{"id": "BTC_USDT", "base": "BTC", "quote": "USDT"}]
    assert GATE.classify(ListPairs(), reply(rows)) == PairList(
        (ListedPair("BTC_USDT", ("BTC/USDT",)),)
    )
    home = f"{HOST}/api/v4/futures/usdt/contracts?limit=100"
    full = [{"name": f"A{n}_USDT"} for n in range(100)]
    for after, url, names, following in (
        ("", home, full, "100"),
        ("100", f"{home}&offset=100", full, "200"),
        ("200", f"{home}&offset=200", full[:1], ""),
        ("200", f"{home}&offset=200", [], ""),
        ("", home, [*full, {"name": "B_USDT"}], ""),  # the exchange may give them all at once
    ):
        command = ListPairs(after=after)
        request = GATE_FUTURES.sign(command, Access(HOST, "k", "s"), Stamp(NOW_MS))
        found = GATE_FUTURES.classify(command, reply(names))
        assert isinstance(found, PairList)
        assert (request.url, len(found.pairs), found.next) == (url, len(names), following)


@pytest.mark.parametrize("body", [[], {}, [{"id": "BTC_USDT", "name": "BTC_USDT"}, {}], "<html>"])
def test_a_list_of_pairs_that_cannot_be_read_is_none(body: object) -> None:
    """An empty one, one with a row without a name, a page."""
    for market in MARKETS.values():
        assert isinstance(market.classify(ListPairs(), reply(body)), Unproven)


def test_a_timer_is_believed_without_the_gateways_time() -> None:
    """If a proxy keeps its header, a time to come is enough, and a stopped one must be 0."""
    for command, fires, wanted in (
        (TIMER, NOW_MS + 1, True),
        (TIMER, 0, False),
        (OFF, 0, True),
        (OFF, NOW_MS, False),
    ):
        told = reply({"triggerTime": fires}, headers={"x-in-time": ""})
        assert isinstance(GATE.classify(command, told), CountdownSet) is wanted


@pytest.mark.parametrize("label", ["ORDER_NOT_FOUND", "ORDER_CLOSED", "ORDER_FINISHED"])
def test_an_order_that_may_be_filled_canceled_or_never_there_is_missing(label: str) -> None:
    """One label for several fates: the exchange is asked."""
    answer = GATE.classify(CANCEL, reply(error(label), 404))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.missing) == (Outcome.UNKNOWN, True)
    asked = GATE.classify(QUERY, reply(error(label), 404))
    if label == "ORDER_NOT_FOUND":
        assert isinstance(asked, OrderReport)
        assert asked.state is OrderState.MISSING
    else:
        assert isinstance(asked, Unproven)


def test_one_label_names_one_fate() -> None:
    """Of a cancel alone: a question with it is no report."""
    answer = GATE.classify(CANCEL, reply(error("ORDER_CANCELLED"), 400))
    assert isinstance(answer, Closed)
    assert answer.outcome is Outcome.CANCELED
    assert isinstance(GATE.classify(QUERY, reply(error("ORDER_CANCELLED"), 400)), Unproven)
    assert isinstance(GATE.classify(SCOPE, reply(error("ORDER_CANCELLED"), 400)), Unproven)


REFUSALS: list[tuple[object, int, Outcome]] = [
    (error("INVALID_KEY"), 401, Outcome.UNAUTHORIZED),
    (error("INVALID_SIGNATURE"), 401, Outcome.UNAUTHORIZED),
    (error("INVALID_CREDENTIALS"), 401, Outcome.UNAUTHORIZED),
    (error("IP_FORBIDDEN"), 403, Outcome.UNAUTHORIZED),
    (error("READ_ONLY"), 403, Outcome.UNAUTHORIZED),
    (error("FORBIDDEN"), 403, Outcome.UNAUTHORIZED),
    (error("INVALID_CURRENCY_PAIR"), 400, Outcome.REJECTED),
    (error("CONTRACT_NOT_FOUND"), 400, Outcome.REJECTED),
    (error("CANCEL_FAIL"), 400, Outcome.UNKNOWN),
    (error("ODD"), 400, Outcome.UNKNOWN),
    (error("TOO_MANY_REQUESTS"), 429, Outcome.THROTTLED),
    (error("INTERNAL"), 500, Outcome.UNKNOWN),
    (error("ORDER_CANCELLED"), 500, Outcome.UNKNOWN),
    ("<html>", 401, Outcome.UNKNOWN),
    ("<html>", 429, Outcome.THROTTLED),
    ("<html>", 502, Outcome.UNKNOWN),
    ("<html>", 504, Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("body", "status", "outcome"), REFUSALS)
def test_documented_refusals(body: object, status: int, outcome: Outcome) -> None:
    """By their label, and else by the status; after a 5xx anything may have happened."""
    answer = GATE.classify(CANCEL, reply(body, status))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.missing) == (outcome, False)


@pytest.mark.parametrize(
    ("headers", "wait_ms"),
    [
        ({"x-gate-ratelimit-reset-timestamp": "1700000003"}, 2_993),
        ({"x-gate-ratelimit-reset-timestamp": str(NOW_MS + 3_007)}, 3_000),
        ({"x-gate-ratelimit-reset-timestamp": "1700000003", "x-out-time": ""}, 3_000),
        ({"x-gate-ratelimit-reset-timestamp": "1800000000"}, 600_000),
        ({"x-gate-ratelimit-reset-timestamp": "1700000000"}, None),
        ({"x-gate-ratelimit-reset-timestamp": "soon"}, None),
        ({"retry-after": "4"}, 4_000),
        ({}, None),
    ],
)
def test_a_rate_limit_says_when_it_is_reset(headers: dict[str, str], wait_ms: int | None) -> None:
    """In seconds, held against the exchange's own clock."""
    answer = GATE.classify(CANCEL, reply(error("TOO_MANY_REQUESTS"), 429, headers))
    assert isinstance(answer, Unproven)
    assert answer.retry_after_ms == wait_ms


def test_a_refused_clock_is_corrected() -> None:
    """Nothing was done; the next stamp is by the exchange's clock."""
    answer = GATE.classify(CANCEL, reply(error("REQUEST_EXPIRED"), 403))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.clock_refused) == (Outcome.UNAVAILABLE, True)
