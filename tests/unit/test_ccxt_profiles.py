"""Profiles of ccxt's exchanges: what their documented replies prove, and what timers are sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Stamp
from worker.exchanges.ccxt.adapter import exchange_of, offered
from worker.exchanges.ccxt.profile import profiled
from worker.model.commands import CancelOrder, ListOpenOrders, QueryOrder, SetCountdown
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
    Unproven,
)
from worker.model.wire import Reply

NOW_MS = 1_700_000_000_000
ASKED = "123456789"
CANCELED = OrderReport(OrderState.CANCELED)
FILLED = OrderReport(OrderState.FILLED)
OPEN = OrderReport(OrderState.OPEN)


def reply(body: object, status: int = 200) -> Reply:
    """Return a reply."""
    return Reply(status, {}, json.dumps(body).encode(), NOW_MS)


def bitfinex_row(status: str, amount: float = 0.1) -> list[object]:
    """Return an order of Bitfinex: an array, whose side is the sign of its amount."""
    row: list[object] = [None] * 32
    row[0], row[3], row[6], row[7], row[13] = 123456789, "tBTCUSD", amount, amount, status
    return row


ROWS: dict[str, dict[str, Any]] = {
    "bitvavo": {"orderId": ASKED, "market": "BTC-EUR", "side": "sell", "status": "new"},
    "whitebit": {"orderId": 123456789, "market": "BTC_USDT", "side": "buy", "left": "2"},
    "woo": {"orderId": 123456789, "symbol": "SPOT_BTC_USDT", "side": "BUY", "status": "NEW"},
    "htx": {"id": 123456789, "symbol": "btcusdt", "type": "buy-limit", "state": "submitted"},
    "mexc": {"orderId": ASKED, "symbol": "BTCUSDT", "side": "BUY", "status": "NEW"},
    "bitget": {"orderId": ASKED, "symbol": "BTCUSDT", "side": "buy", "status": "live"},
    "bingx": {"orderId": 123456789, "symbol": "BTC-USDT", "side": "BUY", "status": "PENDING"},
    "coinbase": {"order_id": ASKED, "product_id": "BTC-USD", "side": "SELL", "status": "OPEN"},
    "krakenfutures": {
        "order_id": ASKED,
        "symbol": "PF_XBTUSD",
        "side": "buy",
        "status": "untouched",
    },
    "phemex": {"orderID": ASKED, "symbol": "sBTCUSDT", "side": "Buy", "ordStatus": "New"},
    "cryptocom": {
        "order_id": ASKED,
        "instrument_name": "BTC_USD",
        "side": "BUY",
        "status": "ACTIVE",
    },
}
"""An open order of each, as its list of open orders writes it."""
PAIRS = {
    "bitvavo": "BTC-EUR",
    "whitebit": "BTC_USDT",
    "woo": "SPOT_BTC_USDT",
    "htx": "btcusdt",
    "mexc": "BTCUSDT",
    "bitget": "BTCUSDT",
    "bingx": "BTC-USDT",
    "coinbase": "BTC-USD",
    "krakenfutures": "PF_XBTUSD",
    "phemex": "sBTCUSDT",
    "bitfinex": "tBTCUSD",
    "cryptocom": "BTC_USD",
}


def list_of(name: str, rows: list[Any]) -> object:
    """Return the reply that lists these rows."""
    wraps: dict[str, object] = {
        "woo": {"success": True, "data": {"rows": rows}, "timestamp": NOW_MS},
        "htx": {"status": "ok", "data": rows},
        "bitget": {"code": "00000", "msg": "success", "data": rows},
        "bingx": {"code": 0, "msg": "", "data": {"orders": rows}},
        "coinbase": {"orders": rows, "has_next": False, "cursor": ""},
        "krakenfutures": {"result": "success", "openOrders": rows},
        "phemex": {"code": 0, "msg": "OK", "data": rows},
        "cryptocom": {"id": 1, "code": 0, "result": {"data": rows}},
    }
    return wraps.get(name, rows)


def order_of(name: str, word: str) -> object:
    """Return the reply to a question about an order with this status."""
    if name == "bitfinex":
        return [bitfinex_row(word)]
    row = {**ROWS[name]}
    for key in ("status", "state", "ordStatus"):
        if key in row:
            row[key] = word
    wraps: dict[str, object] = {
        "whitebit": [{**row, "status": word}],
        "woo": {"success": True, "data": row, "timestamp": NOW_MS},
        "htx": {"status": "ok", "data": row},
        "bitget": {"code": "00000", "data": [row]},
        "bingx": {"code": 0, "data": row},
        "coinbase": {"order": row},
        "krakenfutures": {
            "result": "success",
            "orders": [{"order": {"orderId": ASKED, "symbol": "PF_XBTUSD"}, "status": word}],
        },
        "phemex": {"code": 0, "data": {"rows": [row]}},
        "cryptocom": {"id": 1, "code": 0, "result": row},
    }
    return wraps.get(name, row)


WORDS = {
    "bitvavo": ("canceled", "filled", "partiallyFilled"),
    "whitebit": ("CANCELED", "FILLED", "OPEN"),
    "woo": ("CANCELLED", "FILLED", "CANCEL_SENT"),
    "htx": ("canceled", "filled", "canceling"),
    "mexc": ("CANCELED", "FILLED", "PARTIALLY_FILLED"),
    "bitget": ("cancelled", "filled", "partially_filled"),
    "bingx": ("CANCELED", "FILLED", "PARTIALLY_FILLED"),
    "coinbase": ("CANCELLED", "FILLED", "CANCEL_QUEUED"),
    "krakenfutures": ("CANCELLED", "FULLY_EXECUTED", "ENTERED_BOOK"),
    "phemex": ("Canceled", "Filled", "PartiallyFilled"),
    "bitfinex": ("CANCELED", "EXECUTED @ 107.6(-0.2)", "PARTIALLY FILLED @ 107.6(-0.1)"),
    "cryptocom": ("CANCELED", "FILLED", "ACTIVE"),
}
"""How an order that was canceled, one that was filled, and one that is open are written."""


def ask(name: str, body: object, order_id: str = ASKED) -> Answer:
    """Return what a reply to a question means."""
    return exchange_of(name).classify(QueryOrder(order_id, PAIRS[name]), reply(body))


def listed(name: str, body: object) -> Answer:
    """Return what a list means."""
    return exchange_of(name).classify(ListOpenOrders(PAIRS[name]), reply(body))


def test_every_profile_is_one_of_an_id_that_signs() -> None:
    """And each is tried here."""
    assert set(profiled()) == set(WORDS) <= set(offered())
    assert not any(exchange_of(name).capabilities.unproven for name in profiled())


@pytest.mark.parametrize("name", WORDS)
def test_a_report_of_the_order_is_the_proof(name: str) -> None:
    """By its documented words; another order's report, or an unknown word, proves nothing."""
    canceled, filled, opened = WORDS[name]
    assert ask(name, order_of(name, canceled)) == CANCELED
    assert ask(name, order_of(name, filled)) == FILLED
    assert ask(name, order_of(name, opened)) == OPEN
    assert isinstance(ask(name, order_of(name, "no such word")), Unproven)
    another = ask(name, order_of(name, canceled), "987654321")
    assert isinstance(another, Unproven) or another == OrderReport(
        OrderState.MISSING, another.detail if isinstance(another, OrderReport) else ""
    )


