"""A pair is found by any of its names, and an empty list of an unknown one proves nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from worker.client.pair_names import naming_pairs
from worker.dispatch.pair_refresh import is_due
from worker.errors import InvalidCommand
from worker.exchanges import EXCHANGES
from worker.exchanges.base import Access, Exchange, Stamp
from worker.model.commands import ListPairs
from worker.model.jobs import Job, Kind, State
from worker.model.outcomes import PairList, Unproven
from worker.model.pairs import Freshness, ListedPair, PairBook, names_of
from worker.model.wire import Reply
from worker.policy.pair_proofs import NO_LIST, NOT_LISTED, PairDoubt, doubt_of, shown
from worker.policy.scopes import UNSEEN
from worker.store.steps import Pause, Run

OKX = EXCHANGES["okx"]
LISTED = (
    ListedPair("BTC-USDT", ("BTC/USDT",)),
    ListedPair("A-BC"),
    ListedPair("AB-C"),
    ListedPair("kBONK", asset="7"),
)
BOOK = PairBook(1_000, names_of(LISTED))
DOGE, SWAP = "DOGE/USD:DOGE", "DOGE-USD-SWAP"
SWAPS = PairBook(1_000, names_of([ListedPair(SWAP)]))
NO_PAIR = "okx has no pair 'X-Y'"
SCOPE = Job("1", Kind.CANCEL_ALL, State.PENDING, pair="BTC-USDT", created_ms=500, unseen=True)


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        *(
            (name, "BTC-USDT")
            for name in ("BTC-USDT", "btc-usdt", "BTC/USDT", "btcusdt", "Btc_Usdt")
        ),
        ("A-BC", "A-BC"),
        ("ab-c", "AB-C"),
        ("abc", None),
        ("KBONK", "kBONK"),
        ("BTC-USDT-SWAP", None),
        ("", None),
    ],
)
def test_a_pair_is_found_by_any_of_its_names(name: str, pair: str | None) -> None:
    """What stands for two pairs without its separators names neither."""
    found = BOOK.find(name, str.upper)
    assert (found.pair if found else None) == pair


def test_an_asset_id_is_kept_with_its_pair() -> None:
    """However the pair was typed."""
    found = BOOK.find("KBONK")
    assert found is not None
    assert found.asset == "7"


@pytest.mark.parametrize(
    ("fields", "book", "doubt"),
    [
        ({}, BOOK, None),
        ({"pair": None}, None, None),
        ({"unseen": False, "pair": "X-Y"}, None, None),
        ({"children": 1, "pair": "X-Y"}, None, None),
        ({}, None, PairDoubt(NO_LIST, misnamed=True)),
        ({"pair": "btcusdt"}, BOOK, PairDoubt("btcusdt is named BTC-USDT", misnamed=True)),
        # Only as the adapter spells it: no list has this name.
        ({"pair": DOGE}, SWAPS, PairDoubt(f"{DOGE} is named {SWAP}", misnamed=True)),
        ({"pair": "X-Y"}, BOOK, PairDoubt(f"{NO_PAIR}: check how it is written", refused=True)),
        ({"pair": "X-Y", "created_ms": 1_000}, BOOK, PairDoubt(NO_LIST)),
        ({"pair": "BTC-USD-240329-30000-C"}, BOOK, PairDoubt(NOT_LISTED)),
    ],
)
def test_what_an_empty_list_of_a_pair_proves(
    fields: dict[str, Any], book: PairBook | None, doubt: PairDoubt | None
) -> None:
    """A pair is refused only by a list that was fetched after the scope was accepted."""
    assert doubt_of(replace(SCOPE, **fields), OKX, book) == doubt


def test_a_scope_of_the_account_needs_no_list_of_pairs() -> None:
    """Though no row has shown a pair."""
    assert shown(replace(SCOPE, pair=None), OKX)
    assert not shown(SCOPE, OKX)


def test_a_pair_that_no_list_need_have_is_known_by_its_form() -> None:
    """Where no form is known, every pair is in a list."""
    doubt = doubt_of(replace(SCOPE, pair="X-Y"), EXCHANGES["kucoin"], BOOK)
    wanted = "kucoin has no pair 'X-Y': check how it is written"
    assert doubt == PairDoubt(wanted, refused=True)


@pytest.mark.parametrize(
    "name",
    [
        "binance",
        "binanceusdm",
        "binancecoinm",
        "indodax",
        "indodax_v2",
        "bybit",
        "gate",
        "gate_futures",
    ],
)
def test_an_exchange_that_refuses_unknown_pairs_proves_by_an_empty_list(name: str) -> None:
    """No list of pairs is needed."""
    assert shown(replace(SCOPE, pair="TYPO"), EXCHANGES[name])
    assert doubt_of(replace(SCOPE, pair="TYPO"), EXCHANGES[name], None) is None


def test_without_a_list_of_pairs_only_the_account_s_rows_show_a_pair() -> None:
    """No document of this exchange names such a list."""
    assert doubt_of(SCOPE, EXCHANGES["everstrike"], BOOK) == PairDoubt(UNSEEN)
    assert doubt_of(replace(SCOPE, unseen=False), EXCHANGES["everstrike"], None) is None


ROWS: dict[str, Any] = {
    "okx": {"code": "0", "msg": "", "data": [{"instId": "BTC-USDT"}]},
    "kraken": {"error": [], "result": {"XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD"}}},
    "kucoin": {
        "code": "200000",
        "data": [{"symbol": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT"}],
    },
    "bitmart": [{"id": "BTC_USDT", "base_currency": "BTC", "quote_currency": "USDT"}],
}
FOUND = {
    "okx": ("BTC-USDT", ("BTC/USDT", "btc-usdt", "BTCUSDT")),
    "kraken": ("XBTUSD", ("BTC/USD", "XBT/USD", "XXBTZUSD", "xbtusd")),
    "kucoin": ("BTC-USDT", ("BTC/USDT", "btc-usdt")),
    "bitmart": ("BTC_USDT", ("BTC/USDT", "btc_usdt", "BTCUSDT")),
}


def listed(exchange: Exchange, body: object, status: int = 200) -> object:
    """Return what a reply to a question for the first list of pairs means."""
    command = ListPairs(exchange.capabilities.pair_lists[0])
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return exchange.classify(command, Reply(status, {}, raw, 0))


@pytest.mark.parametrize("name", FOUND)
def test_a_list_of_pairs_is_read(name: str) -> None:
    """Each pair by its own names, and by ccxt's."""
    exchange = EXCHANGES[name]
    answer = listed(exchange, ROWS[name])
    assert isinstance(answer, PairList)
    pair, names = FOUND[name]
    book = PairBook(1, names_of(answer.pairs))
    for each in names:
        found = book.find(each, exchange.capabilities.spelling)
        assert found == ListedPair(pair), each
    assert exchange.capabilities.spelling(pair) == pair


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("body", [b"<html>", b"", [], {}, None, [{}], {"code": "0", "data": []}])
def test_what_is_no_list_of_pairs_is_not_taken_for_one(name: str, body: object) -> None:
    """An outage must not make every pair unknown."""
    assert isinstance(listed(EXCHANGES[name], body), Unproven)
    assert isinstance(listed(EXCHANGES[name], ROWS[name], 503), Unproven)


