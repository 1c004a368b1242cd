"""Replies that are slightly off their document: what cannot mislead is read, the rest is not."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.support.plain_ids import plain
from worker.exchanges import EXCHANGES
from worker.exchanges.bitmart.replies import DEFAULT_LIFE_S
from worker.exchanges.replies import read_json, respelled, rows_of, shape
from worker.model.commands import (
    CancelOrder,
    CancelOrders,
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
    TokenGrant,
    Unproven,
)
from worker.model.wire import Reply

NOON_MS = 17_000 * 86_400_000 + 43_200_000
EV, IX, BM = "everstrike", "indodax", "bitmart"
CANCEL = CancelOrder("7", pair="btc_idr", side="buy")
QUERY = QueryOrder("7", pair="btc_idr")
LIST = ListOpenOrders(pair="btc_idr")
LIST_ALL = ListOpenOrders()
BULK = CancelOrders(("7", "8"))
COUNTDOWN = SetCountdown(("btc_idr",), 1_000)
OPEN, CANCELED, FILLED = OrderState.OPEN, OrderState.CANCELED, OrderState.FILLED
BUY = OpenOrder("7", "btc_idr", "buy")
NONE = OpenOrders((), complete=True)
ONE = OpenOrders((BUY,), complete=True)


@dataclass(frozen=True)
class Row:
    """A reply under a status, and what it means: None if it proves nothing."""

    exchange: str
    command: Command
    body: object
    expected: Answer | None
    status: int = 200


def ev(result: object) -> dict[str, object]:
    """Build a success of Everstrike."""
    return {"code": 200, "msg": "ok", "result": result}


def ev_order(**fields: object) -> dict[str, object]:
    """Build an order of Everstrike."""
    return {"id": "7", "status": "ACTIVE", "pair": "btc_idr", "side": "BUY", **fields}


def ix(returned: object) -> dict[str, object]:
    """Build a success of Indodax's trade API."""
    return {"success": 1, "return": returned}


def bm_order(**fields: object) -> dict[str, object]:
    """Build an order of BitMart."""
    return {"entrust_id": 7, "symbol": "btc_idr", "side": "buy", "status": 1, **fields}


IX_ROW = {"order_id": "7", "type": "buy"}

