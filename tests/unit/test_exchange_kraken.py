"""Kraken: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support import golden
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.kraken.adapter import KRAKEN, sign, spell
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
from worker.simulator.signing import kraken_signature

ID = "OYVGEW-VYV5B-UUEXSK"
OTHER = "OAAAAA-BBBBB-CCCCCC"
CANCEL, QUERY = CancelOrder(ID), QueryOrder(ID)
MINE = CancelOrder(client_order_id="0f0e0d0c-0b0a-4908-8706-050403020100")
TIMER, STOP = SetCountdown((), 60_000), SetCountdown((), 0)
NOW, LATER = "2023-03-24T17:41:56Z", "2023-03-24T17:42:56Z"
LIST, LIST_ALL = ListOpenOrders(pair="XBTUSD"), ListOpenOrders()
SCOPE = CancelScope()
GOLDEN = [
    (case, command)
    for case in golden.cases("kraken_spot")
    if (command := case.ours(spell)) and type(command) in KRAKEN.capabilities.commands
]
NOT_OURS = {"trades"}


def row(status: str, pair: str = "XBTUSD", side: str = "buy") -> dict[str, object]:
    """Build an order as the exchange writes it."""
    return {"status": status, "descr": {"pair": pair, "type": side, "ordertype": "limit"}}


def done(result: object) -> dict[str, object]:
    """Build a success."""
    return {"error": [], "result": result}


def reply(body: object, status: int = 200) -> Reply:
    """Build a reply; a text is sent as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, {}, text.encode(), received_ms=0)


# What goes out


@pytest.mark.parametrize(("case", "command"), GOLDEN)
def test_requests_are_those_of_an_independent_implementation(
    case: golden.Case, command: Command
) -> None:
    """Method, address, parameters and, where these are all the same, the signature."""
    access = Access("https://api.kraken.com", case.key, case.secret)
    request = KRAKEN.sign(command, access, Stamp(case.now_ms, nonce=case.now_ms))
    theirs = case.request
    assert golden.place(request) == (theirs["method"], theirs["url"])
    ours = golden.parameters("", request.body.decode())
    wanted = golden.parameters("", theirs["body"])
    assert ours == {name: wanted[name] for name in wanted.keys() - NOT_OURS}
    for name in ("API-Key", "Content-Type"):
        assert request.headers[name] == theirs["headers"][name]
    if wanted.keys().isdisjoint(NOT_OURS):
        assert request.headers["API-Sign"] == case.signature
    path = theirs["url"].removeprefix("https://api.kraken.com")
    assert sign(case.secret, path, case.now_ms, theirs["body"]) == case.signature


def test_the_documented_vector_is_met() -> None:
    """The document prints this signature; the simulator's own code gives it, too."""
    vector = golden.vector("kraken_spot")
    nonce, path, body = vector["nonce"], vector["path"], vector["message"]
    assert sign(vector["secret"], path, int(nonce), body) == vector["result"]
    assert kraken_signature(vector["secret"], path, nonce, body.encode()) == vector["result"]


def test_the_path_of_a_base_url_is_not_signed() -> None:
    """What is signed begins at `/0`."""
    stamp = Stamp(0, nonce=7)
    requests = [
        KRAKEN.sign(CANCEL, Access(url, "k", "c2VjcmV0"), stamp)
        for url in ("https://api.kraken.com/", "http://127.0.0.1:1/kraken")
    ]
    assert len({request.headers["API-Sign"] for request in requests}) == 1
    assert requests[1].url == "http://127.0.0.1:1/kraken/0/private/CancelOrder"


@pytest.mark.parametrize(
    "command",
    [
        CancelOrder("1223181"),
        CancelOrder("-5"),
        CancelOrder(f"{ID},{OTHER}"),
        CancelOrder(ID.lower()),
        CancelOrder(f"{ID}\n"),
        CancelOrder(),
        QueryOrder("1"),
        QueryOrder(client_order_id="mine"),
        CancelOrder(ID, client_order_id="mine"),
        CancelOrder(client_order_id="m" * 19),
        CancelScope(pair="XBTUSD"),
        CancelScope(side="buy"),
        FetchToken(),
    ],
)
def test_what_could_reach_other_orders_is_refused(command: Command) -> None:
    """A number is a user reference, which many orders may have; a cancel-all has no pair."""
    with pytest.raises(InvalidCommand):
        KRAKEN.check(command)


