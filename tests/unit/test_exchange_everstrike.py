"""Everstrike: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.reply_shapes import with_shape
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.everstrike import adapter
from worker.exchanges.everstrike.adapter import EVERSTRIKE
from worker.model.commands import (
    CancelOrder,
    CancelOrders,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    Closed,
    ClosedMany,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

DATA = Path(__file__).parent.parent / "data" / "everstrike"
DOCUMENTED = (DATA / "cancel_200.json").read_text()
INVALID_REQUEST = (DATA / "cancel_503.json").read_text()
OUTAGE = "<html><head><title>503 Service Temporarily Unavailable</title></head></html>"
TOO_OFTEN = (
    '{"code":429,"msg":"You have done that too much recently. '
    'Care to try again in 0.043 seconds?","result":null}'
)
TOO_OLD = '{"code":414,"msg":"The timestamp is too old.","result":null}'
ORDER = "849cdea0395411e98f54b395ae9c7bb6"
PAIR = "USD_BTCCALL_PERP"

ACCESS = Access("https://api.everstrike.io", api_key="es-key", api_secret="es-secret")
STAMP = Stamp(now_ms=1_551_137_077_642)


def order(order_id: str = ORDER, status: str = "ACTIVE", **other: object) -> dict[str, object]:
    """Build the document's order with another id, status or field."""
    documented = json.loads(DOCUMENTED)["result"]
    return {**documented, "id": order_id, "status": status, **other}


def ok(result: object) -> str:
    """Wrap a result as the exchange does."""
    return json.dumps({"code": 200, "msg": "string", "result": result})


def reply(status: int, body: str, headers: dict[str, str] | None = None) -> Reply:
    """Build a reply."""
    return Reply(status, headers or {}, body.encode(), received_ms=0)


# What goes out


def test_cancel_signs_the_body_that_it_sends() -> None:
    """A cancel is the document's form, its base64 HMAC-SHA256, and its headers."""
    request = EVERSTRIKE.sign(CancelOrder("392392320eoweqwie3"), ACCESS, STAMP)
    assert request.method == "POST"
    assert request.url == "https://api.everstrike.io/auth/cancel"
    assert request.body == b"id=392392320eoweqwie3"
    assert request.headers == {
        "content-type": "application/x-www-form-urlencoded",
        "x-api-key": "es-key",
        # printf id=392392320eoweqwie3 | openssl dgst -sha256 -hmac es-secret -binary | base64
        "x-signature": "DjUABVuH0FI9jvq3194J/+fm+hXHKavKHalIJLWzleU=",
    }


def test_bulk_cancel_encodes_ids_as_the_documents_library_does() -> None:
    """A bulk cancel names every order, in the array form of `form-urlencoded`."""
    request = EVERSTRIKE.sign(CancelOrders(("a1", "a2")), ACCESS, STAMP)
    assert request.method == "POST"
    assert request.url == "https://api.everstrike.io/auth/cancel/bulk"
    assert request.body == b"ids%5B0%5D=a1&ids%5B1%5D=a2"
    assert request.headers["x-signature"] == "qKTH1pRq3k1qPvFh+jv73LgFOvmwp/JuygmTiO8BjNM="


@pytest.mark.parametrize(
    ("command", "url"),
    [
        (QueryOrder("a1"), "https://api.everstrike.io/order?id=a1"),
        (ListOpenOrders(), "https://api.everstrike.io/active_orders?limit=100"),
        (
            ListOpenOrders(pair=PAIR, side="sell"),
            f"https://api.everstrike.io/active_orders?pair={PAIR}&limit=100",
        ),
    ],
)
def test_reads_carry_the_key_alone(command: Command, url: str) -> None:
    """FACTS: "GETs need only x-api-key"."""
    request = EVERSTRIKE.sign(command, ACCESS, STAMP)
    assert (request.method, request.url, request.body) == ("GET", url, b"")
    assert request.headers == {"x-api-key": "es-key"}


def test_a_trailing_slash_of_the_base_url_does_not_double() -> None:
    """A base url may end in a slash."""
    access = Access("https://api.testnet.everstrike.io/", "k", "s")
    request = EVERSTRIKE.sign(CancelOrder("a1"), access, STAMP)
    assert request.url == "https://api.testnet.everstrike.io/auth/cancel"