READ = [
    # Letter case and spelling of a state
    *(
        Row(EV, QUERY, ev(ev_order(status=word)), OrderReport(state))
        for word, state in (
            ("active", OPEN),
            ("Cancelled", CANCELED),
            ("CANCELED", CANCELED),
            ("canceled", CANCELED),
            (" COMPLETED ", FILLED),
        )
    ),
    *(
        Row(EV, CANCEL, ev(ev_order(status=word)), Closed(outcome))
        for word, outcome in (
            ("active", Outcome.CANCELED),
            ("Canceled", Outcome.CANCELED),
            ("completed", Outcome.GONE),
        )
    ),
    *(
        Row(IX, QUERY, ix({"order": {"order_id": "7", "status": word}}), OrderReport(state))
        for word, state in (
            ("OPEN", OPEN),
            ("CANCELLED", CANCELED),
            ("Canceled", CANCELED),
            ("Filled", FILLED),
        )
    ),
    # Ids as numbers or text
    Row(EV, CANCEL, ev(ev_order(id=7)), Closed(Outcome.CANCELED)),
    Row(EV, QUERY, ev(ev_order(id=7)), OrderReport(OPEN)),
    Row(EV, LIST, ev([ev_order(id=7)]), ONE),
    Row(EV, BULK, ev([ev_order(id=7)]), ClosedMany({"7": Outcome.CANCELED})),
    Row(IX, LIST, ix({"orders": [{**IX_ROW, "order_id": 7}]}), ONE),
    Row(BM, LIST, {"orders": [bm_order(entrust_id="7", status="1")]}, ONE),
    # Letter case of a side
    Row(IX, LIST, ix({"orders": [{**IX_ROW, "type": "BUY"}]}), ONE),
    Row(BM, LIST, {"orders": [bm_order(side="BUY")]}, ONE),
    Row(EV, LIST, ev([ev_order(side="Buy")]), ONE),
    # A list that is keyed by position
    Row(EV, LIST, ev({"0": ev_order()}), ONE),
    Row(EV, LIST, ev({"3": ev_order()}), ONE),
    Row(EV, BULK, ev({"1": ev_order()}), ClosedMany({"7": Outcome.CANCELED})),
    Row(BM, LIST, {"orders": {"0": bm_order()}}, ONE),
    Row(
        IX,
        LIST,
        ix({"orders": {"0": IX_ROW, "2": {**IX_ROW, "order_id": "8"}}}),
        OpenOrders((BUY, OpenOrder("8", "btc_idr", "buy")), complete=True),
    ),
    Row(IX, LIST_ALL, ix({"orders": {"btc_idr": {"0": IX_ROW}}}), ONE),
    # One pair's list that is keyed by that pair
    Row(IX, LIST, ix({"orders": {"btc_idr": [IX_ROW]}}), ONE),
    Row(IX, ListOpenOrders("BTC_IDR"), ix({"orders": {"btc_idr": [IX_ROW]}}), ONE),
    Row(IX, ListOpenOrders("btc_idr", "sell"), ix({"orders": {"btc_idr": [IX_ROW]}}), NONE),
    # A row that names no side, or one of another form, is of the scope where none was asked for
    Row(
        BM,
        LIST,
        {"orders": [bm_order(side="?")]},
        OpenOrders((OpenOrder("7", "btc_idr", None),), complete=False),
    ),
    Row(
        BM,
        ListOpenOrders("btc_idr", "buy"),
        {"orders": [bm_order(side="?")]},
        OpenOrders((), complete=False),
    ),
    Row(BM, LIST, {"orders": [bm_order(symbol="a/b")]}, OpenOrders((), complete=False)),
    Row(EV, LIST, ev([ev_order(pair="a/b")]), OpenOrders((), complete=False)),
    # What may be the same pair in another spelling is neither canceled nor passed over
    Row(EV, ListOpenOrders("btcidr"), ev([ev_order()]), OpenOrders((), complete=False)),
    Row(EV, LIST, ev([ev_order(pair="BTC-IDR")]), OpenOrders((), complete=False)),
    Row(BM, LIST, {"orders": [bm_order(symbol="BTCIDR")]}, OpenOrders((), complete=False)),
    Row(BM, LIST, {"orders": [bm_order(symbol="BTC_USD")]}, NONE),
    Row(EV, LIST, ev([ev_order(pair="btcidr", status="COMPLETED")]), NONE),
    # What comes after a row that is passed over
    Row(BM, LIST, {"orders": [bm_order(entrust_id=6, status=4), bm_order()]}, ONE),
    Row(EV, LIST, ev([ev_order(id="6", status="COMPLETED"), ev_order()]), ONE),
    Row(
        BM,
        LIST,
        {"orders": [bm_order(entrust_id=6, symbol="BTCIDR"), bm_order()]},
        OpenOrders((BUY,), complete=False),
    ),
    Row(
        EV,
        LIST,
        ev([ev_order(id="6", pair="BTC-IDR"), ev_order()]),
        OpenOrders((BUY,), complete=False),
    ),
    # Nothing
    Row(IX, LIST, ix({"orders": {}}), NONE),
    Row(IX, LIST, ix({"orders": None}), NONE),
    Row(IX, LIST_ALL, ix({"orders": None}), NONE),
    Row(BM, LIST, {"orders": None, "total_orders": 0}, NONE),
    Row(BM, LIST, {"orders": {}, "total_orders": "0", "total_pages": 0}, NONE),
    # When a token ends
    *(
        Row(BM, FetchToken(), {"access_token": "t", **life}, TokenGrant("t", NOON_MS + lives_ms))
        for life, lives_ms in (
            ({"expires_in": "900"}, 900_000),
            ({"expires_in": "1"}, 1_000),
            ({"expires_in": "86400"}, 43_200_000),
            ({"expires_in": None}, DEFAULT_LIFE_S * 1_000),
            ({}, DEFAULT_LIFE_S * 1_000),
        )
    ),
    # The documented error under a status of its own; letter case of a code
    Row(
        IX,
        CANCEL,
        {"success": 0, "error": "Invalid pair", "error_code": "Bad_Request"},
        Unproven(Outcome.REJECTED, "HTTP 200: Bad_Request: Invalid pair"),
    ),
    Row(
        IX,
        CANCEL,
        {"success": 0, "error": "no", "error_code": "bad_sign"},
        Unproven(Outcome.UNAUTHORIZED, "HTTP 401: bad_sign: no"),
        status=401,
    ),
    Row(
        IX,
        COUNTDOWN,
        {"success": 0, "error": "no", "error_code": "bad_request"},
        Unproven(Outcome.REJECTED, "HTTP 400: bad_request: no"),
        status=400,
    ),
    Row(
        IX,
        CANCEL,
        {"success": 0, "error": "x", "error_code": "bad_sign"},
        Unproven(Outcome.THROTTLED, "HTTP 429: bad_sign: x"),
        status=429,
    ),
    Row(
        IX,
        CANCEL,
        {"success": 0, "error": "x", "error_code": "bad_sign"},
        Unproven(Outcome.UNAVAILABLE, "HTTP 500: bad_sign: x"),
        status=500,
    ),
]

