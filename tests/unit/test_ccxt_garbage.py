"""Replies in the form of a proof that prove nothing, at all ids of ccxt that sign."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product

import pytest

from tests.support.ccxt_documents import (
    ASKED,
    CANCELS,
    NOW_MS,
    PAIRS,
    ROWS,
    WORDS,
    bitfinex_row,
    list_of,
    order_of,
)
from worker.exchanges.ccxt.adapter import exchange_of, offered
from worker.exchanges.ccxt.profile import profiled
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    Unproven,
)
from worker.model.wire import Reply

PAIR = "BTCUSDT"
ANOTHER = "987654321"
ID_KEYS = ("id", "orderId", "order_id", "orderID", "ordId", "uuid", "oid", "client_order_id")
STATUS_KEYS = ("status", "state", "ordStatus")
CLOSED = (("canceled", "status"), ("CANCELED", "state"))
"""Words of orders that are closed, with what they are called."""
NAMES = ("data", "result", "order", "return")
FAILURES: tuple[dict[str, object], ...] = (
    {"success": False, "message": "not canceled"},
    {"success": "false", "code": 1},
    {"success": 0},
    {"ok": False},
    {"status": "error"},
    {"result": "error", "error": "no such order"},
    {"error": "Invalid order"},
    {"error": {"message": "not canceled"}},
    {"errors": ["not canceled"]},
    {"errorCode": 205, "error": "not canceled"},
    {"error_code": 10, "msg": "not canceled"},
    {"err-code": "order-state-error", "err-msg": "not canceled"},
    {"ret_code": 1001},
    {"retCode": 10001, "retMsg": "not canceled"},
    {"code": 51000, "msg": "order cannot be canceled"},
    {"code": "-2011", "msg": "CANCEL_REJECTED"},
)
"""What says, beside a report, that the request failed."""
PENDING_WORDS = (
    *("PENDING_CANCEL", "pending_cancel", "Cancel pending", "CANCELING", "cancelling"),
    *("CANCEL_SENT", "CANCEL_ALL_SENT", "cancel_requested", "Cancel submitted", "accepted"),
    *("partial_fill", "PARTIALLY_FILLED", "partially_filled", "partial-filled", "PartiallyFilled"),
    *("TRIGGERED", "effective", "replaced", "STATUS_INACTIVE", "inactive"),
)
"""Words of orders that may be open still, or under another id, whatever ccxt makes of them."""


def reply(body: object, status: int = 200) -> Reply:
    """Return a reply with this JSON."""
    return Reply(status, {}, json.dumps(body).encode(), NOW_MS)


def report(word: str, key: str, order_id: str = ASKED) -> dict[str, object]:
    """Return an order's report, with the id under each name that exchanges use."""
    return {**dict.fromkeys(ID_KEYS, order_id), key: word, "symbol": PAIR, "side": "buy"}


def wrapped(row: dict[str, object], beside: dict[str, object]) -> Iterator[object]:
    """Yield a report in each wrapping, with something beside it."""
    if not beside.keys() & {*STATUS_KEYS, *ID_KEYS}:
        yield {**row, **beside}
    for name in NAMES:
        if name not in beside:
            yield {**beside, name: row}
    yield {**beside, "data": [row]}


def asking(name: str) -> list[Command]:
    """Return the commands of one order that an exchange takes."""
    pair = PAIRS.get(name, PAIR)
    known = exchange_of(name).capabilities.commands
    found: list[Command] = [CancelOrder(ASKED, pair), QueryOrder(ASKED, pair)]
    return [each for each in found if type(each) in known]


def closes(answer: Answer) -> bool:
    """Return whether an answer closes an order."""
    ended = (OrderState.CANCELED, OrderState.FILLED)
    return isinstance(answer, Closed) or (isinstance(answer, OrderReport) and answer.state in ended)


def rejects(answer: Answer) -> bool:
    """Return whether an answer counts as our mistake."""
    return isinstance(answer, Unproven) and answer.outcome is Outcome.REJECTED


def wrong_of(bodies: list[object]) -> list[tuple[str, str, object, Answer]]:
    """Return each of these replies that an id takes for a proof; print how many were read."""
    found, count = [], 0
    for name in offered():
        exchange = exchange_of(name)
        for command, body in product(asking(name), bodies):
            count += 1
            answer = exchange.classify(command, reply(body))
            if closes(answer) or rejects(answer):
                found.append((name, type(command).__name__, body, answer))
    print(f"{count} replies at {len(offered())} ids")  # noqa: T201
    return found


@pytest.mark.timeout(600)  # every exchange of ccxt is imported
def test_an_error_beside_a_report_takes_its_proof() -> None:
    """In the same object or around it, however the exchange says so."""
    bodies = [
        body
        for (word, key), failure in product(CLOSED, FAILURES)
        for body in wrapped(report(word, key), failure)
    ]
    assert wrong_of(bodies) == []


@pytest.mark.timeout(600)
def test_an_order_that_may_be_open_is_not_closed() -> None:
    """Nor one that continues under another id, though ccxt has some of these as closed."""
    bodies = [
        body
        for word, key in product(PENDING_WORDS, STATUS_KEYS[:2])
        for body in wrapped(report(word, key), {})
    ]
    assert wrong_of(bodies) == []


@pytest.mark.timeout(600)
def test_the_documented_report_of_another_order_is_none_of_this_one() -> None:
    """Each profile's own replies, about another order; those of all profiles at each id."""
    bodies: list[object] = []
    for name in profiled():
        of_another = [order_of(name, word) for word in WORDS[name]] + [CANCELS[name]]
        bodies += [json.loads(json.dumps(body).replace(ASKED, ANOTHER)) for body in of_another]
    assert wrong_of(bodies) == []