@pytest.mark.parametrize(
    ("access", "stamp"),
    [
        (Access("https://api.kraken.com", "k", "c2VjcmV0"), Stamp(0)),
        (Access("https://api.kraken.com", "k", "no base64!"), Stamp(0, nonce=1)),
    ],
)
def test_nothing_is_signed_without_nonce_and_secret(access: Access, stamp: Stamp) -> None:
    """The text says what is missing."""
    with pytest.raises(InvalidCommand, match=r"nonce|base64"):
        KRAKEN.sign(CANCEL, access, stamp)


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("XBTUSD", "XBTUSD"),
        ("xbtusd", "XBTUSD"),
        ("BTC/USD", "XBTUSD"),
        ("XBT/USD", "XBTUSD"),
        ("XXBTZUSD", "XBTUSD"),
        ("XETHXXBT", "ETHXBT"),
        ("ETH/BTC", "ETHXBT"),
        ("DOGE/EUR", "XDGEUR"),
        ("XRP/USD", "XRPUSD"),
        ("XTZUSDT", "XTZUSDT"),
        ("XYZAZUSD", "XYZAZUSD"),
    ],
)
def test_a_pair_has_one_spelling(given: str, spelled: str) -> None:
    """The one of the exchange's orders."""
    assert spell(given) == spelled


# What comes back


PROVEN: list[tuple[Command, object, Answer]] = [
    (CANCEL, done({"count": 1}), Closed(Outcome.CANCELED)),
    (CANCEL, done({"count": 1, "pending": False}), Closed(Outcome.CANCELED)),
    (CANCEL, done({"count": 1, "pending": True}), CancelAccepted("the cancel is pending")),
    (
        CANCEL,
        {"error": ["WGeneral:Danger"], "result": {"count": 1}},
        Closed(Outcome.CANCELED),
    ),
    (MINE, done({"count": 1}), Closed(Outcome.CANCELED)),
    (SCOPE, done({"count": 4}), ScopeCanceled(4)),
    (SCOPE, done({"count": 0}), ScopeCanceled(0)),
    (SCOPE, done({"count": 4, "pending": False}), ScopeCanceled(4)),
    (SCOPE, done({"count": 4, "pending": True}), ScopeCanceled()),
    (QUERY, done({ID: row("open")}), OrderReport(OrderState.OPEN)),
    (QUERY, done({ID: row("pending")}), OrderReport(OrderState.OPEN)),
    (QUERY, done({ID: row("closed")}), OrderReport(OrderState.FILLED)),
    (QUERY, done({ID: row("canceled")}), OrderReport(OrderState.CANCELED)),
    (QUERY, done({ID: row("expired")}), OrderReport(OrderState.FILLED)),
    (
        QUERY,
        done({}),
        OrderReport(OrderState.MISSING, "the exchange lists no such order"),
    ),
    (TIMER, done({"currentTime": NOW, "triggerTime": LATER}), CountdownSet()),
    (STOP, done({"currentTime": NOW, "triggerTime": "0"}), CountdownSet()),
    (LIST, done({"open": {}}), OpenOrders((), complete=True)),
    (
        LIST,
        done({"open": {ID: row("open"), OTHER: row("open", "ETHUSD")}}),
        OpenOrders((OpenOrder(ID, "XBTUSD", "buy"),), complete=True),
    ),
    (
        LIST_ALL,
        done({"open": {ID: row("open"), OTHER: row("pending", "ETHUSD", "sell")}}),
        OpenOrders(
            (OpenOrder(ID, "XBTUSD", "buy"), OpenOrder(OTHER, "ETHUSD", "sell")), complete=True
        ),
    ),
    (LIST, done({"open": {ID: row("canceled")}}), OpenOrders((), complete=True)),
    (LIST, done({"open": {ID: row("odd")}}), OpenOrders((), complete=False)),
    (LIST, done({"open": {ID: row("open", side="?")}}), OpenOrders((), complete=False)),
    (LIST, done({"open": {"7": row("open")}}), OpenOrders((), complete=False)),
    (LIST, done({"open": {ID: row("open", "XBT-USD")}}), OpenOrders((), complete=False)),
]