@pytest.mark.parametrize("name", WORDS)
def test_a_list_is_complete_only_as_documented(name: str) -> None:
    """Its rows are read; an empty one shows the scope empty, a full page does not."""
    exchange, pair = exchange_of(name), PAIRS[name]
    row = bitfinex_row("ACTIVE") if name == "bitfinex" else ROWS[name]
    side = "sell" if name in ("bitvavo", "coinbase") else "buy"
    assert listed(name, list_of(name, [row])) == OpenOrders(
        (OpenOrder(ASKED, pair, side),), complete=True
    )
    assert listed(name, list_of(name, [])) == OpenOrders((), complete=True)
    assert exchange.profile is not None
    if page := exchange.profile.page:
        full = listed(name, list_of(name, [row] * page))
        assert isinstance(full, OpenOrders)
        assert not full.complete
    unreadable = listed(name, list_of(name, [row, {"orderId": "x y"}]))
    assert isinstance(unreadable, OpenOrders)
    assert not unreadable.complete


def test_another_page_leaves_a_list_incomplete() -> None:
    """Coinbase says itself whether there is one."""
    found = listed("coinbase", {"orders": [], "has_next": True})
    assert found == OpenOrders((), complete=False)


def test_an_error_may_be_the_empty_list() -> None:
    """Phemex has no other word for it."""
    body = {"code": 10002, "msg": "OM_ORDER_NOT_FOUND", "data": None}
    assert listed("phemex", body) == OpenOrders((), complete=True)


