"""A claim in an account of one request at a time brings the nonce of that request."""

from __future__ import annotations

import pytest

from tests.support.stepped_time import Stepped
from tests.support.world import World
from worker import Producer
from worker.factory import build_dispatcher
from worker.model.decisions import Dead
from worker.model.jobs import Job, Kind, NewJob
from worker.model.names import lane_of
from worker.model.outcomes import Outcome
from worker.model.settlements import Settlement, new_id
from worker.store.ledger import Ledger
from worker.store.nonces import Nonces, key_id

KEY, OTHER = "its key", "another key"
WITHIN_MS = 30_000


class Account:
    """Jobs of two Indodax accounts on a stepped clock: `one` has nonces, `many` has none."""

    def __init__(self, url: str) -> None:
        self.clock = Stepped(url)
        self.ledger = Ledger(self.clock.store(), digest="worker")
        self.nonces = Nonces(self.clock.store())
        self.register(self.ledger, KEY)

    @staticmethod
    def register(ledger: Ledger, key: str) -> None:
        """Register both, the one with this key."""
        ledger.register(
            [("one", "indodax", 1), ("many", "indodax", 0)], nonces={"one": key_id(key)}
        )

    def claim(self, alias: str = "one", ledger: Ledger | None = None) -> Job:
        """Accept a job and claim it."""
        lane = lane_of("indodax", alias)
        self.ledger.accept([NewJob(id=new_id(), lane=lane, kind=Kind.CANCEL, order_id=new_id())])
        claimed = (ledger or self.ledger).claim(exchange="indodax", holder="w", lease_ms=9_000)
        (job,) = claimed.jobs
        return job

    def end(self, job: Job) -> tuple[Job, ...]:
        """Settle a claimed job; return what is claimed next."""
        ended = Settlement(job, Dead(Outcome.UNKNOWN, ""))
        claimed = self.ledger.settle(
            [ended], holder="w", retention_ms=9_000, lease_ms=9_000, limit=1
        )
        return claimed.jobs


@pytest.fixture
def account(redis_url: str) -> Account:
    """An empty Redis on a stepped clock."""
    return Account(redis_url)


def test_a_claim_brings_the_next_nonce_of_the_key(account: Account) -> None:
    """Whether it is a claim alone or follows a settlement."""
    last = account.nonces.allocate(KEY)
    job = account.claim()
    assert job.nonce == f"{key_id(KEY)} {last + 1}"
    lane = lane_of("indodax", "one")
    account.ledger.accept([NewJob(id=new_id(), lane=lane, kind=Kind.CANCEL, order_id="next")])
    (following,) = account.end(job)
    assert following.nonce == f"{key_id(KEY)} {last + 2}"


def test_without_need_of_nonces_none_is_brought(account: Account) -> None:
    """An account that takes many requests at a time has no order to keep."""
    assert account.claim("many").nonce == ""


def test_each_claimant_has_nonces_of_the_key_that_it_registered(account: Account) -> None:
    """While a key is replaced, workers of both serve the account."""
    newer = Ledger(account.clock.store(), digest="newer")
    account.register(newer, OTHER)
    job = account.claim()
    assert job.nonce.startswith(key_id(KEY))
    account.end(job)
    assert account.claim(ledger=newer).nonce.startswith(key_id(OTHER))


def test_a_claimant_that_signs_by_time_no_more_gets_none(account: Account) -> None:
    """What it registers last counts."""
    account.ledger.register([("one", "indodax", 1), ("many", "indodax", 0)])
    assert account.claim().nonce == ""


def test_what_is_offered_is_taken_once_and_in_order(account: Account) -> None:
    """A second request after a claim, or one of another kind, has a later nonce."""
    job = account.claim()
    offered = int(job.nonce.split()[1])
    taken = [account.nonces.allocate(KEY, job.nonce) for _ in range(3)]
    assert taken == [offered, offered + 1, offered + 2]
    assert account.nonces.allocate(KEY) == offered + 3


@pytest.mark.parametrize("other", ["", f"{key_id(OTHER)} 99999999999999"])
def test_what_is_not_of_the_key_is_not_taken(account: Account, other: str) -> None:
    """Then Redis is asked, as without an offer."""
    assert account.nonces.allocate(KEY, other) == account.clock.now_ms


def test_an_offer_below_what_was_seen_is_not_taken(account: Account) -> None:
    """The exchange has refused a nonce since, or Redis has lost the sequence."""
    job = account.claim()
    floor = 10**15
    account.nonces.raise_above(KEY, floor)
    assert account.nonces.allocate(KEY, job.nonce) > floor


def test_beside_an_older_version_none_is_brought(account: Account) -> None:
    """Aliases of one key do not share a hold yet, and their nonces would not arrive in order."""
    account.clock.client.zadd("cx:serving", {"older": account.clock.now_ms})
    account.clock.client.sadd("cx:registered:older", "indodax:one")
    account.register(account.ledger, KEY)
    assert account.claim().nonce == ""


@pytest.mark.parametrize(("auth", "brought"), [("timestamp", True), ("nonce", False)])
def test_one_key_on_two_exchanges_gets_none(world: World, auth: str, *, brought: bool) -> None:
    """Their requests do not wait for each other, if both need nonces."""
    legacy = world.account("ix")
    second = {**legacy, "exchange": "indodax_v2", "auth": auth}
    settings = world.settings(accounts={"ix": legacy, "i2": second})
    engine = build_dispatcher(settings)
    engine.register()
    engine.stop()
    row: dict[str, str] = world.store().client.hgetall("cx:lane:indodax:ix")  # type: ignore[assignment]
    assert any(field.startswith("nonce:") for field in row) == brought


@pytest.mark.parametrize("alias", ["ix", "kr"])
def test_requests_of_jobs_need_no_call_for_their_nonce(
    world: World, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of many cancels by two processes arrives in order, with the nonce of its claim."""
    asked: list[str] = []
    ask = Nonces._next  # noqa: SLF001

    def counted(self: Nonces, api_key: str, floor: int) -> int:
        asked.append(api_key)
        return ask(self, api_key, floor)

    monkeypatch.setattr(Nonces, "_next", counted)
    settings = world.settings(accounts={alias: world.account(alias)})
    engines = [build_dispatcher(settings) for _ in range(2)]
    for engine in engines:
        engine.start()
        engine.register()
    try:
        ids = world.place(alias, 60)
        tickets = Producer(settings).cancel_many(alias, ids, pair="btc_idr", side="buy")
        outcomes = {ticket.wait(timeout_ms=WITHIN_MS).outcome for ticket in tickets}
    finally:
        for engine in engines:
            engine.stop_claiming()
        for engine in engines:
            engine.stop()
    assert outcomes == {Outcome.CANCELED}
    assert len(asked) <= 1, "for the list of pairs, which is no job"
