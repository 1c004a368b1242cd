"""A pair is one scope, however it is spelled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.stepped_time import Stepped
from tests.support.switchboard import Board
from worker import Producer, SwitchOverlap, SwitchReplaced
from worker.config.settings import Settings
from worker.exchanges import EXCHANGES
from worker.model.jobs import Job
from worker.policy.phases import spelled
from worker.store.ledger import Ledger

ACCOUNTS = {
    "ix": {"exchange": "indodax"},
    "ev": {"exchange": "everstrike"},
    "bm": {"exchange": "bitmart"},
}
INDODAX = ["btc_idr", "BTC_IDR", "btcidr", "BTCIDR"]


@pytest.fixture
def clock(redis_url: str) -> Stepped:
    """An empty Redis on a stepped clock."""
    return Stepped(redis_url)


@pytest.fixture
def producer(clock: Stepped) -> Producer:
    """A producer beside a worker that has registered."""
    producer = Producer(Settings(redis_url=clock.url, accounts=ACCOUNTS))
    Ledger(producer._ledger._store).register(  # noqa: SLF001  the same Redis
        [(alias, row["exchange"], 0) for alias, row in ACCOUNTS.items()], native={"indodax"}
    )
    return producer


@pytest.mark.parametrize(
    ("given", "named"),
    [
        *((each, "btc_idr") for each in INDODAX),
        ("BTC/IDR", "btc_idr"),
        ("usdtidr", "usdt_idr"),
        ("ETHUSDT", "eth_usdt"),
        ("idr", "idr"),
        ("ethbtc", "ethbtc"),
        ("a_bidr", "a_bidr"),
    ],
)
def test_indodax_pairs_are_named_as_its_documents_name_them(given: str, named: str) -> None:
    """By `ticker_id`; what cannot be taken apart stays as it is."""
    assert spelled(EXCHANGES["indodax"], given) == named


@pytest.mark.parametrize("exchange", ["everstrike", "bitmart"])
def test_pairs_of_others_are_sent_as_given(exchange: str) -> None:
    """Their documents name no other spellings."""
    for pair in ("BTC_USD", "btc_usd", "btcusd", "USD_BTCCALL_PERP"):
        assert spelled(EXCHANGES[exchange], pair) == pair


@pytest.mark.parametrize("other", INDODAX)
def test_a_pair_of_indodax_is_armed_once(producer: Producer, other: str) -> None:
    """Its other spellings take it over, and overlap it."""
    first = producer.arm("ix", pairs=["btc_idr", "eth_idr"], timeout_ms=10_000)
    with pytest.raises(SwitchOverlap):
        producer.arm("ix", pairs=[other], timeout_ms=10_000)
    again = producer.arm("ix", pairs=["ETHIDR", other], timeout_ms=10_000)
    assert again.id == first.id
    with pytest.raises(SwitchReplaced):
        first.beat()


@pytest.mark.parametrize("alias", ["ev", "bm"])
def test_case_does_not_distinguish_pairs(producer: Producer, alias: str) -> None:
    """The last spelling is what is sent."""
    first = producer.arm(alias, pairs=["btc_usd"], timeout_ms=60_000)
    again = producer.arm(alias, pairs=["BTC_USD"], timeout_ms=3_000)
    assert again.id == first.id
    with pytest.raises(SwitchReplaced):
        first.beat()
    record = again.record()
    assert record is not None
    assert record.pairs == ("BTC_USD",)
    with pytest.raises(SwitchOverlap):
        producer.arm(alias, pairs=["Btc_Usd", "eth_usd"], timeout_ms=3_000)
    again.disarm()
    producer.arm(alias, pairs=["Btc_Usd", "eth_usd"], timeout_ms=3_000)


@pytest.mark.parametrize("other", INDODAX)
def test_a_job_names_the_pair_as_the_exchange_does(producer: Producer, other: str) -> None:
    """So two ways to ask for one order are one job."""
    one = producer.cancel("ix", "1", pair="btc_idr", side="buy")
    assert producer.cancel("ix", "1", pair=other, side="buy").id == one.id
    scope = producer.cancel_all("ix", pair=other)
    assert producer.cancel_all("ix", pair="btc_idr").id == scope.id
    job: Job | None = producer._ledger.get(scope.id)  # noqa: SLF001
    assert job is not None
    assert job.pair == "btc_idr"


class Former:
    """Switches as an older version wrote them: by alias, and spelled as they were given."""

    def __init__(self, board: Board, *pairs: str) -> None:
        self.board = board
        self.armed = [board.arm("ix", pairs=[f"{number}_x"]) for number in range(len(pairs))]
        scope: dict[Any, Any] = {}
        assert len({armed.switch_id for armed in self.armed}) == len(pairs)
        for armed, pair in zip(self.armed, pairs, strict=True):
            scope[f"p|{pair}"] = armed.switch_id
            board.client.hset(f"cx:switch:{armed.switch_id}", "pairs", pair)
        board.client.delete("cx:scope:indodax:ix", "cx:scope:ix")
        board.client.hset("cx:scope:ix", mapping=scope)
        for lane in ("ix", "indodax:ix", "it", "indodax:it"):
            board.client.hdel(f"cx:lane:{lane}", "canon", "moved")

    def owners(self, *pairs: str) -> list[str]:
        """Return who holds these pairs once a worker has registered."""
        self.board.register()
        return self.board.switches.owners("indodax:ix", pairs)


@pytest.mark.parametrize("spelling", INDODAX)
def test_what_an_older_version_armed_in_another_spelling_is_taken_over(
    redis_url: str, spelling: str
) -> None:
    """It is found, overlapped, and taken over by the same scope."""
    former = Former(Board(redis_url), spelling)
    (armed,) = former.armed
    assert former.owners("btc_idr") == [armed.switch_id]
    board = former.board
    assert board.arm("ix", pairs=["btc_idr", "eth_idr"]).overlaps
    again = board.arm("ix", pairs=["btc_idr"])
    assert (again.switch_id, again.epoch) == (armed.switch_id, armed.epoch + 1)
    assert board.beat(armed).state == "replaced"
    assert board.client.hkeys("cx:scope:indodax:ix") == ["p|btc_idr"]
    assert board.disarm(again) == "armed"


def test_what_an_older_version_armed_twice_keeps_both_promises(redis_url: str) -> None:
    """In two spellings of one pair: the earlier holder learns that it is replaced."""
    board = Board(redis_url)
    former = Former(board, "btc_idr", "BTC_IDR")
    for place, armed in enumerate(former.armed):
        board.client.zadd("cx:switches", {armed.switch_id: board.now_ms + place})
    earlier, later = former.armed
    assert former.owners("btc_idr") == [later.switch_id]
    assert board.beat(later).state == "armed"
    assert board.beat(earlier).state == "replaced"
