"""Deribit: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest

from tests.support import golden
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.deribit.adapter import DERIBIT, sign
from worker.exchanges.deribit.pairs import spell
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
from worker.model.wire import Reply

GOLDEN = [(case, command) for case in golden.cases("deribit") if (command := case.ours(spell))]
ID, OTHER = "ETH-SLIS-12", "ETH-349223"
NOW_MS = 1_700_000_000_000
PERPETUAL = "BTC-PERPETUAL"
CANCEL = CancelOrder(ID, pair=PERPETUAL)
QUERY = QueryOrder(ID, pair=PERPETUAL)
SCOPE = CancelScope(PERPETUAL)
LIST = ListOpenOrders(PERPETUAL)
LABELED = ListOpenOrders(PERPETUAL, client_id_prefix="grid-")


def row(state: str, **other: object) -> dict[str, object]:
    """Build an order as the exchange writes it."""
    named = {"order_id": ID, "instrument_name": PERPETUAL, "direction": "buy", "label": "grid-1"}
    return {**named, "order_state": state, "order_type": "limit", **other}


def done(result: object) -> dict[str, object]:
    """Build a success."""
    return {"jsonrpc": "2.0", "result": result, "usIn": 1, "usOut": 2, "testnet": False}


def failed(code: int, words: str = "words", **data: object) -> dict[str, object]:
    """Build an error."""
    error = {"code": code, "message": words, **({"data": data} if data else {})}
    return {"jsonrpc": "2.0", "error": error, "testnet": False}


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Build a reply; a text is sent as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, headers or {}, text.encode(), received_ms=0)


# What goes out


@pytest.mark.parametrize(("case", "command"), GOLDEN)
def test_requests_are_those_of_an_independent_implementation(
    case: golden.Case, command: Command
) -> None:
    """Method, address, parameters, and the signature of them at the same time."""
    access = Access(DERIBIT.hosts.production, case.key, case.secret)
    request, theirs = DERIBIT.sign(command, access, Stamp(case.now_ms, case.now_ms)), case.request
    assert (request.method, request.url, request.body) == (theirs["method"], theirs["url"], b"")
    assert request.headers["Authorization"] == theirs["headers"]["Authorization"]
    assert sign(case.secret, case.signed_payload) == case.signature


@pytest.mark.parametrize("name", ["deribit_client_signature_websocket", "deribit_cancel_order"])
def test_the_recorded_vectors_are_met(name: str) -> None:
    """One is the exchange's own, the other was recomputed by another implementation."""
    vector = golden.vector(name)
    assert sign(vector["secret"], vector["message"]) == vector["result"]


@pytest.mark.parametrize(("case", "command"), GOLDEN)
def test_the_signature_covers_what_is_sent(case: golden.Case, command: Command) -> None:
    """Time, nonce, method, the documented path with its query, wherever it is sent."""
    access = Access("https://proxy.example/x/", case.key, case.secret)
    request = DERIBIT.sign(command, access, Stamp(case.now_ms, nonce=7))
    url = urlsplit(request.url)
    target = "/api/v2" + url.path.removeprefix("/x") + (f"?{url.query}" if url.query else "")
    signature = sign(case.secret, f"{case.now_ms}\n7\nGET\n{target}\n\n")
    assert f"sig={signature},nonce=7" in request.headers["Authorization"]


def test_no_request_is_made_without_a_nonce() -> None:
    """The exchange takes each only once, in any order."""
    with pytest.raises(InvalidCommand, match="nonce"):
        DERIBIT.sign(CANCEL, Access("https://www.deribit.com", "k", "s"), Stamp(NOW_MS))
    assert DERIBIT.capabilities.unordered_nonce


@pytest.mark.parametrize(
    "command",
    [
        CancelScope(PERPETUAL, "buy"),
        CancelOrder(""),
        CancelOrder("12 34"),
        CancelOrder("a/../b"),
        CancelOrder(client_order_id="grid-1"),
        QueryOrder(client_order_id="grid-1"),
        QueryOrder(ID, past=True),
        ListOpenOrders(client_id_prefix="a b"),
        ListOpenOrders(client_id_prefix="a" * 65),
        SetCountdown((PERPETUAL,), 60_000),
        FetchToken(),
    ],
)
def test_what_cannot_be_asked_is_refused(command: Command) -> None:
    """Before a request is made of it; a label may be that of several orders."""
    with pytest.raises(InvalidCommand):
        DERIBIT.sign(command, Access("https://www.deribit.com", "k", "s"), Stamp(NOW_MS, 1))


@pytest.mark.parametrize("prefix", ["grid-", "a.b:c/d", "{x}~!"])
def test_a_scope_of_labels_is_listed(prefix: str) -> None:
    """Its orders are then canceled by their ids."""
    DERIBIT.check(ListOpenOrders(client_id_prefix=prefix))
    for mark in ",| ":
        with pytest.raises(InvalidCommand):
            DERIBIT.check(ListOpenOrders(client_id_prefix=f"a{mark}"))


