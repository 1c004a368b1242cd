"""BitMart v2: the bytes that go out, and what every documented reply means."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest

from tests.support.plain_ids import plain
from tests.support.reply_shapes import with_shape
from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.bitmart.adapter import BITMART
from worker.model.commands import (
    CancelOrder,
    CancelOrders,
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
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    TokenGrant,
    Unproven,
)
from worker.model.wire import Reply

# The documents' own key, secret and memo.
ACCESS = Access(
    "https://openapi.bitmart.com",
    api_key="6591f7c2491db0a23a1d8ad6911c825e",
    api_secret="8c08d9d5c3d15b105dbddaf96e427ac6",
    memo="mymemo",
)
STAMP = Stamp(now_ms=1_528_060_666_000, token="m261aeb5")
CANCEL = CancelOrder("1223181")
SCOPE = CancelScope(pair="BMX_ETH", side="buy")
QUERY = QueryOrder("1223181")
LIST = ListOpenOrders(pair="BMX_ETH", side="buy")
TOKEN = FetchToken()

DAY_MS = 86_400_000
NOON_MS = 17_000 * DAY_MS + DAY_MS // 2


# What goes out


@pytest.mark.parametrize(
    ("command", "method", "path", "signature"),
    [
        (
            CANCEL,
            "DELETE",
            "/v2/orders/1223181",
            # The document's vector: entrust_id=1223181
            "de4ed768cea4eb2f0fe081009eab1f41c5fd6ff6ed53768df7fe252472c257b3",
        ),
        (
            SCOPE,
            "DELETE",
            "/v2/orders?symbol=BMX_ETH&side=buy",
            # openssl over the sorted side=buy&symbol=BMX_ETH
            "aabb88b82cdbb10d74e13bd2de94dcce8d9a2b1e59d5df0b0e35f533d82de8ca",
        ),
        (
            QUERY,
            "GET",
            "/v2/orders/1223181",
            "de4ed768cea4eb2f0fe081009eab1f41c5fd6ff6ed53768df7fe252472c257b3",
        ),
        (
            LIST,
            "GET",
            "/v2/orders?symbol=BMX_ETH&status=5&offset=0&limit=100",
            # openssl over the sorted limit=100&offset=0&status=5&symbol=BMX_ETH
            "1fc8eb26c688687a9fe457835da514f2b146344412b20aa0a7a0c4f68b06655a",
        ),
    ],
    ids=["cancel", "cancel of a scope", "query", "list"],
)
def test_requests(command: Command, method: str, path: str, signature: str) -> None:
    """A request has no body, and three headers: time, token and signature."""
    request = BITMART.sign(command, ACCESS, STAMP)
    assert (request.method, request.body) == (method, b"")
    assert request.url == f"https://openapi.bitmart.com{path}"
    assert request.headers == {
        "X-BM-TIMESTAMP": "1528060666000",
        "X-BM-AUTHORIZATION": "Bearer m261aeb5",
        "X-BM-SIGNATURE": signature,
    }


def test_token_request_is_the_documents_example() -> None:
    """The client secret is the document's vector; no token is needed to ask for one."""
    request = BITMART.sign(TOKEN, ACCESS, Stamp(now_ms=1))
    assert request.method == "POST"
    assert request.url == "https://openapi.bitmart.com/v2/authentication"
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert request.body == (
        b"grant_type=client_credentials&client_id=6591f7c2491db0a23a1d8ad6911c825e"
        b"&client_secret=18b9beb027d9ee75202655f37344ea5829c5c0d66a0781bf642bb3e944cf5019"
    )


def test_capabilities_are_the_documents() -> None:
    """One order request a second, five token requests a minute, a memo and a token."""
    orders, token = BITMART.capabilities.limits
    assert (orders.name, orders.per, orders.max_requests, orders.window_ms) == (
        "orders",
        "account",
        1,
        1_000,
    )
    assert {*orders.commands, *token.commands, ListPairs} == BITMART.capabilities.commands
    assert (token.name, token.per, token.max_requests, token.window_ms) == (
        "token",
        "account",
        5,
        60_000,
    )
    assert BITMART.capabilities.needs_token
    assert BITMART.capabilities.needs_memo
    assert BITMART.hosts.production == "https://openapi.bitmart.com"


# What must never go out