@given(
    order_id=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128)
)
@settings(max_examples=100, deadline=None)
def test_no_id_alters_a_request(order_id: str) -> None:
    """Whatever printable id comes, it arrives as one value and moves nothing else."""
    url = urlsplit(EVERSTRIKE.sign(QueryOrder(order_id), ACCESS, STAMP).url)
    assert (url.path, url.fragment) == ("/order", "")
    assert parse_qs(url.query, strict_parsing=True) == {"id": [order_id]}
    form = EVERSTRIKE.sign(CancelOrder(order_id), ACCESS, STAMP).body.decode()
    assert parse_qs(form, strict_parsing=True) == {"id": [order_id]}
    form = EVERSTRIKE.sign(CancelOrders((order_id, "z")), ACCESS, STAMP).body.decode()
    assert parse_qs(form, strict_parsing=True) == {"ids[0]": [order_id], "ids[1]": ["z"]}


# What must never go out


def test_an_empty_bulk_cancel_cannot_be_signed() -> None:
    """FACTS: "an empty list cancels ALL active orders"; three doors are shut on it."""
    with pytest.raises(InvalidCommand, match="1 to 100 order ids"):
        EVERSTRIKE.check(CancelOrders(()))
    with pytest.raises(InvalidCommand, match="1 to 100 order ids"):
        EVERSTRIKE.sign(CancelOrders(()), ACCESS, STAMP)
    with pytest.raises(InvalidCommand, match="would cancel every order"):
        adapter.encode_ids(())


def test_a_bulk_cancel_of_more_than_a_hundred_is_refused() -> None:
    """FACTS: "at most 100"."""
    EVERSTRIKE.check(CancelOrders(("a1",)))
    EVERSTRIKE.check(CancelOrders(tuple(f"a{n}" for n in range(100))))
    with pytest.raises(InvalidCommand, match="takes 1 to 100 order ids"):
        EVERSTRIKE.check(CancelOrders(["a1"]))  # type: ignore[arg-type]
    with pytest.raises(InvalidCommand, match="1 to 100 order ids"):
        EVERSTRIKE.check(CancelOrders(tuple(f"a{n}" for n in range(101))))


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (CancelScope(pair=PAIR, side="buy"), "no documented way to cancel all orders"),
        (SetCountdown(("btc_idr",), 1_000), "no documented way to set a countdown"),
        (FetchToken(), "no documented way to fetch a token"),
    ],
)
def test_what_is_not_offered_is_refused(command: Command, text: str) -> None:
    """A command without a documented endpoint is neither checked nor signed."""
    assert type(command) not in EVERSTRIKE.capabilities.commands
    with pytest.raises(InvalidCommand, match=text):
        EVERSTRIKE.check(command)
    with pytest.raises(InvalidCommand, match=text):
        EVERSTRIKE.sign(command, ACCESS, STAMP)


# What comes back


@dataclass(frozen=True)
class Row:
    """One reply, what it means, and who says so."""

    id: str
    command: Command
    status: int
    body: str
    expected: Answer
    source: str


NOT_DOCUMENTED = "HTTP 200: not the documented reply to what was asked: string"
CANCEL = CancelOrder(ORDER)
BULK = CancelOrders((ORDER, "a2", "a3"))
QUERY = QueryOrder(ORDER)
LIST = ListOpenOrders(pair=PAIR, side="sell")
LIST_ANY_SIDE = ListOpenOrders(pair=PAIR)
LISTED = OpenOrder(ORDER, PAIR, "sell")
UNKNOWN = Unproven(Outcome.UNKNOWN, NOT_DOCUMENTED)

