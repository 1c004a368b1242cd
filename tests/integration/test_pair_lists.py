"""Workers fetch the exchanges' lists of pairs; producers find pairs in them, off the network."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support.attempts import Attempts
from tests.support.polling import eventually
from tests.support.world import PAIRS, World
from worker import InvalidCommand, Producer
from worker.client import pair_names
from worker.dispatch.pair_refresh import PairRefresh
from worker.gateway.pair_lists import PairLists
from worker.model.pairs import Freshness
from worker.store.pair_lists import SharedPairLists

LONG_MS = 60_000
FAR_MS = 1e12


@pytest.fixture
def lists(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedPairLists]:
    """A worker's thread that keeps the lists fresh; any pair that is not known is asked for."""
    monkeypatch.setattr(pair_names, "WAIT_MS", LONG_MS)
    world.aliases = ("bm", "ok")
    attempts = Attempts(world)
    shared, stopping = SharedPairLists(world.store()), threading.Event()
    pipeline = attempts.pipeline
    accounts = [pipeline._lanes.of(f"{each}") for each in ("bitmart:bm", "okx:ok")]  # noqa: SLF001
    PairRefresh(accounts, pipeline.pair_lists, shared).start(stopping)
    yield shared
    stopping.set()


def known(lists: SharedPairLists, world: World, exchange: str) -> Freshness:
    """Wait until the list of an exchange has been fetched; return how old it is."""
    site = next(
        each.site
        for each in Attempts(world).pipeline._lanes.accounts  # noqa: SLF001
        if each.exchange.name == exchange
    )
    eventually(
        lambda: lists.freshness(site).fetched_ms > 0, within_ms=LONG_MS, what="a list of pairs"
    )
    return lists.freshness(site)


def covered(producer: Producer, alias: str, pair: str) -> tuple[str, tuple[str, ...]]:
    """Arm a pair; return the switch's id and its pairs."""
    switch = producer.arm(alias, pairs=[pair], timeout_ms=LONG_MS)
    record = switch.record()
    assert record is not None
    return switch.id, record.pairs


def test_every_spelling_of_a_pair_is_one_scope(world: World, lists: SharedPairLists) -> None:
    """In the spelling of the exchange's rows of open orders."""
    known(lists, world, "bitmart")
    producer = world.producer()
    first, pairs = covered(producer, "bm", "BTC_USDT")
    assert pairs == ("BTC_USDT",)
    for other in ("btc_usdt", "BTC/USDT", "btcusdt", "Btc-Usdt"):
        assert covered(producer, "bm", other) == (first, pairs)


def test_a_pair_that_there_is_not_is_refused_until_it_is_listed(
    world: World, lists: SharedPairLists
) -> None:
    """Before it is refused the list is fetched again; nothing was armed or enqueued."""
    known(lists, world, "okx")
    producer = world.producer()
    for _ in range(2):
        with pytest.raises(InvalidCommand, match=r"okx has no pair '(?i:new-usdt)'"):
            producer.arm("ok", pairs=["new-usdt"], timeout_ms=LONG_MS)
    with pytest.raises(InvalidCommand, match=r"okx has no pair '(?i:new-usdt)'"):
        producer.cancel_all("ok", pair="new-usdt")
    assert producer.switches() == []
    world.sim.set_option("more_pairs", ["NEW-USDT"])
    assert covered(producer, "ok", "new-usdt")[1] == ("NEW-USDT",)


@pytest.mark.parametrize("answer", ["html", "down", "empty"])
def test_an_outage_makes_no_pair_unknown(world: World, answer: str) -> None:
    """What was fetched before stays, and a list that was never had says nothing."""
    attempts = Attempts(world)
    lists: PairLists = attempts.pipeline.pair_lists
    session = attempts.pipeline._lanes.of("bitmart:bm")  # noqa: SLF001
    shared = SharedPairLists(world.store())
    shared.announce(["bitmart:bm"], session.site)
    producer = world.producer()
    world.sim.set_option("pair_lists", answer)
    assert lists.fetch(session, until_ms=FAR_MS) is None
    assert covered(producer, "bm", "any_pair")[1] == ("any_pair",)
    world.sim.set_option("pair_lists", "listed")
    book = lists.fetch(session, until_ms=FAR_MS)
    assert book is not None
    world.sim.set_option("pair_lists", answer)
    assert lists.fetch(session, until_ms=FAR_MS) is None
    assert lists.known(session) is book
    assert shared.read(session.site) == book


LISTED = {
    "bm": "BTC/USDT",
    "bb": "BTC/USDT:USDT",
    "de": "BTC/USD:BTC",
    "ga": "BTC/USDT",
    "gf": "BTC/USDT:USDT",
    "hl": "BTC/USDC:USDC",
    "kr": "BTC/USD",
    "ku": "BTC/USDT",
    "ok": "BTC/USDT",
}
"""By alias, the pair that is traded there in ccxt's form."""


@pytest.mark.parametrize("alias", LISTED)
def test_every_exchange_that_lists_its_pairs_is_read(world: World, alias: str) -> None:
    """All its lists and their pages; a large list is no reply that is too large."""
    world.aliases = (alias,)
    world.sim.set_option("more_pairs", [f"A{number}-USDC" for number in range(9_000)])
    if alias in ("ga", "gf"):
        world.sim.set_option("more_pairs", [f"A{number:0>40}_USDC" for number in range(9_000)])
    pipeline = Attempts(world).pipeline
    (session,) = pipeline._lanes.accounts  # noqa: SLF001
    book = pipeline.pair_lists.fetch(session, until_ms=FAR_MS)
    assert book is not None
    found = book.find(LISTED[alias], session.exchange.capabilities.spelling)
    assert found is not None
    assert found.pair == PAIRS.get(alias, "BTC_USDT")
    assert len(book.names) > 9_000 or alias == "hl"


def test_every_category_has_pairs_of_its_own(world: World) -> None:
    """A list of one is not taken for that of another."""
    world.aliases = ("bb",)
    sites = set()
    for category in ("linear", "inverse", "spot"):
        world.categories = {"bb": category}
        sites |= {each.site for each in Attempts(world).pipeline._lanes.accounts}  # noqa: SLF001
    assert len(sites) == 3


def test_one_worker_fetches_and_the_others_read(world: World) -> None:
    """A list that was replaced has no pair that is gone."""
    one, other = Attempts(world).pipeline, Attempts(world).pipeline
    session = one._lanes.of("bitmart:bm")  # noqa: SLF001
    shared = SharedPairLists(world.store())
    world.sim.set_option("more_pairs", ["OLD_USDT"])
    assert shared.begin(session.site, lease_ms=LONG_MS)
    assert one.pair_lists.fetch(session, until_ms=FAR_MS) is None
    shared.end(session.site)
    first = one.pair_lists.fetch(session, until_ms=FAR_MS)
    assert first is not None
    assert other.pair_lists.shared(session) == first
    world.sim.set_option("more_pairs", [])
    second = one.pair_lists.fetch(session, until_ms=FAR_MS)
    assert second is not None
    assert (first.find("OLD_USDT") is None, second.find("OLD_USDT")) == (False, None)
    found = other.pair_lists.shared(session, newer_than_ms=first.fetched_ms)
    assert found is not None
    assert found.names == second.names
