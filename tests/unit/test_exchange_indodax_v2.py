"""Indodax's Trade API 2.0: what goes out, and what each reply means. Nothing here is verified."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.indodax_v2.adapter import INDODAX_V2, spell
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

ID = "btcidr-limit-31695"
CANCEL, QUERY = CancelOrder(ID, pair="BTCIDR"), QueryOrder(ID, pair="BTCIDR")
MINE = CancelOrder(pair="BTCIDR", client_order_id="mine-1")
LIST = ListOpenOrders(pair="BTCIDR")
URL = "https://api.indodax.com"


def row(status: str | None = None, **other: object) -> dict[str, object]:
    """Build an order as the document's histories have it."""
    found = {"orderId": ID, "clientOrderId": "mine-1", "symbol": "btcidr", "side": "BUY", **other}
    return found if status is None else {**found, "status": status}


def reply(body: object, status: int = 200) -> Reply:
    """Build a reply."""
    return Reply(status, {"retry-after": "3"}, json.dumps(body).encode(), received_ms=0)


@pytest.mark.parametrize(
    ("command", "method", "path", "params"),
    [
        (CANCEL, "DELETE", "/api/v2/order", {"symbol": "BTCIDR", "orderId": ID}),
        (MINE, "DELETE", "/api/v2/order", {"symbol": "BTCIDR", "origClientOrderId": "mine-1"}),
        (QUERY, "GET", "/api/v2/order", {"symbol": "BTCIDR", "orderId": ID}),
        (LIST, "GET", "/api/v2/openOrders", {"symbol": "BTCIDR"}),
        (ListOpenOrders(), "GET", "/api/v2/openOrders", {}),
    ],
)
@pytest.mark.parametrize("name", ["sha256", "sha512"])
def test_the_query_is_signed_as_it_is_sent(
    command: Command, method: str, path: str, params: dict[str, str], name: str
) -> None:
    """By the hash of the settings; there is no body."""
    access = Access(URL, "key", "secret", hash=name)
    request = INDODAX_V2.sign(command, access, Stamp(1_700_000_000_000, window_ms=1_500))
    parts = urlsplit(request.url)
    assert (request.method, parts.path, request.body) == (method, path, b"")
    stamp = {"timestamp": "1700000000000", "recvWindow": "1500"}
    assert dict(parse_qsl(parts.query)) == {**params, **stamp}
    expected = hmac.new(b"secret", parts.query.encode(), getattr(hashlib, name)).hexdigest()
    assert request.headers["Sign"] == expected
    assert request.headers["X-APIKEY"] == "key"
    assert request.headers["Content-Type"] == "application/json"


def test_a_nonce_takes_the_place_of_the_timestamp() -> None:
    """One of the two is sent, and the default hash is that of the newer document."""
    access = Access(URL, "key", "secret", auth="nonce")
    request = INDODAX_V2.sign(LIST, access, Stamp(5, nonce=7))
    query = urlsplit(request.url).query
    assert query == "symbol=BTCIDR&nonce=7"
    assert request.headers["Sign"] == hmac.new(b"secret", query.encode(), "sha256").hexdigest()
    with pytest.raises(InvalidCommand, match="without a nonce"):
        INDODAX_V2.sign(LIST, access, Stamp(5))


@pytest.mark.parametrize(
    "command",
    [
        CancelOrder(ID),
        QueryOrder(ID),
        CancelOrder("a b", pair="BTCIDR"),
        CancelOrder(pair="BTCIDR", client_order_id="m" * 37),
        CancelScope(pair="BTCIDR"),
        SetCountdown(("BTCIDR",), 1_000),
    ],
)
def test_what_cannot_be_asked_is_refused(command: Command) -> None:
    """Each order is named with its pair; there is neither a cancel-all nor a timer."""
    with pytest.raises(InvalidCommand):
        INDODAX_V2.check(command)


@pytest.mark.parametrize("pair", ["BTCIDR", "btcidr", "btc_idr", "BTC/IDR"])
def test_a_pair_has_one_spelling(pair: str) -> None:
    """That of this API."""
    assert spell(pair) == "BTCIDR"


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("command", "body", "answer"),
    [
        (CANCEL, row(), Closed(Outcome.CANCELED)),
        (CANCEL, row("CANCELLED"), Closed(Outcome.CANCELED)),
        (CANCEL, row("FILLED"), Closed(Outcome.GONE)),
        (CANCEL, row("CANCELLED", symbol="BTC_IDR"), Closed(Outcome.CANCELED)),
        (MINE, row("CANCELLED"), Closed(Outcome.CANCELED)),
        (MINE, row("CANCELLED", origClientOrderId="mine-1", clientOrderId="c"), None),
        (QUERY, row("NEW"), OrderReport(OrderState.OPEN)),
        (QUERY, row("PARTIALLY_FILLED"), OrderReport(OrderState.OPEN)),
        (QUERY, row("FILLED"), OrderReport(OrderState.FILLED)),
        (QUERY, row("CANCELLED"), OrderReport(OrderState.CANCELED)),
        (QUERY, row("REJECTED"), OrderReport(OrderState.FILLED)),
        (LIST, [], OpenOrders((), complete=True)),
        (LIST, [row("NEW")], OpenOrders((OpenOrder(ID, "BTCIDR", "buy"),), complete=True)),
        (LIST, [row("NEW", symbol="ethidr")], OpenOrders((), complete=True)),
        (LIST, [row("FILLED")], OpenOrders((), complete=True)),
        (LIST, [row("odd")], OpenOrders((), complete=False)),
        (LIST, [row("NEW", side=None)], OpenOrders((), complete=False)),
    ],
)
def test_a_success_is_read(
    command: Command, body: object, answer: Answer | None, *, wrapped: bool
) -> None:
    """Bare, or wrapped as in one of the documents."""
    found = INDODAX_V2.classify(command, reply({"data": body} if wrapped else body))
    assert found == (answer or Closed(Outcome.CANCELED))


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (CANCEL, {}),
        (CANCEL, row("NEW")),
        (CANCEL, row("odd")),
        (CANCEL, {**row(), "status": 7}),
        (CANCEL, row(" ")),
        (CANCEL, row("CANCELLED", orderId="other")),
        (CANCEL, row("CANCELLED", symbol="ethidr")),
        (CANCEL, {"data": None}),
        (CANCEL, {**row("CANCELLED"), "error": "odd"}),
        (MINE, row("CANCELLED", clientOrderId="other")),
        (QUERY, row()),
        (LIST, {"data": {}}),
        (LIST, {}),
    ],
)
def test_anything_else_proves_nothing(command: Command, body: object) -> None:
    """Another order, an open state, an error beside a result."""
    answer = INDODAX_V2.classify(command, reply(body))
    assert isinstance(answer, Unproven)
    assert (answer.outcome, answer.missing) == (Outcome.UNKNOWN, False)