@pytest.mark.parametrize(
    ("pair", "spelled"),
    [
        ("BTC-PERPETUAL", "BTC-PERPETUAL"),
        ("btc-perpetual", "BTC-PERPETUAL"),
        ("BTC/USD:BTC", "BTC-PERPETUAL"),
        ("ETH/USDC:USDC", "ETH_USDC-PERPETUAL"),
        ("BTC/USDC", "BTC_USDC"),
        ("BTC/USD:BTC-240329", "BTC-29MAR24"),
        ("BTC/USD:BTC-240405", "BTC-5APR24"),
        ("BTC/USD:BTC-240329-60000-C", "BTC-29MAR24-60000-C"),
        ("XRP/USDC:USDC-230630-0.625-P", "XRP_USDC-30JUN23-0d625-P"),
        ("XRP_USDC-30JUN23-0d625-C", "XRP_USDC-30JUN23-0d625-C"),
        ("BTC-29DEC24", "BTC-29DEC24"),
        ("BTC/USD:BTC-SOON", "BTC-SOON"),
        ("BTC/USD:BTC-241329", "BTC-241329"),
    ],
)
def test_pairs_in_either_spelling_are_one(pair: str, spelled: str) -> None:
    """The exchange's own, and ccxt's."""
    assert spell(pair) == spelled
    assert spell(spelled) == spelled


# What comes back

ONE = OpenOrder(ID, PERPETUAL, "buy")
MEANS: list[tuple[Command, object, Answer]] = [
    (CANCEL, done(row("cancelled")), Closed(Outcome.CANCELED)),
    (SCOPE, done(3), ScopeCanceled(3)),
    (CancelScope(), done(0), ScopeCanceled(0)),
    (CancelScope(), done(1_000_000), ScopeCanceled(1_000_000)),
    (QUERY, done(row("open")), OrderReport(OrderState.OPEN)),
    (QUERY, done(row("untriggered")), OrderReport(OrderState.OPEN)),
    (QUERY, done(row("filled")), OrderReport(OrderState.FILLED)),
    (QUERY, done(row("cancelled")), OrderReport(OrderState.CANCELED)),
    (QUERY, done(row("rejected")), OrderReport(OrderState.FILLED)),
    (LIST, done([]), OpenOrders((), complete=True)),
    (LIST, done([row("open")]), OpenOrders((ONE,), complete=True)),
    (
        LIST,
        done([row("untriggered", order_type="stop_limit")]),
        OpenOrders((OpenOrder(ID, PERPETUAL, "buy", stop=True),), complete=True),
    ),
    (LIST, done([row("open", instrument_name="ETH-PERPETUAL")]), OpenOrders((), complete=True)),
    (LIST, done([row("open", order_id=None)]), OpenOrders((), complete=False)),
    (LIST, done([row("triggered")]), OpenOrders((ONE,), complete=False)),
    (LABELED, done([row("open")]), OpenOrders((ONE,), complete=True)),
    (LABELED, done([row("open", label="")]), OpenOrders((), complete=True)),
    (LABELED, done([row("open", label=None)]), OpenOrders((), complete=False)),
]


@pytest.mark.parametrize(("command", "body", "answer"), MEANS)
def test_documented_successes(command: Command, body: object, answer: Answer) -> None:
    """A cancel that gives the order as canceled is proof."""
    assert DERIBIT.classify(command, reply(body)) == answer


@pytest.mark.parametrize("state", ["untriggered", "triggered", "open", "filled", "rejected"])
def test_a_cancel_that_gives_another_state_is_no_proof(state: str) -> None:
    """The documented reply to the cancel of a stop order says `untriggered`: ask."""
    answer = DERIBIT.classify(CANCEL, reply(done(row(state))))
    assert isinstance(answer, CancelAccepted)
    assert state in answer.detail


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (CANCEL, done(row("cancelled", order_id=OTHER))),
        (CANCEL, done(row("gone"))),
        (CANCEL, done([row("cancelled")])),
        (CANCEL, done(1)),
        (CANCEL, {"result": row("cancelled")}),
        (CANCEL, {**done(row("cancelled")), "error": {"message": "no"}}),
        (CANCEL, {**done(row("cancelled")), "jsonrpc": 2.0}),
        (CANCEL, failed(13888)),
        (CANCEL, failed(11094)),
        (CANCEL, failed(99999)),
        (SCOPE, done(-1)),
        (SCOPE, done("1")),
        (SCOPE, done(1.0)),
        (SCOPE, failed(10004)),
        (SCOPE, failed(11008)),
        (QUERY, failed(11008)),
        (QUERY, failed(11044)),
        (QUERY, done(row("cancelled", order_id=OTHER))),
        (QUERY, done(row("triggered"))),
        (LIST, done({})),
        (LIST, done(None)),
        (CANCEL, "<html>"),
    ],
)
def test_what_is_not_the_documented_success_proves_nothing(command: Command, body: object) -> None:
    """Another order, another shape, an error in a success, a code that says nothing of it."""
    answer = DERIBIT.classify(command, reply(body))
    assert isinstance(answer, Unproven)
    assert answer.outcome is Outcome.UNKNOWN
    assert not answer.missing