@pytest.mark.parametrize("command", [CANCEL, SCOPE, QUERY, LIST])
@pytest.mark.parametrize("token", [None, ""])
def test_nothing_is_signed_without_a_token(command: Command, token: str | None) -> None:
    """A request that needs a token and has none never leaves."""
    with pytest.raises(InvalidCommand, match="without a token"):
        BITMART.sign(command, ACCESS, Stamp(now_ms=1, token=token))


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (CancelScope(side="buy"), "the pair to cancel all orders in one request: add --pair"),
        (CancelScope(pair="BMX_ETH"), 'the side to cancel all .*: add --side buy, or side="buy"'),
        (ListOpenOrders(), "the pair to list open orders: add --pair"),
        (CancelOrder("../orders"), r"'\.\./orders' is not an order id of bitmart"),
        (CancelOrder("1?symbol=BMX_ETH"), "is not an order id"),
        (CancelOrders(("1",)), "no documented way to cancel several orders"),
        (SetCountdown(("BMX_ETH",), 1), "no documented way to set a countdown"),
    ],
)
def test_refusals_name_the_fix(command: Command, text: str) -> None:
    """What cannot be carried out is refused with how to fix it, and is never signed."""
    with pytest.raises(InvalidCommand, match=text):
        BITMART.check(command)
    with pytest.raises(InvalidCommand, match=text):
        BITMART.sign(command, ACCESS, STAMP)


# What comes back


@dataclass(frozen=True)
class Row:
    """One reply, what it means, and who says so."""

    id: str
    command: Command
    status: int
    body: object
    expected: Answer
    source: str


ODD = Unproven(Outcome.UNKNOWN, "HTTP 200: not the documented reply to what was asked")
NOT_FOUND = {"message": "Not found"}
ORDER: dict[str, object] = {
    "entrust_id": 1223181,
    "symbol": "BMX_ETH",
    "side": "buy",
    "status": 1,
}
OPEN = OpenOrder("1223181", "BMX_ETH", "buy")


def orders(*rows: object, **counts: object) -> dict[str, object]:
    """Build a list of orders."""
    return {"orders": list(rows), **counts}