CANCEL_REPLIES: list[tuple[str, object, Answer]] = [
    ("bitvavo", {"orderId": ASKED}, CancelAccepted()),
    ("whitebit", {**ROWS["whitebit"], "status": "CANCELED"}, Closed(Outcome.CANCELED)),
    ("whitebit", ROWS["whitebit"], CancelAccepted()),
    ("woo", {"success": True, "data": {"status": "CANCEL_SENT"}}, CancelAccepted()),
    ("htx", {"status": "ok", "data": ASKED}, CancelAccepted()),
    ("mexc", {**ROWS["mexc"], "status": "CANCELED"}, Closed(Outcome.CANCELED)),
    ("bitget", {"code": "00000", "data": {"orderId": ASKED}}, CancelAccepted()),
    (
        "bingx",
        {"code": 0, "data": {**ROWS["bingx"], "status": "CANCELED"}},
        Closed(Outcome.CANCELED),
    ),
    ("coinbase", {"results": [{"success": True, "order_id": ASKED}]}, CancelAccepted()),
    (
        "krakenfutures",
        {"result": "success", "cancelStatus": {"status": "cancelled", "order_id": ASKED}},
        Closed(Outcome.CANCELED),
    ),
    ("cryptocom", {"id": 1, "code": 0, "result": {"order_id": ASKED}}, CancelAccepted()),
    ("bitfinex", [1, "oc-req", None, None, bitfinex_row("ACTIVE")], CancelAccepted()),
]


@pytest.mark.parametrize(("name", "body", "answer"), CANCEL_REPLIES)
def test_what_the_reply_to_a_cancel_is(name: str, body: object, answer: Answer) -> None:
    """A report where it is documented as one; elsewhere the exchange is asked."""
    assert exchange_of(name).classify(CancelOrder(ASKED, PAIRS[name]), reply(body)) == answer


def test_an_order_that_was_filled_first_is_not_canceled() -> None:
    """Kraken Futures says so in the reply to the cancel."""
    body = {"result": "success", "cancelStatus": {"status": "filled", "order_id": ASKED}}
    answer = exchange_of("krakenfutures").classify(CancelOrder(ASKED), reply(body))
    assert not (isinstance(answer, Closed) and answer.outcome is Outcome.CANCELED)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("bitvavo", "BTC-USD"),
        ("whitebit", "BTC_USD"),
        ("woo", "SPOT_BTC_USD"),
        ("htx", "btcusd"),
        ("krakenfutures", "PF_XBTUSD"),
        ("bitfinex", "tBTCUSD"),
    ],
)
def test_pairs_are_taken_in_the_form_of_ccxt_too(name: str, written: str) -> None:
    """And left as they are in the exchange's own."""
    spell = exchange_of(name).capabilities.spelling
    assert spell("BTC/USD") == spell("BTC/USD:USD") == spell(written) == written