ROWS = [
    # One cancel
    Row("documented success", CANCEL, 200, DOCUMENTED, Closed(Outcome.CANCELED), "document, 200"),
    Row(
        "canceled before",
        CANCEL,
        200,
        ok(order(status="CANCELLED")),
        Closed(Outcome.CANCELED),
        "FACTS: status ACTIVE | CANCELLED | COMPLETED",
    ),
    Row(
        "filled before",
        CANCEL,
        200,
        ok(order(status="COMPLETED")),
        Closed(Outcome.GONE),
        "FACTS: status ACTIVE | CANCELLED | COMPLETED",
    ),
    Row("another id", CANCEL, 200, ok(order("a2")), UNKNOWN, "FACTS: with the order's id"),
    Row("no status", CANCEL, 200, ok({"id": ORDER}), UNKNOWN, "not documented"),
    Row("other status", CANCEL, 200, ok(order(status="PENDING")), UNKNOWN, "not documented"),
    Row("a list", CANCEL, 200, ok([order()]), UNKNOWN, "not documented"),
    Row("no result", CANCEL, 200, ok(None), UNKNOWN, "not documented"),
    Row(
        "code other than the status",
        CANCEL,
        200,
        DOCUMENTED.replace('"code": 200', '"code": 503'),
        Unproven(Outcome.UNKNOWN, "HTTP 200: string"),
        "FACTS: code 200 with the order's id is the proof",
    ),
    Row(
        "code as a fraction",
        CANCEL,
        200,
        DOCUMENTED.replace('"code": 200', '"code": 200.0'),
        Unproven(Outcome.UNKNOWN, "HTTP 200: string"),
        "document: code integer",
    ),
    Row(
        "success under another status",
        CANCEL,
        202,
        DOCUMENTED,
        Unproven(Outcome.UNKNOWN, "HTTP 202: string"),
        "not documented",
    ),
    Row("empty", CANCEL, 200, "", Unproven(Outcome.UNKNOWN, "HTTP 200"), "not documented"),
    # Errors
    Row(
        "documented error",
        CANCEL,
        503,
        INVALID_REQUEST,
        Unproven(Outcome.UNAVAILABLE, "HTTP 503: Invalid request"),
        "document, 503; FACTS: ambiguous",
    ),
    Row(
        "outage",
        CANCEL,
        503,
        OUTAGE,
        Unproven(Outcome.UNAVAILABLE, f"HTTP 503: {OUTAGE}"),
        "FACTS: a 503 with an HTML body is an outage",
    ),
    Row(
        "outage page as a success",
        CANCEL,
        200,
        OUTAGE,
        Unproven(Outcome.UNKNOWN, f"HTTP 200: {OUTAGE}"),
        "not documented",
    ),
    Row(
        "too often",
        CANCEL,
        429,
        TOO_OFTEN,
        Unproven(
            Outcome.THROTTLED,
            "HTTP 429: You have done that too much recently. Care to try again in 0.043 seconds?",
            retry_after_ms=43,
        ),
        "FACTS: 429, honour the seconds",
    ),
    Row(
        "timestamp too old",
        CANCEL,
        408,
        TOO_OLD,
        Unproven(Outcome.UNAVAILABLE, "HTTP 408: The timestamp is too old.", clock_refused=True),
        "FACTS: HTTP 408 with code 414 exists",
    ),
    Row(
        "another 408",
        CANCEL,
        408,
        '{"code":408,"msg":"Slow"}',
        Unproven(Outcome.UNKNOWN, "HTTP 408: Slow"),
        "not documented",
    ),
    Row(
        "not found",
        CANCEL,
        404,
        '{"code":404,"msg":"Not found","result":null}',
        Unproven(Outcome.UNKNOWN, "HTTP 404: Not found", missing=True),
        "FACTS: what an unknown order answers is [NF]",
    ),
    Row(
        "bulk not found",
        BULK,
        404,
        '{"code":404,"msg":"Not found","result":null}',
        Unproven(Outcome.UNKNOWN, "HTTP 404: Not found"),
        "not documented",
    ),
    Row(
        "a page not found",
        CANCEL,
        404,
        "<h1>Not Found</h1>",
        Unproven(Outcome.UNKNOWN, "HTTP 404: <h1>Not Found</h1>"),
        "not documented: a wrong address, not an order",
    ),
    *(
        Row(
            f"status {status}",
            CANCEL,
            status,
            '{"msg":"no"}',
            Unproven(Outcome.UNKNOWN, f"HTTP {status}: no"),
            "not documented",
        )
        for status in (201, 204, 302, 400, 401, 403, 405, 418, 422)
    ),
    # Bulk
    Row(
        "bulk",
        BULK,
        200,
        ok([order(), order("a2", "COMPLETED"), order("a3", "PENDING"), order("stranger")]),
        ClosedMany({ORDER: Outcome.CANCELED, "a2": Outcome.GONE}, others=1),
        "FACTS: result is an array of orders",
    ),
    Row(
        "bulk with two stories",
        BULK,
        200,
        ok([order(), order(status="COMPLETED"), order("a2")]),
        ClosedMany({"a2": Outcome.CANCELED}),
        "not documented: proves nothing of the first",
    ),
    Row(
        "bulk of strangers",
        BULK,
        200,
        ok([order("b1", "CANCELLED"), order("b2", "CANCELLED"), order("b1")]),
        ClosedMany({}, others=2),
        "not documented: as if it had canceled what nobody named",
    ),
    Row("bulk of nothing", BULK, 200, ok([]), UNKNOWN, "not documented"),
    Row("bulk as one order", BULK, 200, ok(order()), UNKNOWN, "not documented"),
    # Query
    *(
        Row(f"query {status}", QUERY, 200, ok(order(status=status)), OrderReport(state), "FACTS")
        for status, state in (
            ("ACTIVE", OrderState.OPEN),
            ("CANCELLED", OrderState.CANCELED),
            ("COMPLETED", OrderState.FILLED),
        )
    ),
    Row("query, another id", QUERY, 200, ok(order("a2")), UNKNOWN, "not documented"),
    Row("query, other status", QUERY, 200, ok(order(status="")), UNKNOWN, "not documented"),
    Row(
        "query not found",
        QUERY,
        404,
        '{"code":404,"msg":"Not found","result":null}',
        OrderReport(OrderState.MISSING, "HTTP 404: Not found"),
        "FACTS: [NF]",
    ),
    # List
    Row("list", LIST, 200, ok([order()]), OpenOrders((LISTED,), complete=True), "FACTS"),
    Row("nothing open", LIST, 200, ok([]), OpenOrders((), complete=True), "FACTS"),
    Row(
        "list beyond the scope",
        LIST,
        200,
        ok([order(), order("a2", side="BUY"), order("a3", pair="X"), order("a4", "COMPLETED")]),
        OpenOrders((LISTED,), complete=True),
        "FACTS: status, pair; side is filtered here",
    ),
    Row(
        "a full page",
        LIST,
        200,
        ok([order()] * 100),
        OpenOrders((LISTED,) * 100, complete=True, next="500"),
        "FACTS: limit default 100",
    ),
    *(
        Row(
            f"{rows} rows of at most {limit}",
            replace(LIST, after=str(limit)),
            200,
            ok([order()] * rows),
            OpenOrders((LISTED,) * rows, complete=complete, next=after),
            "not documented: a limit above 100 may be ignored",
        )
        for rows, limit, complete, after in (
            (101, 500, True, ""),
            (100, 500, False, ""),
            (500, 500, True, "2500"),
            (2_500, 2_500, False, ""),
        )
    ),
    Row(
        "a row that cannot be read",
        LIST,
        200,
        ok([order(), order("a b")]),
        OpenOrders((LISTED,), complete=False),
        "not documented: it may be an open order",
    ),
    Row(
        "a row of unknown status",
        LIST,
        200,
        ok([order(), order("a2", "PENDING")]),
        OpenOrders((LISTED, OpenOrder("a2", LISTED.pair, LISTED.side)), complete=False),
        "not documented: it may be an open order, and is canceled as one",
    ),
    Row(
        "a row without a side",
        LIST_ANY_SIDE,
        200,
        ok([order(side="?"), order("a2", "COMPLETED", side="?")]),
        OpenOrders((OpenOrder(LISTED.order_id, LISTED.pair, None),), complete=False),
        "its cancel needs none",
    ),
    Row(
        "a row without a side, where one is asked for",
        LIST,
        200,
        ok([order(side="?")]),
        OpenOrders((), complete=False),
        "it may be of the other side",
    ),
    Row("list as an object", LIST, 200, ok({}), UNKNOWN, "not documented"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{type(row.command).__name__}, {row.id}")
def test_reply_means(row: Row) -> None:
    """Each documented reply means what its document says, and no other proves anything."""
    came = reply(row.status, row.body)
    expected = with_shape(row.expected, came)
    assert EVERSTRIKE.classify(row.command, came) == expected, row.source


@pytest.mark.parametrize(
    ("words", "headers", "wait_ms"),
    [
        ("try again in 0.043 seconds", {}, 43),
        ("try again in 0.0001 seconds", {}, 1),
        ("try again in 1 second", {}, 1_000),
        ("try again in 0 seconds", {}, 0),
        ("try again in 999999 seconds", {}, 600_000),
        ("try again in 9999999 seconds", {}, None),
        ("try again in -1 seconds", {}, None),
        ("try again in ٣ seconds", {}, None),
        ("try again in 2 seconds", {"retry-after": "7"}, 2_000),
        ("try later", {"retry-after": "7"}, 7_000),
        ("try later", {"retry-after": "tomorrow"}, None),
    ],
)
def test_wait_is_what_the_exchange_asks_for(
    words: str, headers: dict[str, str], wait_ms: int | None
) -> None:
    """The message's seconds come first, rounded up and bounded, then `Retry-After`."""
    body = json.dumps({"code": 429, "msg": words, "result": None})
    answer = EVERSTRIKE.classify(CANCEL, reply(429, body, headers))
    assert answer == Unproven(Outcome.THROTTLED, f"HTTP 429: {words}", retry_after_ms=wait_ms)


def test_scope_of_a_list_ignores_the_case_of_its_pair() -> None:
    """A pair asked for in lower case does not hide an open order."""
    scope = ListOpenOrders(pair=PAIR.lower())
    assert EVERSTRIKE.classify(scope, reply(200, ok([order()]))) == OpenOrders(
        (LISTED,), complete=True
    )