@pytest.mark.parametrize("name", FOUND)
def test_the_list_is_asked_for_without_credentials(name: str) -> None:
    """The request carries neither key nor signature."""
    exchange = EXCHANGES[name]
    access = Access(exchange.hosts.production, "KEY", "SECRET", memo="MEMO")
    request = exchange.sign(ListPairs(exchange.capabilities.pair_lists[0]), access, Stamp(1))
    assert (request.method, request.body, dict(request.headers)) == ("GET", b"", {})
    assert "KEY" not in request.url


@pytest.mark.parametrize(
    ("fresh", "due"),
    [
        (Freshness(0, 0, 10), True),
        (Freshness(10, 0, 109), False),
        (Freshness(10, 0, 110), True),
        (Freshness(10, 9, 20), False),
        (Freshness(10, 10, 20), True),
    ],
)
def test_a_list_is_fetched_when_it_is_missing_old_or_asked_for(
    fresh: Freshness, *, due: bool
) -> None:
    """Old is 100 ms here."""
    assert is_due(fresh, 100) is due


def named(pair: str, *answers: list[Any], exchange: Exchange = OKX) -> tuple[str, list[str]]:
    """Name a pair, with these answers of Redis; return it, and the scripts that were run."""
    steps, left = naming_pairs(exchange, "a", [pair]), list(answers)
    ran: list[str] = []
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as done:
            (name,) = done.value
            return name, ran
        answer = None
        if isinstance(step, Run):
            ran.append(step.name)
            answer = left.pop(0) if step.name == "pairs" else 50_000
        else:
            assert isinstance(step, Pause)


def lookup(fetched_ms: int, now_ms: int, found: str = "") -> list[Any]:
    """Return what the script answers for one pair of four names."""
    return [fetched_ms, now_ms, "", "", found, ""]


def test_a_listed_pair_has_the_exchange_s_spelling() -> None:
    """One look in Redis is all it takes."""
    assert named("Btc_usdt", lookup(1, 50_000, "BTC-USDT")) == ("BTC-USDT", ["pairs"])


def test_before_the_list_is_known_a_pair_is_taken_as_it_is_typed() -> None:
    """As far as the adapter can spell it."""
    assert named("btc/usdt", lookup(0, 50_000)[:5]) == ("BTC-USDT", ["pairs"])


def test_an_exchange_without_a_list_is_not_looked_up() -> None:
    """Redis is not asked."""
    assert named("BTC/USDT", exchange=EXCHANGES["everstrike"]) == ("BTC_USDT", [])


def test_a_pair_that_was_listed_since_is_found_in_a_newer_list() -> None:
    """Workers are asked to fetch it."""
    old, new = lookup(1, 50_000)[:5], [50_001, 50_002, "X-Y", "", ""]
    assert named("x-y", old, old, new) == ("X-Y", ["pairs", "want_pairs", "pairs", "pairs"])


def test_a_pair_that_a_newer_list_does_not_have_is_an_error() -> None:
    """The text names it as it was typed."""
    with pytest.raises(InvalidCommand, match="okx has no pair 'x-y'"):
        named("x-y", lookup(49_999, 50_000)[:5], lookup(50_001, 50_002)[:5])


def test_an_option_is_in_no_list() -> None:
    """It is taken as typed."""
    pair = "BTC-USD-240329-30000-C"
    assert named(pair, [50_000, 50_000, "", ""]) == (pair, ["pairs"])