NO_ID: list[object] = [
    *("07", "7 ", "", None, 7.0, True, [7], {"7": 7}, 8, "8", 10**300, "seven"),
]
NO_STATE: list[object] = ["", "expired", "can celled", None, True, 1.0, ["open"], {}, -4, 10**30]
NO_LIST: list[object] = [
    {"orders": None},
    {"orders": {}},
    {"orders": None, "total_orders": 1},
    {"orders": None, "total_orders": False},
    {"orders": None, "total_orders": 0, "total_pages": 2},
    {"orders": "", "total_orders": "00"},
    {"total_orders": 0},
    {"orders": {"a": 1}, "total_orders": 0},
    {"orders": 7, "total_orders": 0},
    {"message": "No orders"},
]


def with_id(value: object) -> list[tuple[str, Command, object]]:
    """Return replies that would be read, were this the id that was asked for."""
    return [
        (EV, CANCEL, ev(ev_order(id=value))),
        (EV, QUERY, ev(ev_order(id=value))),
        (IX, CANCEL, ix({"order_id": value, "pair": "btc_idr"})),
        (IX, QUERY, ix({"order_id": value, "status": "open"})),
        (BM, QUERY, bm_order(entrust_id=value)),
    ]


def with_state(value: object) -> list[tuple[str, object]]:
    """Return replies that would be read, were this a state."""
    return [
        (EV, ev(ev_order(status=value))),
        (IX, ix({"order_id": "7", "status": value})),
        (BM, bm_order(status=value)),
    ]


NOT_READ = [
    # The flag of a success is the proof itself: only as documented
    Row(EV, CANCEL, {**ev(ev_order()), "code": "200"}, None),
    Row(EV, CANCEL, {**ev(ev_order()), "code": True}, None),
    Row(EV, CANCEL, ev_order(), None),
    *(
        Row(IX, command, {**ix({"order_id": "7"}), "success": flag}, None)
        for flag in ("1", True, 1.5, None, [1], {"1": 1}, -1, 10**30)
        for command in (CANCEL, QUERY, LIST, COUNTDOWN)
    ),
    *(
        Row(IX, command, {**ix({"order_id": "7"}), **told}, None)
        for told in ({"error": "no"}, {"error_code": "x"}, {"error": "no", "error_code": "x"})
        for command in (CANCEL, COUNTDOWN)
    ),
    # An id in another form, or another order's
    *(
        Row(exchange, command, body, None)
        for value in NO_ID
        for exchange, command, body in with_id(value)
    ),
    # A state that is in no document
    *(
        Row(exchange, QUERY, body, None)
        for value in NO_STATE
        for exchange, body in with_state(value)
    ),
    # Another pair's list, and what is keyed by neither pair nor position
    Row(IX, LIST, ix({"orders": {"eth_idr": [IX_ROW]}}), None),
    Row(IX, LIST, ix({"orders": {"btc_idr": [IX_ROW], "eth_idr": []}}), None),
    Row(IX, LIST, ix({"orders": {"0": IX_ROW, "x": IX_ROW}}), None),
    Row(IX, LIST_ALL, ix({"orders": {"0": IX_ROW}}), None),
    Row(IX, LIST_ALL, ix({"orders": [IX_ROW]}), None),
    Row(IX, LIST, ix({"orders": "none"}), None),
    Row(IX, LIST, ix(None), None),
    Row(IX, LIST, ix([]), None),
    Row(IX, LIST, {"success": 1, "orders": []}, None),
    Row(IX, LIST, {"success": 0, "error": "No orders", "error_code": "no_orders"}, None),
    Row(EV, LIST, ev({}), None),
    Row(EV, LIST, ev(None), None),
    Row(EV, LIST, ev({"orders": []}), None),
    Row(EV, LIST, {"code": 200, "msg": "No orders"}, None),
    Row(EV, BULK, ev({}), None),
    *(Row(BM, LIST, body, None) for body in NO_LIST),
    Row(BM, LIST, {"message": "Not found"}, None, status=404),
    # Bodies that are whole, and nothing
    *(
        Row(exchange, command, body, None)
        for exchange in (EV, IX, BM)
        for command in (CANCEL, QUERY, LIST)
        for body in ("null", "[]", "[[]]", "0", "false", '""', "<html>OK</html>", "")
    ),
    # An error is one by its flag, and a part of it means nothing under another code
    Row(IX, CANCEL, {"error": "no", "error_code": "bad_sign"}, None, status=401),
    Row(IX, CANCEL, {"success": 1, "error": "no", "error_code": "bad_sign"}, None, status=401),
    Row(IX, CANCEL, {"success": 0, "error": "Pair a disabled", "error_code": "x"}, None),
    Row(
        IX, CANCEL, {"success": 0, "error": "Nonce must be greater than 7", "error_code": "x"}, None
    ),
    # An order that is not known is believed under the documented status alone
    Row(IX, CANCEL, {"success": 0, "error": "invalid order."}, None, status=400),
    Row(IX, QUERY, {"success": 0, "error": "invalid order."}, None, status=403),
]