# Timers


TIMERS: dict[str, tuple[str, str, int]] = {
    "bitvavo": ("expiryAfterSeconds", "60", 10_000),
    "whitebit": ("timeout", "60", 5_000),
    "woo": ("triggerAfter", "60000", 5_000),
    "htx": ("timeout", "60", 5_000),
    "bingx": ("timeOut", "60", 10_000),
    "krakenfutures": ("timeout", "60", 1_000),
}
"""By id, what a countdown of a minute is called and how it is written; the shortest one."""


def countdown(name: str, countdown_ms: int) -> SetCountdown:
    """Return a countdown, of a pair where there is one for each."""
    pairs = (PAIRS[name],) if name == "whitebit" else ()
    return SetCountdown(pairs, countdown_ms)


def sent(name: str, countdown_ms: int) -> str:
    """Return what is sent for a countdown, in its address or its body."""
    access = Access("http://127.0.0.1:9", "key", "5a" * 32, memo="p", uid="1")
    stamp = Stamp(NOW_MS, nonce=7)
    request = exchange_of(name).sign(countdown(name, countdown_ms), access, stamp)
    return request.url + request.body.decode()


@pytest.mark.parametrize("name", TIMERS)
def test_a_countdown_is_written_in_the_exchanges_unit(name: str) -> None:
    """A minute is a minute; what stops the timer is written for 0 alone."""
    word, minute, shortest_ms = TIMERS[name]
    text = sent(name, 60_000).replace('"', "").replace(":", "=").replace(" ", "")
    assert f"{word}={minute}" in text
    off = sent(name, 0).replace('"', "").replace(":", "=").replace(" ", "")
    assert f"{word}={'null' if name == 'whitebit' else '0'}" in off
    rules = exchange_of(name).capabilities.timer
    assert rules is not None
    assert rules.least_ms == shortest_ms


@pytest.mark.parametrize("name", TIMERS)
@pytest.mark.parametrize("countdown_ms", [1, 499, 999])
def test_a_countdown_is_never_cut_to_what_stops_the_timer(name: str, countdown_ms: int) -> None:
    """The method of ccxt sends 0 for less than a second, which disarms."""
    with pytest.raises(InvalidCommand):
        sent(name, countdown_ms)


FIRES_S = NOW_MS // 1_000 + 60
TIMER_REPLIES: dict[str, object] = {
    "bitvavo": {"codGroupId": 1, "timeOfExpirySeconds": FIRES_S},
    "whitebit": {"startTime": FIRES_S - 60, "cancellationTime": FIRES_S, "types": ["spot"]},
    "woo": {
        "success": True,
        "data": {"expectedTriggerTime": FIRES_S * 1_000},
        "timestamp": NOW_MS,
    },
    "htx": {"code": 200, "data": {"currentTime": NOW_MS, "triggerTime": FIRES_S * 1_000}},
    "bingx": {"code": 0, "data": {"triggerTime": FIRES_S, "status": "ACTIVATED"}},
    "krakenfutures": {
        "result": "success",
        "status": {
            "currentTime": "2023-11-14T22:13:20.000Z",
            "triggerTime": "2023-11-14T22:14:20.000Z",
        },
    },
}


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_is_set_only_if_the_reply_states_it(name: str) -> None:
    """Another moment, an empty body and garbage are no confirmation."""
    exchange, command = exchange_of(name), countdown(name, 60_000)
    assert exchange.classify(command, reply(TIMER_REPLIES[name])) == CountdownSet()
    longer = countdown(name, 120_000)
    assert isinstance(exchange.classify(longer, reply(TIMER_REPLIES[name])), Unproven)
    garbage: tuple[object, ...] = ({}, [], None, "ok", {"success": True}, {"code": 0})
    for body in garbage:
        for each in (command, countdown(name, 0)):
            assert isinstance(exchange.classify(each, reply(body)), Unproven), (each, body)