@pytest.mark.parametrize(("command", "body", "answer"), PROVEN)
def test_a_documented_success_is_read(command: Command, body: object, answer: Answer) -> None:
    """A cancel by id reaches no other order, so that its count is about that order."""
    assert KRAKEN.classify(command, reply(body)) == answer


@pytest.mark.parametrize(
    ("command", "body", "status"),
    [
        (CANCEL, done({"count": 1, "pending": "no"}), 200),
        (CANCEL, done({"count": 0}), 200),
        (CANCEL, done({"count": "1"}), 200),
        (CANCEL, done({"count": True}), 200),
        (CANCEL, done({"count": -1}), 200),
        (CANCEL, done({}), 200),
        (CANCEL, done(None), 200),
        (CANCEL, {"result": {"count": 1}}, 200),
        (CANCEL, {"error": None, "result": {"count": 1}}, 200),
        (CANCEL, {"error": {}, "result": {"count": 1}}, 200),
        (CANCEL, {"error": [1], "result": {"count": 1}}, 200),
        (CANCEL, {"error": ["EOrder:Something"], "result": {"count": 1}}, 200),
        (CANCEL, done({"count": 1}), 201),
        (CANCEL, done({"count": 1}), 520),
        (CANCEL, "<html></html>", 200),
        (CANCEL, "", 502),
        (CANCEL, "<html></html>", 520),
        (QUERY, done({OTHER: row("closed")}), 200),
        (QUERY, done({ID: row("done")}), 200),
        (QUERY, done({ID: None}), 200),
        (QUERY, done([]), 200),
        (LIST, done({}), 200),
        (LIST, done({"open": []}), 200),
        (LIST, done({"open": None}), 200),
        (TIMER, done({"currentTime": NOW, "triggerTime": NOW}), 200),
        (TIMER, done({"currentTime": NOW, "triggerTime": "0"}), 200),
        (TIMER, done({"currentTime": "", "triggerTime": LATER}), 200),
        (TIMER, done({"currentTime": NOW, "triggerTime": "2023-13-24T17:42:56Z"}), 200),
        (STOP, done({"currentTime": NOW, "triggerTime": LATER}), 200),
        (SCOPE, done({}), 200),
        (SCOPE, done({"count": None}), 200),
    ],
)
def test_what_is_not_the_documented_success_proves_nothing(
    command: Command, body: object, status: int
) -> None:
    """A pending cancel, another order, an error beside a result, a page."""
    answer = KRAKEN.classify(command, reply(body, status))
    assert isinstance(answer, Unproven)
    assert answer.outcome is Outcome.UNKNOWN
    assert not answer.missing


@pytest.mark.parametrize(
    ("error", "outcome", "facts"),
    [
        ("EAPI:Invalid nonce", Outcome.UNAVAILABLE, {"nonce_floor": 0}),
        ("EAPI:Invalid key", Outcome.UNAUTHORIZED, {"nonce_floor": None}),
        ("EAPI:Invalid signature", Outcome.UNAUTHORIZED, {}),
        ("EGeneral:Permission denied", Outcome.UNAUTHORIZED, {}),
        (
            "EGeneral:Temporary lockout",
            Outcome.THROTTLED,
            {"retry_after_ms": 900_000, "banned": True},
        ),
        ("EAPI:Rate limit exceeded", Outcome.THROTTLED, {"retry_after_ms": 3_000}),
        ("EOrder:Rate limit exceeded", Outcome.THROTTLED, {"retry_after_ms": 2_000}),
        ("EService:Unavailable", Outcome.UNAVAILABLE, {"retry_after_ms": None}),
        ("EService:Busy", Outcome.UNAVAILABLE, {}),
        ("EGeneral:Invalid arguments:txid", Outcome.REJECTED, {}),
        ("EQuery:Unknown asset pair", Outcome.REJECTED, {}),
        ("EService:Deadline elapsed", Outcome.UNKNOWN, {}),
        ("EGeneral:Internal error", Outcome.UNKNOWN, {}),
        ("EOrder:Invalid order", Outcome.UNKNOWN, {"missing": False}),
        ("EOrder:Unknown order", Outcome.UNKNOWN, {"missing": True}),
    ],
)
def test_a_documented_error_is_read(error: str, outcome: Outcome, facts: dict[str, object]) -> None:
    """An error that names one fate is believed, one that names several is not."""
    answer = KRAKEN.classify(CANCEL, reply({"error": [error]}))
    assert isinstance(answer, Unproven)
    assert answer.outcome is outcome
    assert error[:20] in answer.detail
    assert {name: getattr(answer, name) for name in facts} == facts


