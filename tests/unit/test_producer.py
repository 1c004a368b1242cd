"""What a producer refuses before anything is queued, and what a ticket shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.awaited import KINDS, Makers, makers
from tests.support.ledgers import DIGEST, LEASE_MS, RETENTION_MS, Verb, settlement
from tests.support.stepped_time import Stepped
from worker import InvalidCommand, Outcome, Producer, Result, State, Ticket, UnknownAccount
from worker.client.bells import MANY_BELLS
from worker.config.settings import Settings
from worker.model.jobs import Job, Kind
from worker.store.ledger import Ledger
from worker.store.opening import build_store

ACCOUNTS = {
    "ev": {"exchange": "everstrike"},
    "ix": {"exchange": "indodax"},
    "bm": {"exchange": "bitmart"},
}
HUGE = "x" * 10_000_000
TEXT_MAX = 400

Call = Callable[[Any], Any]
PATIENCE_MS = 30_000
"""How long a call waits for Redis: a machine under load answers late."""


@pytest.fixture
def clock(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Stepped:
    monkeypatch.setenv("WORKER_CONFIG", "")
    return Stepped(redis_url)


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Makers]:
    with makers(request.param) as made:
        yield made


@pytest.fixture
def producer(clock: Stepped, make: Makers) -> Producer:
    return make(Settings(redis_url=clock.url, redis_timeout_ms=PATIENCE_MS, accounts=ACCOUNTS))


@pytest.fixture
def worker(clock: Stepped) -> Ledger:
    """A ledger that claims what the producer recorded, on Redis's own clock."""
    ledger = Ledger(build_store(Settings(redis_url=clock.url)), digest=DIGEST)
    ledger.register([(alias, row["exchange"], 0) for alias, row in ACCOUNTS.items()])
    assert clock.client.ping()
    return ledger


def finish(ledger: Ledger, exchange: str = "everstrike", *, verb: Verb, **fields: Any) -> Job:
    """Claim one job and settle it."""
    (job,) = ledger.claim(exchange=exchange, holder="w", lease_ms=LEASE_MS).jobs
    ledger.settle(
        [settlement(job, verb, **fields)],
        holder="w",
        retention_ms=RETENTION_MS,
        lease_ms=LEASE_MS,
        limit=0,
    )
    return job


REFUSED: dict[str, tuple[Call, str]] = {
    "empty list": (lambda p: p.cancel_many("ev", []), "no order ids"),
    "empty tuple": (lambda p: p.cancel_many("ev", ()), "no order ids"),
    "text for a list": (lambda p: p.cancel_many("ev", "a1"), "must be a list"),
    "bytes for a list": (lambda p: p.cancel_many("ev", b"a1"), "is not an order id"),
    "set for a list": (lambda p: p.cancel_many("ev", {"a1"}), "must be a list"),
    "generator for a list": (lambda p: p.cancel_many("ev", (x for x in ["a1"])), "must be a list"),
    "nothing for a list": (lambda p: p.cancel_many("ev", None), "must be a list"),
    "number for an id": (lambda p: p.cancel("ev", 1223181), "a int is not an order id"),
    "nothing for an id": (lambda p: p.cancel("ev", None), "give an order_id or a client_order_id"),
    "list for an id": (lambda p: p.cancel("ev", ["a1"]), "is not an order id"),
    "one bad id of many": (lambda p: p.cancel_many("ev", ["a1", "a2", ""]), "is not an order id"),
    "empty id": (lambda p: p.cancel("ev", ""), "'' is not an order id"),
    "id with a space": (lambda p: p.cancel("ev", "a b"), "is not an order id"),
    "id with a newline": (lambda p: p.cancel("ev", "a\nb"), "is not an order id"),
    "id with a null": (lambda p: p.cancel("ev", "a\x00b"), "is not an order id"),
    "id with an escape": (lambda p: p.cancel("ev", "\x1b[2J"), "is not an order id"),
    "id of other letters": (lambda p: p.cancel("ev", "\u0661\u0662"), "is not an order id"),
    "id that is half a letter": (lambda p: p.cancel("ev", "\ud800"), "is not an order id"),
    "id of 10 MB": (lambda p: p.cancel("ev", HUGE), "is not an order id"),
    "id with a path": (lambda p: p.cancel("bm", "../orders"), "is not an order id"),
    "missing pair": (lambda p: p.cancel("ix", "1", side="buy"), "needs the pair"),
    "missing side": (lambda p: p.cancel("ix", "1", pair="btc_idr"), "needs the side"),
    "empty pair": (lambda p: p.cancel("ix", "1", pair="", side="buy"), "is not a pair"),
    "pair of 10 MB": (lambda p: p.cancel("ix", "1", pair=HUGE, side="buy"), "is not a pair"),
    "number for a pair": (lambda p: p.cancel("ev", "1", pair=7), "a int is not a pair"),
    "pair that ends a form": (lambda p: p.cancel("ev", "1", pair="a&b"), "is not a pair"),
    "wrong side": (lambda p: p.cancel("ix", "1", pair="btc_idr", side="BUY"), "is not a side"),
    "number for a side": (lambda p: p.cancel("ev", "1", side=1), "a int is not a side"),
    "scope without a pair": (lambda p: p.cancel_all("bm"), "needs the pair"),
    "scope of a wrong side": (lambda p: p.cancel_all("ev", side="both"), "is not a side"),
    "scope of a wrong pair": (lambda p: p.cancel_all("ev", pair="*"), "is not a pair"),
    "no such dead letter": (lambda p: p.replay("nosuch"), "no such dead letter"),
}
UNKNOWN: dict[str, tuple[Call, str]] = {
    "unknown account": (
        lambda p: p.cancel("nix", "a1"),
        "unknown account 'nix'; known: bm, ev, ix",
    ),
    "empty account": (lambda p: p.cancel("", "a1"), "unknown account ''"),
    "account of 10 MB": (lambda p: p.cancel(HUGE, "a1"), "unknown account"),
    "account with a newline": (lambda p: p.cancel("e\nv", "a1"), r"'e\\nv'"),
    "number for an account": (lambda p: p.cancel(7, "a1"), "unknown account 7"),
    "list for an account": (lambda p: p.cancel(["ev"], "a1"), "unknown account"),
    "nothing for an account": (lambda p: p.cancel(None, "a1"), "unknown account None"),
    "lane for an account": (lambda p: p.cancel("everstrike:ev", "a1"), "unknown account"),
    "unknown account of a scope": (lambda p: p.cancel_all("nix"), "unknown account 'nix'"),
    "unknown account of many": (lambda p: p.cancel_many("nix", ["a"]), "unknown account 'nix'"),
}