def error(code: int, message: str = "…") -> dict[str, object]:
    """Build an error as the document of its code does."""
    return {"code": code, "error" if code > 0 else "msg": message}


@pytest.mark.parametrize(
    ("status", "body", "outcome", "facts"),
    [
        (404, error(-2013), Outcome.UNKNOWN, {"missing": True}),
        (404, error(1112), Outcome.UNKNOWN, {"missing": True}),
        (400, error(-2013), Outcome.UNKNOWN, {"missing": False}),
        (400, error(-2011, "Unknown order sent."), Outcome.UNKNOWN, {"missing": True}),
        (400, error(-2011, "CANCEL_REJECTED"), Outcome.UNKNOWN, {"missing": False}),
        (400, error(-1021), Outcome.UNAVAILABLE, {"clock_refused": True}),
        (400, error(1002), Outcome.UNAVAILABLE, {"clock_refused": True}),
        (
            400,
            error(1003, "Nonce must be greater than 77."),
            Outcome.UNAVAILABLE,
            {"nonce_floor": 77},
        ),
        (400, error(1003), Outcome.UNAVAILABLE, {"nonce_floor": 0}),
        (400, error(-1022, "Invalid nonce"), Outcome.UNAVAILABLE, {"nonce_floor": 0}),
        (400, error(-1022), Outcome.UNAUTHORIZED, {"nonce_floor": None}),
        (401, error(1001), Outcome.UNAUTHORIZED, {}),
        (403, error(1106), Outcome.UNAUTHORIZED, {}),
        (401, error(-2015), Outcome.UNAUTHORIZED, {}),
        (400, error(-1121), Outcome.REJECTED, {}),
        (400, error(1110), Outcome.REJECTED, {}),
        (429, error(-1003), Outcome.THROTTLED, {"retry_after_ms": 3_000}),
        (503, error(1000), Outcome.UNAVAILABLE, {}),
        (500, error(-1001), Outcome.UNAVAILABLE, {}),
        (400, error(-1016), Outcome.UNAVAILABLE, {}),
        (400, error(-1000), Outcome.UNKNOWN, {}),
        (200, error(-1000), Outcome.UNKNOWN, {}),
        (400, error(-9999), Outcome.UNKNOWN, {}),
        (504, "", Outcome.UNKNOWN, {}),
    ],
)
def test_an_error_of_either_document_is_read(
    status: int, body: object, outcome: Outcome, facts: dict[str, object]
) -> None:
    """A code that names several fates stays unknown."""
    answer = INDODAX_V2.classify(CANCEL, reply(body, status))
    assert isinstance(answer, Unproven)
    assert answer.outcome is outcome
    assert {name: getattr(answer, name) for name in facts} == facts


def test_an_unknown_order_is_missing_when_asked_about() -> None:
    """Whichever document its code is from."""
    for code in (-2013, 1112):
        answer = INDODAX_V2.classify(QUERY, reply(error(code), 404))
        assert isinstance(answer, OrderReport)
        assert answer.state is OrderState.MISSING


@pytest.mark.parametrize(
    ("client_id", "orders", "complete"),
    [("mine-1", 1, True), ("grid-1", 0, True), ("", 0, False), (None, 0, False)],
)
def test_a_list_is_read_by_the_beginning_of_client_ids(
    client_id: object, orders: int, *, complete: bool
) -> None:
    """No document shows a row: one without a client order id proves nothing."""
    scope = ListOpenOrders(pair="BTCIDR", client_id_prefix="mine")
    answer = INDODAX_V2.classify(scope, reply([row("NEW", clientOrderId=client_id)]))
    assert isinstance(answer, OpenOrders)
    assert (len(answer.orders), answer.complete) == (orders, complete)
    with pytest.raises(InvalidCommand, match="begins no client order id of indodax_v2"):
        INDODAX_V2.check(ListOpenOrders(client_id_prefix="my id"))