ROWS = [
    # Cancels
    Row("documented success", CANCEL, 200, "{}", Closed(Outcome.CANCELED), "document"),
    Row("spaced success", CANCEL, 200, " {\n}\r\n", Closed(Outcome.CANCELED), "document"),
    Row("scope success", SCOPE, 200, "{}", ScopeCanceled(), "FACTS: answers {}"),
    *(
        Row(f"cancel answered by {body!r}", command, 200, body, ODD, "document: {}")
        for body in ("", "[]", "null", "true", "0", '""', "{", "{}{}", '{"a":1}', "<p>{}</p>")
        for command in (CANCEL, SCOPE)
    ),
    Row(
        "a message as a success",
        CANCEL,
        200,
        {"message": "Order is done"},
        Unproven(Outcome.UNKNOWN, ODD.detail + ": Order is done"),
        "document: {}",
    ),
    *(
        Row(
            f"{{}} under {status}",
            CANCEL,
            status,
            "{}",
            Unproven(Outcome.UNKNOWN, f"HTTP {status}"),
            "not documented",
        )
        for status in (201, 202, 204, 301, 304, 400, 403, 404, 405, 409, 422)
    ),
    Row(
        "not found",
        CANCEL,
        404,
        NOT_FOUND,
        Unproven(Outcome.UNKNOWN, "HTTP 404: Not found", missing=True),
        "FACTS: `Not found` with 404",
    ),
    Row(
        "scope not found",
        SCOPE,
        404,
        NOT_FOUND,
        Unproven(Outcome.UNKNOWN, "HTTP 404: Not found"),
        "not documented",
    ),
    Row(
        "a page not found",
        CANCEL,
        404,
        "<h1>Not found</h1>",
        Unproven(Outcome.UNKNOWN, "HTTP 404: <h1>Not found</h1>"),
        "not documented: a wrong address, not an order",
    ),
    Row(
        "another client error",
        CANCEL,
        400,
        {"message": "Bad request"},
        Unproven(Outcome.UNKNOWN, "HTTP 400: Bad request"),
        "not documented for cancels",
    ),
    *(
        Row(
            f"token refused for {command}",
            command,
            401,
            {"message": "Unauthorized"},
            Unproven(Outcome.UNAUTHORIZED, "HTTP 401: Unauthorized", token_refused=True),
            "FACTS: the token ends",
        )
        for command in (CANCEL, SCOPE, QUERY, LIST)
    ),
    Row(
        "throttled",
        CANCEL,
        429,
        {"message": "Too many requests"},
        Unproven(Outcome.THROTTLED, "HTTP 429: Too many requests"),
        "HTTP; rate limits are documented inconsistently",
    ),
    *(
        Row(
            f"outage {status}",
            CANCEL,
            status,
            {"message": "We had a problem"},
            Unproven(Outcome.UNAVAILABLE, f"HTTP {status}: We had a problem"),
            "FACTS: HTTP 5xx",
        )
        for status in (500, 502, 503, 599)
    ),
    Row(
        "a gateway that no longer waits",
        CANCEL,
        504,
        {"message": "Timed out"},
        Unproven(Outcome.UNKNOWN, "HTTP 504: Timed out"),
        "HTTP; it may yet be done",
    ),
    # Query
    *(
        Row(
            f"query {status!r}",
            QUERY,
            200,
            {**ORDER, "status": status},
            OrderReport(state),
            "FACTS",
        )
        for status, state in (
            (1, OrderState.OPEN),
            (2, OrderState.OPEN),
            (3, OrderState.FILLED),
            (4, OrderState.CANCELED),
            ("4", OrderState.CANCELED),
        )
    ),
    Row(
        "query, id as text",
        QUERY,
        200,
        {**ORDER, "entrust_id": "1223181"},
        OrderReport(OrderState.OPEN),
        "FACTS",
    ),
    *(
        Row(f"query {status!r}", QUERY, 200, {**ORDER, "status": status}, ODD, "not documented")
        for status in (0, 5, 6, True, 4.0, None, "04")
    ),
    Row("query, another id", QUERY, 200, {**ORDER, "entrust_id": 1}, ODD, "not documented"),
    Row("query, nothing", QUERY, 200, "{}", ODD, "that is the cancel's success"),
    Row(
        "query not found",
        QUERY,
        404,
        NOT_FOUND,
        OrderReport(OrderState.MISSING, "HTTP 404: Not found"),
        "FACTS: `Not found` with 404",
    ),
    # List
    Row("list", LIST, 200, orders(ORDER), OpenOrders((OPEN,), complete=True), "FACTS"),
    Row("nothing open", LIST, 200, orders(), OpenOrders((), complete=True), "FACTS"),
    Row(
        "list with counts",
        LIST,
        200,
        orders(ORDER, total_pages=1, total_orders="1", current_page=0),
        OpenOrders((OPEN,), complete=True),
        "FACTS: offset is a page number",
    ),
    *(
        Row(
            f"list with {counts}",
            LIST,
            200,
            orders(ORDER, **counts),
            OpenOrders((OPEN,), complete=False),
            "FACTS: offset is a page number",
        )
        for counts in (
            {"total_pages": 2},
            {"total_orders": 2},
            {"current_page": 1},
            {"total_pages": "many"},
            {"total_pages": -1},
            {"total_pages": True},
        )
    ),
    Row(
        "a full page",
        LIST,
        200,
        orders(*[ORDER] * 100),
        OpenOrders((OPEN,) * 100, complete=True, next="1"),
        "FACTS: limit=100",
    ),
    Row(
        "a full page that says it is another",
        LIST,
        200,
        orders(*[ORDER] * 100, current_page=1),
        OpenOrders((OPEN,) * 100, complete=False),
        "FACTS: offset is a page number",
    ),
    Row(
        "the second page",
        replace(LIST, after="1"),
        200,
        orders(ORDER, total_pages=2, total_orders="101", current_page=1),
        OpenOrders((OPEN,), complete=True),
        "FACTS: offset is a page number",
    ),
    *(
        Row(
            f"the second page with {counts}",
            replace(LIST, after="1"),
            200,
            orders(ORDER, **counts),
            OpenOrders((OPEN,), complete=False),
            "FACTS: offset is a page number",
        )
        for counts in ({"total_pages": 3}, {"total_orders": 102}, {"current_page": 0})
    ),
    Row(
        "list beyond the scope",
        LIST,
        200,
        orders(ORDER, {**ORDER, "side": "sell"}, {**ORDER, "symbol": "X"}, {**ORDER, "status": 3}),
        OpenOrders((OPEN,), complete=True),
        "the side is filtered here",
    ),
    Row(
        "rows that cannot be read",
        LIST,
        200,
        orders(ORDER, {**ORDER, "entrust_id": "1/2"}),
        OpenOrders((OPEN,), complete=False),
        "not documented: it may be an open order",
    ),
    Row(
        "a row of unknown status",
        LIST,
        200,
        orders(ORDER, {**ORDER, "entrust_id": 77, "status": 9}),
        OpenOrders((OPEN, OpenOrder("77", OPEN.pair, OPEN.side)), complete=False),
        "not documented: it may be an open order, and is canceled as one",
    ),
    Row("list as a list", LIST, 200, [ORDER], ODD, "not documented"),
    Row("list of nothing", LIST, 200, "{}", ODD, "not documented"),
    # Token
    Row(
        "token",
        TOKEN,
        200,
        {"access_token": "m261aeb5", "expires_in": 900},
        TokenGrant("m261aeb5", NOON_MS + 900_000),
        "FACTS",
    ),
    *(
        Row(f"token {body}", TOKEN, 200, body, ODD, "not documented")
        for body in (
            {},
            {"access_token": "", "expires_in": 900},
            {"access_token": "t\r\nX: y", "expires_in": 900},
            {"access_token": 7, "expires_in": 900},
            {"access_token": "t", "expires_in": 0},
            {"access_token": "t", "expires_in": -1},
            {"access_token": "t", "expires_in": -1e306},
            '{"access_token": "t", "expires_in": -1e999}',
            {"access_token": "t", "expires_in": "soon"},
            {"access_token": "t", "expires_in": "0"},
            {"access_token": "t", "expires_in": "-1"},
            {"access_token": "t", "expires_in": " 900"},
            {"access_token": "t", "expires_in": "٩"},
            {"access_token": "t", "expires_in": "9" * 10},
            {"access_token": "t", "expires_in": []},
            {"access_token": "t", "expires_in": {}},
            {"access_token": "t", "expires_in": False},
            {"access_token": "t", "expires_in": True},
        )
    ),
    Row(
        "token, a bad request",
        TOKEN,
        400,
        {"message": "grant_type is missing"},
        Unproven(Outcome.UNKNOWN, "HTTP 400: grant_type is missing"),
        "not documented; no token comes with a refusal",
    ),
    Row(
        "token refused",
        TOKEN,
        401,
        {"message": "Unauthorized"},
        Unproven(Outcome.UNAUTHORIZED, "HTTP 401: Unauthorized"),
        "FACTS: HTTP 4xx with a message",
    ),
    Row(
        "a token under another status",
        TOKEN,
        201,
        "access_token=m261aeb5",
        Unproven(Outcome.UNKNOWN, "HTTP 201: not a documented status"),
        "not documented: and never shown",
    ),
]


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: plain(f"{type(row.command).__name__}, {row.id}")
)
def test_reply_means(row: Row) -> None:
    """Each documented reply means what its document says, and no other proves anything."""
    body = row.body if isinstance(row.body, str) else json.dumps(row.body)
    reply = Reply(row.status, {}, body.encode(), received_ms=NOON_MS)
    assert BITMART.classify(row.command, reply) == with_shape(row.expected, reply), row.source


