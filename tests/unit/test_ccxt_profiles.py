"""Profiles of ccxt's exchanges: what their documented replies prove, and what timers are sent."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.ccxt_documents import (
    ASKED,
    CANCELS,
    FIRES_S,
    NOW_MS,
    OFF_REPLIES,
    PAIRS,
    ROWS,
    TIMER_REPLIES,
    WORDS,
    bitfinex_row,
    list_of,
    order_of,
)
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

CANCELED = OrderReport(OrderState.CANCELED)
FILLED = OrderReport(OrderState.FILLED)
OPEN = OrderReport(OrderState.OPEN)


def reply(body: object, status: int = 200) -> Reply:
    """Return a reply."""
    return Reply(status, {}, json.dumps(body).encode(), NOW_MS)


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


CANCELED_BY = dict.fromkeys(
    ("whitebit", "mexc", "bingx", "krakenfutures", "phemex"), Closed(Outcome.CANCELED)
)
CANCEL_REPLIES: list[tuple[str, object, Answer]] = [
    *((name, body, CANCELED_BY.get(name, CancelAccepted())) for name, body in CANCELS.items()),
    ("whitebit", ROWS["whitebit"], CancelAccepted()),
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


def test_assets_are_named_as_the_exchange_names_them() -> None:
    """Bitfinex's Tether is UST, and Kraken's bitcoin XBT."""
    assert exchange_of("bitfinex").capabilities.spelling("BTC/USDT") == "tBTCUST"
    assert exchange_of("krakenfutures").capabilities.spelling("BTC/USD:USD") == "PF_XBTUSD"


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


BOUNDS = (1, 999, 1_000, 1_999, 4_999, 5_000, 5_999, 9_999, 10_000, 10_999, 59_999, 60_001)
LONG = (119_999, 120_001, 299_999, 300_001, 600_001, 900_001, 86_400_001)


@pytest.mark.parametrize("name", TIMERS)
@pytest.mark.parametrize("left_ms", BOUNDS + LONG)
def test_what_is_left_is_rounded_down_and_never_to_a_stop(name: str, left_ms: int) -> None:
    """What is sent fires within what is left, as late as it may; or nothing is sent."""
    rules = exchange_of(name).capabilities.timer
    assert rules is not None
    word, minute, shortest_ms = TIMERS[name]
    unit_ms = 60_000 // int(minute)
    setting_ms = rules.setting_ms(left_ms)
    if left_ms < shortest_ms:
        assert setting_ms == 0
        with pytest.raises(InvalidCommand):
            sent(name, left_ms)
        return
    text = sent(name, setting_ms).replace('"', "").replace(":", "=").replace(" ", "")
    (count,) = re.findall(rf"{word}=(\w+)", text)
    fires_ms = int(count) * unit_ms
    assert shortest_ms <= fires_ms <= left_ms
    assert left_ms - fires_ms < unit_ms or fires_ms == rules.longest_ms


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


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_is_stopped_only_if_the_reply_states_it(name: str) -> None:
    """What states a moment ahead is the reply of a timer that runs."""
    exchange, off = exchange_of(name), countdown(name, 0)
    assert exchange.classify(off, reply(OFF_REPLIES[name])) == CountdownSet()
    assert isinstance(exchange.classify(off, reply(TIMER_REPLIES[name])), Unproven)


def test_a_timer_that_was_not_set_says_so() -> None:
    """BingX has a status beside the moment."""
    body = {"code": 0, "data": {"triggerTime": FIRES_S, "status": "FAILED"}}
    assert isinstance(
        exchange_of("bingx").classify(countdown("bingx", 60_000), reply(body)), Unproven
    )


@pytest.mark.parametrize(
    ("name", "word", "state"),
    [
        ("krakenfutures", "PARTIALLY_FILLED", OPEN),
        ("bitfinex", "POSTONLY CANCELED", CANCELED),
        ("bitfinex", "IOC CANCELED", CANCELED),
        ("bitfinex", "CANCELED was: PARTIALLY FILLED @ 107.6(-0.1)", CANCELED),
        ("bitfinex", "RSN_DUST (amount is less than 0.00000001)", FILLED),
        ("bitvavo", "canceledSelfTradePrevention", CANCELED),
        ("woo", "CANCEL_ALL_SENT", OPEN),
        ("htx", "partial-canceled", CANCELED),
        ("mexc", "PARTIALLY_CANCELED", CANCELED),
    ],
)
def test_statuses_beside_the_common_ones(name: str, word: str, state: OrderReport) -> None:
    """As ccxt's sources and the documents have them; sent is not done."""
    assert ask(name, order_of(name, word)) == state