def test_what_is_accepted_is_not_canceled() -> None:
    """LATOKEN says only in words that a cancel was submitted, and ccxt takes it as canceled."""
    body = {
        "id": ASKED,
        "message": "cancellation request successfully submitted",
        "status": "SUCCESS",
        "error": "",
        "errors": {},
    }
    answer = exchange_of("latoken").classify(CancelOrder(ASKED), reply(body))
    assert answer == CancelAccepted()


def test_an_order_that_is_filled_in_part_is_open() -> None:
    """Of WEEX ccxt has the word as closed."""
    body = {"orderId": ASKED, "status": "partial_fill", "symbol": PAIR, "side": "BUY"}
    answer = exchange_of("weex").classify(QueryOrder(ASKED, PAIR), reply(body))
    assert isinstance(answer, Unproven)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("depth", [100, 600, 950])
def test_a_reply_may_be_nested_without_end(depth: int) -> None:
    """It is read, and proves nothing."""
    inner = '{"a":' * depth + "1" + "}" * depth
    row = json.dumps({**report("canceled", "status"), "x": 0}).replace('"x": 0', f'"x": {inner}')
    for name in ("latoken", "coinsph", "bitstamp", "bitvavo"):
        for command in asking(name):
            answer = exchange_of(name).classify(command, Reply(200, {}, row.encode(), NOW_MS))
            assert not closes(answer)


# Lists


def rows_of(name: str) -> list[object]:
    """Return a documented row of the list of a profile."""
    return [bitfinex_row("ACTIVE") if name == "bitfinex" else ROWS[name]]


def listed(name: str, body: object, pair: str = "") -> Answer:
    """Return what a list means."""
    return exchange_of(name).classify(ListOpenOrders(pair or PAIRS[name]), reply(body))


def complete(answer: Answer) -> bool:
    """Return whether a list is whole."""
    return isinstance(answer, OpenOrders) and answer.complete


OBJECTS = [name for name in profiled() if isinstance(list_of(name, []), dict)]


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("number", range(len(FAILURES)))
def test_an_empty_list_beside_an_error_is_not_empty(name: str, number: int) -> None:
    """Where the list is within an object, it can say that the request failed."""
    body = list_of(name, [])
    assert isinstance(body, dict)
    assert complete(listed(name, body))
    assert not complete(listed(name, {**body, **FAILURES[number]}))


@pytest.mark.parametrize("name", profiled())
@pytest.mark.parametrize(
    "body",
    [
        {"success": True},
        {"success": True, "data": {}},
        {"success": True, "data": None},
        {"success": True, "data": {"rows": []}},
        {"success": True, "result": []},
        {"code": 0, "data": {}},
        {"code": 0, "result": {}},
        {"result": "success"},
        {"status": "ok", "data": None},
        {"orders": []},
        {"data": []},
        {"0": []},
        {},
        "[]",
        [[]],
        [{}],
        [None],
    ],
)
def test_success_without_the_documented_list_is_no_empty_list(name: str, body: object) -> None:
    """An empty place is not the empty list of another exchange."""
    assert not complete(listed(name, body))


@pytest.mark.parametrize("name", profiled())
def test_a_row_without_an_id_leaves_a_list_incomplete(name: str) -> None:
    """It may be the order that was asked for."""
    text = json.dumps(rows_of(name)[0])
    bare = json.loads(text.replace(f'"{ASKED}"', "null").replace(ASKED, "null"))
    answer = listed(name, list_of(name, [bare]))
    assert isinstance(answer, OpenOrders)
    assert answer == OpenOrders((), complete=False)


@pytest.mark.parametrize("name", profiled())
def test_rows_of_another_pair_are_none_of_the_scope(name: str) -> None:
    """They show neither an order of it nor, on a full page, that it has none."""
    exchange = exchange_of(name)
    assert exchange.profile is not None
    text = json.dumps(rows_of(name)[0])
    for one, two in (("BTC", "LTC"), ("XBT", "LTC"), ("btc", "ltc")):
        text = text.replace(one, two)
    other = json.loads(text)
    answer = listed(name, list_of(name, [other]))
    assert answer == OpenOrders((), complete=True)
    if page := exchange.profile.page:
        assert listed(name, list_of(name, [other] * page)) == OpenOrders((), complete=False)


def test_a_page_that_is_smaller_than_asked_is_not_all() -> None:
    """WOO says how many orders there are."""
    empty = {"success": True, "data": {"rows": [], "meta": {"total": 3}}, "timestamp": NOW_MS}
    assert listed("woo", empty) == OpenOrders((), complete=False)
    silent = {"success": True, "data": {"rows": []}, "timestamp": NOW_MS}
    assert listed("woo", silent) == OpenOrders((), complete=False)


@pytest.mark.timeout(600)
def test_no_list_shows_a_scope_empty_without_a_profile() -> None:
    """Whatever it holds."""
    bodies: list[object] = [
        *(list_of(name, []) for name in profiled()),
        {"code": 10002, "msg": "OM_ORDER_NOT_FOUND", "data": None},
        {"success": True, "data": [], "total": 0, "has_next": False},
    ]
    count = 0
    for name in offered():
        exchange = exchange_of(name)
        if exchange.profile is None and ListOpenOrders in exchange.capabilities.commands:
            for body in bodies:
                count += 1
                assert not complete(exchange.classify(ListOpenOrders(PAIR), reply(body)))
    assert count > 500