@pytest.mark.parametrize("name", [*REFUSED, *UNKNOWN])
def test_what_cannot_be_done_is_refused_and_queues_nothing(
    clock: Stepped, producer: Producer, name: str
) -> None:
    """A typed error of one short line, and not a key more in Redis."""
    call, words = (REFUSED | UNKNOWN)[name]
    before = clock.client.dbsize()
    with pytest.raises(InvalidCommand, match=words) as caught:
        call(producer)
    assert isinstance(caught.value, UnknownAccount) is (name in UNKNOWN)
    assert clock.client.dbsize() == before
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < TEXT_MAX


def test_ticket_names_what_was_accepted(clock: Stepped, producer: Producer) -> None:
    """A ticket names the job and its order, and whether it was there before."""
    ticket = producer.cancel("ix", "666883", pair="btc_idr", side="buy")
    assert (ticket.account, ticket.order_id, ticket.fresh) == ("ix", "666883", True)
    again = producer.cancel("ix", "666883", pair="btc_idr", side="buy")
    assert (again.id, again.fresh) == (ticket.id, False)
    assert ticket.id in repr(ticket)
    assert clock.client.llen("cx:indodax") == 1


def test_many_tickets_come_in_order(clock: Stepped, producer: Producer) -> None:
    """Each order has its ticket at its place, and few bells ring for all."""
    ids = [f"o{n}" for n in range(1_200)]
    tickets = producer.cancel_many("ev", [*ids, "o0"])
    assert [ticket.order_id for ticket in tickets] == [*ids, "o0"]
    assert tickets[-1].id == tickets[0].id
    assert clock.client.llen("cx:everstrike") == MANY_BELLS


def test_scope_is_a_job_of_its_own(producer: Producer) -> None:
    """A cancel-all has no order id, and is the same while pending."""
    ticket = producer.cancel_all("ev", pair="btc_idr")
    assert ticket.order_id is None
    assert producer.cancel_all("ev", pair="btc_idr").id == ticket.id
    assert producer.cancel_all("ev").id != ticket.id


def test_account_known_to_the_workers_alone_is_known(
    clock: Stepped, make: Makers, worker: Ledger
) -> None:
    """A producer needs no table of accounts: the workers have registered in Redis."""
    producer = make(Settings(redis_url=clock.url, redis_timeout_ms=PATIENCE_MS))
    assert producer.cancel("ev", "a1").fresh
    assert producer.cancel("ix", "a1", pair="btc_idr", side="buy").fresh
    with pytest.raises(UnknownAccount, match="known: bm, ev, ix"):
        producer.cancel("nix", "a1")
    assert worker.accounts()["bm"] == "bitmart"


def test_account_that_workers_announce_later_is_found(clock: Stepped, make: Makers) -> None:
    """What was unknown is looked up again."""
    producer = make(Settings(redis_url=clock.url, redis_timeout_ms=PATIENCE_MS))
    with pytest.raises(UnknownAccount, match="no account is configured"):
        producer.cancel("late", "a1")
    Ledger(clock.store()).register([("late", "everstrike", 0)])
    assert producer.cancel("late", "a1").fresh


def test_announced_account_of_an_exchange_of_tomorrow_is_unknown(
    clock: Stepped, make: Makers
) -> None:
    """A producer older than its workers says so, instead of guessing."""
    Ledger(clock.store()).register([("new", "tomorrow", 0)])
    with pytest.raises(UnknownAccount, match="'new'"):
        make(Settings(redis_url=clock.url, redis_timeout_ms=PATIENCE_MS)).cancel("new", "a1")


