"""Whole answers of Hyperliquid: outcome, words for people, waits and flags."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.whole_answers import (
    REJECTED,
    THROTTLED,
    UNAUTHORIZED,
    UNAVAILABLE,
    UNDOCUMENTED,
    UNKNOWN,
    Case,
    check,
    unproven,
)
from worker.exchanges.hyperliquid.dexs import ASSETS_EACH
from worker.exchanges.hyperliquid.replies import read_reply
from worker.model.commands import (
    CancelOrder,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
    ReadTimer,
    SetCountdown,
)
from worker.model.outcomes import (
    Answer,
    Closed,
    CountdownSet,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    PairList,
    TimerReading,
    Unproven,
)
from worker.model.pairs import ListedPair
from worker.model.wire import Reply

CLIENT_ID = "0x" + "a" * 32
CANCEL, QUERY = CancelOrder("77", pair="BTC"), QueryOrder("77", pair="BTC")
MINE = QueryOrder("77", pair="BTC", client_order_id=CLIENT_ID)
TIMER, OFF, READ = SetCountdown((), 60_000), SetCountdown((), 0), ReadTimer()
LIST, PREFIXED = ListOpenOrders(), ListOpenOrders(client_id_prefix="0xa")
PERPETUALS, SPOT = ListPairs("meta"), ListPairs("spotMeta")
GONE = "Order was never placed, already canceled, or filled. asset=0"
UNTRADED = "Cannot set scheduled cancel time until enough volume traded. Required: $1000000"


def err(text: object) -> dict[str, object]:
    """Build the reply to an action that is refused as a whole."""
    return {"status": "err", "response": text}


def result(*statuses: object, kind: object = "cancel", status: str = "ok") -> dict[str, object]:
    """Build the reply to a cancel."""
    return {"status": status, "response": {"type": kind, "data": {"statuses": list(statuses)}}}


def order(state: object, oid: object = 77, coin: str = "BTC", status: str = "order") -> Any:
    """Build the reply to a question."""
    named = {"coin": coin, "oid": oid, "cloid": CLIENT_ID}
    return {"status": status, "order": {"order": named, "status": state}}


def odd(shape: str) -> Unproven:
    """Build the answer to what Hyperliquid documents nowhere."""
    return unproven(UNKNOWN, f"HTTP 200: {UNDOCUMENTED}; {shape}")


STATUSES = "{status: text, response: {type: text, data: {statuses: [%s]}}}"
ORDER = "{status: text, order: {order: {coin: text, oid: number, cloid: text}, status: text}}"
CASES = [
    # The status of the request.
    Case(
        read_reply,
        CANCEL,
        "Failed to deserialize",
        unproven(REJECTED, "HTTP 422: Failed to deserialize"),
        422,
    ),
    Case(
        read_reply,
        CANCEL,
        result("success"),
        unproven(UNAVAILABLE, "HTTP 500", retry_after_ms=3_000),
        500,
    ),
    Case(
        read_reply, CANCEL, "slow", unproven(THROTTLED, "HTTP 429: slow", retry_after_ms=3_000), 429
    ),
    # An action that is refused as a whole.
    Case(read_reply, CANCEL, err(GONE), unproven(UNKNOWN, GONE, missing=True)),
    Case(
        read_reply,
        CANCEL,
        err(f"L1 error: {GONE}"),
        unproven(UNKNOWN, f"L1 error: {GONE}", missing=True),
    ),
    Case(read_reply, TIMER, err(GONE), unproven(UNKNOWN, GONE)),
    Case(read_reply, TIMER, err(UNTRADED), unproven(REJECTED, UNTRADED, timer_denied=True)),
    Case(read_reply, OFF, err(UNTRADED), CountdownSet()),
    Case(read_reply, CANCEL, err(UNTRADED), unproven(UNKNOWN, UNTRADED)),
    Case(
        read_reply,
        CANCEL,
        err("User or API Wallet 0x1 does not exist."),
        unproven(UNAUTHORIZED, "User or API Wallet 0x1 does not exist."),
    ),
    Case(
        read_reply,
        CANCEL,
        err("Too many cumulative requests sent (1 > 2)"),
        unproven(THROTTLED, "Too many cumulative requests sent (1 > 2)", retry_after_ms=10_000),
    ),
    Case(
        read_reply,
        CANCEL,
        err("Invalid nonce: duplicate"),
        unproven(UNAVAILABLE, "Invalid nonce: duplicate", nonce_floor=0),
    ),
    Case(read_reply, CANCEL, err("w" * 300), unproven(UNKNOWN, "w" * 200)),
    Case(read_reply, CANCEL, err({}), odd("{status: text, response: {}}")),
    Case(
        read_reply,
        CANCEL,
        {"status": "ok", "response": GONE},
        odd("{status: text, response: text}"),
    ),
    # The result of one cancel.
    Case(read_reply, CANCEL, result("success"), Closed(Outcome.CANCELED)),
    Case(read_reply, CANCEL, result("success", kind="order"), odd(STATUSES % 1)),
    Case(read_reply, CANCEL, result("success", status="odd"), odd(STATUSES % 1)),
    Case(read_reply, CANCEL, result("success", "success"), odd(STATUSES % 2)),
    Case(read_reply, CANCEL, result(), odd(STATUSES % 0)),
    Case(read_reply, CANCEL, result({"error": GONE}), unproven(UNKNOWN, GONE, missing=True)),
    Case(read_reply, CANCEL, result({"error": ""}), odd(STATUSES % 1)),
    # An order.
    Case(
        read_reply,
        QUERY,
        {"status": "unknownOid"},
        OrderReport(OrderState.MISSING, "the exchange knows no such order"),
    ),
    *(
        Case(read_reply, QUERY, order(state), OrderReport(means))
        for state, means in (
            ("open", OrderState.OPEN),
            ("triggered", OrderState.OPEN),
            ("filled", OrderState.FILLED),
            ("canceled", OrderState.CANCELED),
            ("scheduledCancel", OrderState.CANCELED),
            ("marginCanceled", OrderState.CANCELED),
            ("rejected", OrderState.FILLED),
            ("tickRejected", OrderState.FILLED),
        )
    ),
    *(
        Case(read_reply, QUERY, order(state), odd(ORDER))
        for state in ("odd", "a Canceled", "\N{GREEK SMALL LETTER ALPHA}Canceled", "a1Rejected")
    ),
    Case(read_reply, QUERY, order("open", status="odd"), odd(ORDER)),
    Case(read_reply, QUERY, order("open", oid=78), odd(ORDER)),
    Case(read_reply, QUERY, order("open", coin="ETH"), odd(ORDER)),
    Case(read_reply, QueryOrder("77"), order("open", coin="ETH"), OrderReport(OrderState.OPEN)),
    Case(read_reply, QueryOrder("77", pair="btc"), order("open"), OrderReport(OrderState.OPEN)),
    Case(
        read_reply,
        QueryOrder("77", pair="@0"),
        order("open", coin="PURR/USDC"),
        OrderReport(OrderState.OPEN),
    ),
    Case(read_reply, MINE, order("open", oid=78), OrderReport(OrderState.OPEN)),
    Case(
        read_reply,
        QueryOrder("77", pair="BTC", client_order_id="0x" + "b" * 32),
        order("open"),
        odd(ORDER),
    ),
    # Timers.
    Case(read_reply, TIMER, {"status": "ok", "response": {"type": "default"}}, CountdownSet()),
    Case(
        read_reply,
        TIMER,
        {"status": "err", "response": {"type": "default"}},
        odd("{status: text, response: {type: text}}"),
    ),
    Case(
        read_reply,
        TIMER,
        {"status": "ok", "response": {"type": "odd"}},
        odd("{status: text, response: {type: text}}"),
    ),
    Case(read_reply, READ, {"cumVlm": "1000000.0"}, TimerReading()),
    Case(read_reply, READ, {"cumVlm": "1000000"}, TimerReading()),
    Case(
        read_reply,
        READ,
        {"cumVlm": "999999.99"},
        TimerReading(denied="it has traded 999999 USDC of 1000000"),
    ),
    Case(read_reply, READ, {"cumVlm": "-5"}, odd("{cumVlm: text}")),
    # Pairs.
    Case(
        read_reply,
        PERPETUALS,
        {"universe": [{"name": "BTC"}, {"name": "a b"}, {"name": "ETH"}]},
        PairList(
            (
                ListedPair("BTC", ("BTC/USDC:USDC",), asset="0"),
                ListedPair("ETH", ("ETH/USDC:USDC",), asset="2"),
            ),
            "?",
        ),
    ),
    Case(read_reply, PERPETUALS, {"universe": []}, odd("{universe: [0]}")),
    Case(read_reply, PERPETUALS, {"universe": {}}, odd("{universe: {}}")),
    Case(
        read_reply,
        PERPETUALS,
        {"universe": [{"name": "BTC"}, {"name": "BTC"}]},
        odd("{universe: [2 of {name: text}]}"),
    ),
    Case(
        read_reply,
        SPOT,
        {
            "tokens": [{"index": 0, "name": "USDC"}, {"index": 1, "name": "PURR"}],
            "universe": [
                {"index": 0, "tokens": [1, 0]},
                {"index": 9_999, "tokens": [1, 7]},
                {"index": 3, "tokens": [1, 0, 0]},
                {"index": 4},
            ],
        },
        PairList(
            (
                ListedPair("@0", ("PURR/USDC",), asset="10000"),
                ListedPair("@9999", (), asset="19999"),
                ListedPair("@3", (), asset="10003"),
                ListedPair("@4", (), asset="10004"),
            )
        ),
    ),
    *(
        Case(
            read_reply,
            SPOT,
            {"tokens": [], "universe": [{"index": each} for each in numbers]},
            odd(f"{{tokens: [0], universe: [{len(numbers)} of {{index: {kind}}}]}}"),
        )
        for numbers, kind in (
            ([10_000], "number"),
            ([-1], "number"),
            ([3, 3], "number"),
            (["3"], "text"),
            ([True], "true or false"),
        )
    ),
    Case(read_reply, SPOT, {"tokens": [], "universe": []}, odd("{tokens: [0], universe: [0]}")),
    Case(
        read_reply,
        SPOT,
        {"tokens": {}, "universe": [{"index": 1}]},
        odd("{tokens: {}, universe: [1 of {index: number}]}"),
    ),
    Case(read_reply, SPOT, {"tokens": [], "universe": {}}, odd("{tokens: [0], universe: {}}")),
]


@pytest.mark.parametrize("case", CASES)
def test_whole_answers(case: Case) -> None:
    """An error counts by how its text begins."""
    check(case)


def row(**other: object) -> dict[str, object]:
    """Build an open order."""
    named = {"oid": 77, "coin": "BTC", "side": "B", "isTrigger": False, "cloid": CLIENT_ID}
    return {**named, **other}


BUY = OpenOrder("77", "BTC", "buy")


@pytest.mark.parametrize(
    ("scope", "rows", "orders", "complete"),
    [
        (LIST, [], (), True),
        (LIST, [row()], (BUY,), True),
        (LIST, [row(side="A")], (OpenOrder("77", "BTC", "sell"),), True),
        (LIST, [row(coin="PURR/USDC")], (OpenOrder("77", "@0", "buy"),), True),
        (LIST, [row(isTrigger=True)], (OpenOrder("77", "BTC", "buy", stop=True),), True),
        (LIST, [row(isTrigger=1)], (BUY,), False),
        (LIST, [row(side="odd")], (OpenOrder("77", "BTC"),), False),
        (LIST, [row(oid=0)], (), False),
        (LIST, [row(coin="")], (), False),
        (LIST, [row(coin=""), row()], (BUY,), False),
        (LIST, [row(cloid=5)], (BUY,), True),
        (ListOpenOrders("btc"), [row(), row(coin="ETH")], (BUY,), True),
        (ListOpenOrders(None, "sell"), [row()], (), True),
        (PREFIXED, [row()], (BUY,), True),
        (PREFIXED, [row(cloid=None)], (), True),
        (PREFIXED, [row(cloid="0xb")], (), True),
        (PREFIXED, [row(cloid=5), row()], (BUY,), False),
    ],
)
def test_a_list_holds_the_open_orders_of_the_scope(
    scope: ListOpenOrders,
    rows: list[object],
    orders: tuple[OpenOrder, ...],
    complete: bool,  # noqa: FBT001
) -> None:
    """What cannot be read leaves it incomplete; one of the account goes on elsewhere."""
    answer: Answer = read_reply(scope, Reply(200, {}, json.dumps(rows).encode(), received_ms=0))
    assert answer == OpenOrders(orders, complete, "" if scope.pair else "?")


MORE = [
    Case(read_reply, LIST, {}, odd("{}")),
    Case(read_reply, QUERY, err(GONE), unproven(UNKNOWN, GONE)),
    Case(read_reply, SPOT, {"tokens": [], "universe": 5}, odd("{tokens: [0], universe: number}")),
    Case(read_reply, CANCEL, {"message": "odd"}, unproven(REJECTED, "HTTP 422: odd"), 422),
]


@pytest.mark.parametrize("case", MORE)
def test_more_whole_answers(case: Case) -> None:
    """What is about another command, or has another form."""
    check(case)


def test_an_order_without_a_client_order_id_is_of_no_prefix() -> None:
    """Whatever the prefix."""
    body = json.dumps([row(cloid=None)]).encode()
    answer = read_reply(ListOpenOrders(client_id_prefix="X"), Reply(200, {}, body, received_ms=0))
    assert isinstance(answer, OpenOrders)
    assert answer.orders == ()


def test_an_exchange_has_so_many_asset_ids_and_no_more() -> None:
    """A perpetual after these would have the id of another exchange's."""
    body = json.dumps({"universe": [{"name": f"C{n}"} for n in range(ASSETS_EACH + 1)]}).encode()
    answer = read_reply(PERPETUALS, Reply(200, {}, body, received_ms=0))
    assert isinstance(answer, PairList)
    assert [answer.pairs[-1].pair, len(answer.pairs)] == [f"C{ASSETS_EACH - 1}", ASSETS_EACH]