@pytest.mark.parametrize("code", [10004, 10010, 11044])
def test_an_order_that_is_filled_canceled_or_was_never_there_is_missing(code: int) -> None:
    """One code for several fates: ask; a question may not find it either."""
    answer = DERIBIT.classify(CANCEL, reply(failed(code), 400))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.missing) == (Outcome.UNKNOWN, True)
    asked = DERIBIT.classify(QUERY, reply(failed(10004, "order_not_found"), 400))
    assert isinstance(asked, OrderReport)
    assert asked.state is OrderState.MISSING


def test_a_code_that_names_one_fate_proves_it() -> None:
    """`already_filled`."""
    answer = DERIBIT.classify(CANCEL, reply(failed(11008, "already_filled"), 400))
    assert isinstance(answer, Closed)
    assert answer.outcome is Outcome.GONE


REFUSALS: list[tuple[object, int, Outcome]] = [
    *((failed(code), 400, Outcome.UNAVAILABLE) for code in (10040, 10041, 11051, 13028)),
    *((failed(code), 401, Outcome.UNAUTHORIZED) for code in (10000, 13004, 13009, 13021)),
    *((failed(code), 400, Outcome.REJECTED) for code in (10020, 13020)),
    *((failed(code), 429, Outcome.THROTTLED) for code in (10028, 10047)),
    (failed(10028), 200, Outcome.THROTTLED),
    ("busy", 429, Outcome.THROTTLED),
    ("<html>", 502, Outcome.UNAVAILABLE),
    ("<html>", 504, Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("body", "status", "outcome"), REFUSALS)
def test_documented_refusals(body: object, status: int, outcome: Outcome) -> None:
    """By their code whatever the status, and else by that."""
    answer = DERIBIT.classify(CANCEL, reply(body, status))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.missing, answer.banned) == (outcome, False, False)


def test_a_cut_session_waits_for_credits() -> None:
    """A second brings some back."""
    answer = DERIBIT.classify(CANCEL, reply(failed(10028, "too_many_requests"), 429))
    assert isinstance(answer, Unproven)
    assert answer.retry_after_ms == 1_000
    assert re.search("too_many_requests", answer.detail)


def test_a_refused_nonce_is_followed_by_another() -> None:
    """The reason names it; the next one is higher."""
    answer = DERIBIT.classify(CANCEL, reply(failed(13009, reason="nonce was used"), 401))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.nonce_floor) == (Outcome.UNAVAILABLE, 0)


def test_a_refused_clock_is_corrected() -> None:
    """The reason names the timestamp; the next stamp is by the exchange's clock."""
    body = failed(13004, "invalid_credentials", reason="timestamp is too far off")
    answer = DERIBIT.classify(CANCEL, reply(body, 401))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.clock_refused) == (Outcome.UNAVAILABLE, True)


def test_instruments_are_listed_to_anybody_one_kind_after_the_other() -> None:
    """Without a key or a nonce; a site may have no spot pairs, but not no futures."""
    access = Access("https://www.deribit.com/api/v2", "k", "s")
    for kind, name in (("future", PERPETUAL), ("spot", "BTC_USDC")):
        command = ListPairs(kind)
        request = DERIBIT.sign(command, access, Stamp(NOW_MS))
        query = f"currency=any&kind={kind}"
        assert request.url == f"https://www.deribit.com/api/v2/public/get_instruments?{query}"
        assert request.headers == {}
        rows = [{"instrument_name": name}]
        assert DERIBIT.classify(command, reply(done(rows))) == PairList((ListedPair(name),))
        none = DERIBIT.classify(command, reply(done([])))
        assert none == PairList(()) if kind == "spot" else isinstance(none, Unproven)


@pytest.mark.parametrize("result", [[{"instrument_name": PERPETUAL}, {}], {}, None, "x"])
def test_a_list_of_instruments_that_cannot_be_read_is_none(result: object) -> None:
    """One with a row without a name, no list."""
    for kind in ("future", "spot"):
        assert isinstance(DERIBIT.classify(ListPairs(kind), reply(done(result))), Unproven)


@pytest.mark.parametrize(
    ("name", "unlisted"),
    [
        ("BTC-29MAR24-60000-C", True),
        ("XRP_USDC-30JUN23-0d625-P", True),
        ("BTC-FS-29MAR24_PERP", True),
        ("ETH_USDC-FS-29MAR24_PERP", True),
        ("BTC-CS-29MAR24-60000_65000", True),
        ("BTC-PERPETUAL", False),
        ("ETH_USDC-PERPETUAL", False),
        ("BTC-29MAR24", False),
        ("BTC_USDC", False),
    ],
)
def test_options_and_combos_are_in_no_list(name: str, *, unlisted: bool) -> None:
    """They are thousands; futures, perpetuals and spot pairs are listed."""
    pattern = DERIBIT.capabilities.unlisted_pairs
    assert pattern is not None
    assert bool(pattern.fullmatch(name)) is unlisted