def test_result_is_unknown_until_it_is_proven(producer: Producer, worker: Ledger) -> None:
    """The result of an attempt is not the outcome while the job continues."""
    ticket = producer.cancel("ev", "a1")
    assert ticket.result() == Result(Outcome.UNKNOWN, 0, None, "not attempted yet", State.PENDING)
    finish(worker, verb=Verb.AGAIN, outcome=Outcome.THROTTLED, detail="slow down", phase="send")
    result = ticket.result()
    assert (result.outcome, result.attempts) == (Outcome.UNKNOWN, 1)
    assert (result.detail, result.state, result.proven) == ("slow down", State.PENDING, False)


@pytest.mark.parametrize(("outcome", "proven"), [(Outcome.CANCELED, True), (Outcome.GONE, True)])
def test_proof_is_returned(
    producer: Producer, worker: Ledger, outcome: Outcome, *, proven: bool
) -> None:
    """Outcome, attempts and time taken, once the job has ended."""
    ticket = producer.cancel("ev", "a1")
    finish(worker, verb=Verb.DONE, outcome=outcome, detail="words")
    result = ticket.wait(timeout_ms=1_000)
    assert (result.outcome, result.proven, result.attempts) == (outcome, proven, 1)
    assert (result.state, result.detail) == (State.DONE, "words")
    assert result.latency_ms is not None
    assert result.latency_ms >= 0


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.REJECTED])
def test_dead_letter_is_no_proof(producer: Producer, worker: Ledger, outcome: Outcome) -> None:
    """What was given up is returned as it is."""
    ticket = producer.cancel("ev", "a1")
    finish(worker, verb=Verb.DEAD, outcome=outcome, detail="why")
    result = ticket.result()
    assert (result.outcome, result.state, result.proven) == (outcome, State.DEAD, False)


def test_wait_gives_up_in_time(producer: Producer) -> None:
    """A job that takes longer continues; the wait does not."""
    ticket = producer.cancel("ev", "a1")
    for timeout_ms in (0, -5, 30):
        assert ticket.wait(timeout_ms=timeout_ms).state is State.PENDING


def test_forgotten_job_is_unknown(clock: Stepped, producer: Producer) -> None:
    """A ticket that outlived its job proves nothing."""
    ticket = producer.cancel("ev", "a1")
    clock.client.delete(f"cx:job:{ticket.id}")
    result = ticket.result()
    assert (result.outcome, result.proven, result.state) == (Outcome.UNKNOWN, False, State.DEAD)
    assert producer.ticket(ticket.id) is None


def test_ticket_can_be_found_again(producer: Producer) -> None:
    """Another process may wait for what this one enqueued."""
    ticket = producer.cancel("ev", "a1")
    found = producer.ticket(ticket.id)
    assert found is not None
    assert (found.id, found.account, found.order_id, found.fresh) == (ticket.id, "ev", "a1", False)


def test_dead_letter_can_be_replayed(producer: Producer, worker: Ledger) -> None:
    """The same command is a new job; the dead letter leaves its list."""
    ticket = producer.cancel("ix", "5", pair="btc_idr", side="sell")
    finish(worker, "indodax", verb=Verb.DEAD, outcome=Outcome.UNKNOWN)
    again = producer.replay(ticket.id)
    assert again.id != ticket.id
    job = worker.get(again.id)
    assert job is not None
    assert (job.parent, job.order_id, job.pair, job.side) == (ticket.id, "5", "btc_idr", "sell")
    assert worker.dead_count() == 0


def test_what_cannot_be_replayed_is_refused(producer: Producer, worker: Ledger) -> None:
    """Neither a pending job nor a malformed message is."""
    ticket = producer.cancel("ev", "a1")
    with pytest.raises(InvalidCommand, match="no such dead letter"):
        producer.replay(ticket.id)
    buried = worker.bury(reason="r", raw="{")
    with pytest.raises(InvalidCommand, match="malformed"):
        producer.replay(buried)
    found = worker.get(buried)
    assert found is not None
    assert found.kind is Kind.MALFORMED
    assert worker.dead_count() == 1


def test_account_that_moved_does_not_take_old_orders_along(
    clock: Stepped, make: Makers, producer: Producer, worker: Ledger
) -> None:
    """An alias that names another exchange now is not sent the old one's order."""
    ticket = producer.cancel("ev", "a1")
    finish(worker, verb=Verb.DEAD)
    moved = make(Settings(redis_url=clock.url, accounts={"ev": {"exchange": "bitmart"}}))
    with pytest.raises(InvalidCommand, match="account ev is on bitmart now"):
        moved.replay(ticket.id)


def test_producer_is_shared_by_threads(producer: Producer) -> None:
    """Eight threads that cancel the same orders make one job of each."""
    with ThreadPoolExecutor(8) as pool:
        rows = list(
            pool.map(lambda _: [producer.cancel("ev", f"o{n}") for n in range(20)], range(8))
        )
    tickets: list[Ticket] = [ticket for row in rows for ticket in row]
    assert len({ticket.id for ticket in tickets}) == 20
    assert sum(ticket.fresh for ticket in tickets) == 20