def test_errors_that_disagree_prove_nothing() -> None:
    """One says later, the other never."""
    both = {"error": ["EService:Unavailable", "EAPI:Invalid key"]}
    answer = KRAKEN.classify(CANCEL, reply(both))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.nonce_floor) == (Outcome.UNKNOWN, None)
    same = KRAKEN.classify(CANCEL, reply({"error": ["EService:Busy", "EService:Unavailable"]}))
    assert isinstance(same, Unproven)
    assert same.outcome is Outcome.UNAVAILABLE


def test_an_unknown_order_is_missing_when_asked_about() -> None:
    """It may have been filled, canceled, or never placed; under another status it is nothing."""
    body = {"error": ["EOrder:Unknown order"]}
    answer = KRAKEN.classify(QUERY, reply(body))
    assert isinstance(answer, OrderReport)
    assert answer.state is OrderState.MISSING
    odd = KRAKEN.classify(QUERY, reply(body, 502))
    assert isinstance(odd, Unproven)
    assert odd.outcome is Outcome.UNKNOWN


NONE = object()
"""The row has no such key."""


def listed(
    prefix: str | None = None, *, descr: dict[str, object] | None = None, client_id: object = NONE
) -> OpenOrders:
    """List one order with these fields; `descr` replaces fields of its description."""
    described = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", **(descr or {})}
    found: dict[str, object] = {"status": "open", "descr": described}
    if client_id is not NONE:
        found["cl_ord_id"] = client_id
    command = replace(LIST, client_id_prefix=prefix)
    answer = KRAKEN.classify(command, reply({"error": [], "result": {"open": {ID: found}}}))
    assert isinstance(answer, OpenOrders)
    return answer


@pytest.mark.parametrize(
    ("kind", "stop"),
    [
        ("limit", False),
        ("iceberg", False),
        ("stop-loss", True),
        ("take-profit-limit", True),
        ("trailing-stop", True),
    ],
)
def test_a_list_tells_stop_orders_by_their_type(kind: str, *, stop: bool) -> None:
    """They are plain orders otherwise."""
    answer = listed(descr={"ordertype": kind})
    assert answer == OpenOrders((OpenOrder(ID, "XBTUSD", "buy", stop=stop),), complete=True)


def test_an_order_of_no_known_type_may_be_a_stop_order() -> None:
    """It is canceled with its scope; but with stop orders kept it stays, and nothing is proven."""
    answer = listed(descr={"ordertype": None})
    assert answer == OpenOrders((OpenOrder(ID, "XBTUSD", "buy", stop=True),), complete=False)


@pytest.mark.parametrize(
    ("client_id", "orders", "complete"),
    [("grid-7", 1, True), ("mine", 0, True), (None, 0, True), (NONE, 0, True), (7, 0, False)],
)
def test_a_list_is_read_by_the_beginning_of_client_ids(
    client_id: object, orders: int, *, complete: bool
) -> None:
    """An order to which no id was given has none."""
    answer = listed("grid-", client_id=client_id)
    assert (len(answer.orders), answer.complete) == (orders, complete)


def test_client_ids_matter_to_a_prefix_alone() -> None:
    """One that cannot be read leaves other lists whole; a missing one begins with nothing."""
    assert listed(client_id=7) == listed()
    assert not listed("X", client_id=None).orders


@pytest.mark.parametrize("prefix", ["grid-", "6d1b345e-2821-40e2-ad8", "a" * 18])
def test_a_prefix_begins_a_text_or_a_uuid(prefix: str) -> None:
    """At most 18 characters, or those of a UUID."""
    KRAKEN.check(ListOpenOrders(client_id_prefix=prefix))
    for wrong in ("", "g" * 19, "grid 1", "f" * 37):
        with pytest.raises(InvalidCommand, match="begins no client order id of kraken"):
            KRAKEN.check(ListOpenOrders(client_id_prefix=wrong))