def test_throttling_honours_retry_after() -> None:
    """A `Retry-After` in seconds becomes the wait."""
    reply = Reply(429, {"retry-after": "7"}, b"", received_ms=0)
    assert BITMART.classify(CANCEL, reply) == Unproven(
        Outcome.THROTTLED, "HTTP 429", retry_after_ms=7_000
    )


@pytest.mark.parametrize(
    ("received_ms", "expires_in", "expires_ms"),
    [
        (NOON_MS, "900", NOON_MS + 900_000),
        (NOON_MS, "0.5", NOON_MS + 500),
        (NOON_MS, "0.001", NOON_MS + 1),
        (NOON_MS, "86400", 17_001 * DAY_MS),
        (NOON_MS, "1e999", 17_001 * DAY_MS),
        (NOON_MS, "9" * 400, 17_001 * DAY_MS),
        (17_001 * DAY_MS - 1, "900", 17_001 * DAY_MS),
        (17_001 * DAY_MS, "900", 17_001 * DAY_MS + 900_000),
        (17_001 * DAY_MS, "1e300", 17_002 * DAY_MS),
    ],
)
def test_a_token_ends_at_midnight_at_the_latest(
    received_ms: int, expires_in: str, expires_ms: int
) -> None:
    """A token lives `expires_in` seconds, and never past the next 00:00:00 UTC."""
    body = f'{{"access_token":"t","expires_in":{expires_in}}}'.encode()
    answer = BITMART.classify(TOKEN, Reply(200, {}, body, received_ms))
    assert answer == TokenGrant("t", expires_ms)


@pytest.mark.parametrize("status", [200, 201, 302])
@pytest.mark.parametrize("body", ["access_token=secret", '{"access_token":"secret"'])
def test_a_token_reply_is_never_quoted(status: int, body: str) -> None:
    """A reply that may hold a token leaves no trace in the answer's words."""
    answer = BITMART.classify(TOKEN, Reply(status, {}, body.encode(), received_ms=0))
    assert isinstance(answer, Unproven)
    assert "secret" not in answer.detail