def answer_of(row: Row) -> Answer:
    """Read the row's reply."""
    body = row.body if isinstance(row.body, str) else json.dumps(row.body)
    reply = Reply(row.status, {}, body.encode(), received_ms=NOON_MS)
    return EXCHANGES[row.exchange].classify(row.command, reply)


def names_of(rows: list[Row]) -> list[str]:
    """Name rows for people."""
    return [
        plain(f"{n}: {row.exchange} {type(row.command).__name__} {json.dumps(row.body)[:70]}")
        for n, row in enumerate(rows)
    ]


@pytest.mark.parametrize("row", READ, ids=names_of(READ))
def test_what_cannot_mislead_is_read(row: Row) -> None:
    """Case, spelling and the type of an id change nothing of what a reply says."""
    assert answer_of(row) == row.expected


@pytest.mark.parametrize("row", NOT_READ, ids=names_of(NOT_READ))
def test_what_could_mislead_is_unknown(row: Row) -> None:
    """Everything else proves nothing, and does not call the order missing."""
    answer = answer_of(row)
    assert isinstance(answer, Unproven)
    assert answer == Unproven(Outcome.UNKNOWN, answer.detail)


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("", "an empty body"),
        (" null ", "null"),
        ("<html>", "no JSON, 6 bytes"),
        ('{"a":1,"a":1}', "no JSON, 13 bytes"),
        ("{}", "{}"),
        ("[]", "[0]"),
        ("7", "number"),
        ("7.5", "fraction"),
        ("true", "true or false"),
        ('"words"', "text"),
        ('[{"id":"7"},2]', "[2 of {id: text}]"),
        ('{"a":{"b":{"c":{"d":1}}}}', "{a: {b: {c: {…}}}}"),
        ('{"a":{"b":{"c":{}}}}', "{a: {b: {c: {}}}}"),
        ("[[[[1]]]]", "[1 of [1 of [1 of [1]]]]"),
        ('{"6591f7c2491db0a2":1,"x y":null,"order_id":[]}', "{?: number, ?: null, order_id: [0]}"),
        (
            json.dumps(dict.fromkeys("abcdefgh", 1)),
            "{" + ", ".join(f"{key}: number" for key in "abcdefgh") + "}",
        ),
        (json.dumps(dict.fromkeys("abcdefghi", None)),
         "{a: null, b: null, c: null, d: null, e: null, f: null, g: null, h: null, …}"),
    ],
)  # fmt: skip
def test_a_shape_shows_keys_and_types_alone(body: str, seen: str) -> None:
    """No value is shown, and no key that may be one."""
    reply = Reply(200, {}, body.encode(), received_ms=0)
    assert shape(reply, read_json(reply.body)) == seen[:110]


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ([], []),
        ([1], [1]),
        ({"0": 1}, [1]),
        ({"5": 1, "2": 2}, [1, 2]),
        ({}, None),
        ({"0": 1, "a": 2}, None),
        ({"-1": 1}, None),
        ({"1234567890": 1}, None),
        ({"٣": 1}, None),
        (None, None),
        ("0", None),
        (7, None),
    ],
)
def test_rows_are_those_of_a_list_or_of_one_keyed_by_position(value: object, rows: object) -> None:
    """Nothing else is a list, an empty object least of all."""
    assert rows_of(value) == rows


@pytest.mark.parametrize(
    ("asked", "pair", "may_be"),
    [
        ("BTC_IDR", "btcidr", True),
        ("BTC_IDR", "btc-idr", True),
        ("btcidr", "BTC/IDR", True),
        ("BTC_IDR", "btc_idr", False),
        ("BTC_IDR", "BTC_IDR", False),
        ("BTC_IDR", "ETH_IDR", False),
        ("", "btc_idr", False),
        (None, "btc_idr", False),
        (None, "-", True),
        (None, "", False),
    ],
)
def test_a_pair_in_another_spelling_is_seen(asked: str | None, pair: str, *, may_be: bool) -> None:
    """Letter case alone makes no other spelling; marks between the parts do."""
    assert respelled(ListOpenOrders(asked), pair) is may_be
