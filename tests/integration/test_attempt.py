"""Attempts from token to decision, on real Redis, sockets and simulated exchanges."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.attempts import FAST, HASTY, HTTP, SCOPE, Attempts
from tests.support.ledgers import Verb, verb_of
from tests.support.polling import eventually
from tests.support.world import KEYS, SECRETS, World
from worker import Outcome, State, StoreUnavailable, clock
from worker.gateway.account import AccountSession
from worker.gateway.exchange_client import ExchangeClient
from worker.model.commands import CancelOrder, Command, ListOpenOrders
from worker.model.decisions import Again
from worker.model.jobs import Kind, Phase
from worker.model.limits import Grant
from worker.model.outcomes import Closed, OpenOrder, OpenOrders
from worker.simulator import Simulator
from worker.simulator.clock import next_midnight_ms
from worker.store.embedded import EmbeddedRedis, own_port
from worker.store.limiter import Limiter

TIGHT = {"orders": {"max_requests": 1, "window_ms": 60_000}}


@pytest.fixture
def attempts(world: World) -> Attempts:
    return Attempts(world, http=HTTP)


@pytest.mark.parametrize("alias", list(KEYS))
def test_one_attempt_proves_a_cancel(world: World, attempts: Attempts, alias: str) -> None:
    """On a healthy exchange one request is enough, and the log line states the result."""
    (order_id,) = world.place(alias)
    settlement = attempts.first(alias, order_id)
    assert (verb_of(settlement), settlement.outcome) == (Verb.DONE, Outcome.CANCELED)
    assert (settlement.pause_ms, settlement.children) == (0, ())
    assert world.status(alias, order_id) == "canceled"
    job = settlement.job
    assert (job.attempts, job.sends, job.claimed_by) == (1, Phase.SEND, "w")
    assert settlement.took_ms is not None
    assert settlement.took_ms >= 0
    assert len(attempts.arrivals("cancel")) == 1


@pytest.mark.parametrize("alias", list(KEYS))
def test_filled_order_is_gone(world: World, attempts: Attempts, alias: str) -> None:
    """An order that was filled first is not called canceled."""
    (order_id,) = world.place(alias)
    world.sim.fill(KEYS[alias][0], order_id)
    (job,) = attempts.run(alias, attempts.accept(alias, order_id))
    assert (job.state, job.outcome) == (State.DONE, Outcome.GONE)


def test_a_scope_of_both_sides_takes_a_request_for_each(world: World, attempts: Attempts) -> None:
    """Where one request cancels a side: not one for each order, at one a second."""
    pair = "btc_usdt"
    mine = [
        order for side in ("buy", "sell") for order in world.place("bm", 20, pair=pair, side=side)
    ]
    (other,) = world.place("bm", pair="eth_usdt", side="buy")
    job_id = attempts.accept("bm", pair=pair)
    (job,) = attempts.run("bm", job_id)
    assert (job.state, job.outcome) == (State.DONE, Outcome.GONE)
    assert {world.status("bm", order) for order in mine} == {"canceled"}
    assert world.status("bm", other) == "open"
    sent = [it.operation for it in attempts.arrivals() if it.operation != "token"]
    assert sent == ["scope", "scope", "open_orders", "open_orders"]


@pytest.mark.parametrize("alias", list(KEYS))
def test_order_that_never_was_is_never_called_canceled(world: World, alias: str) -> None:
    """What the exchange does not know ends in the dead letters as unknown."""
    attempts = Attempts(
        world, http=HTTP, jobs={"missing_max_ms": 1, "backoff_base_ms": 1, "max_attempts": 20}
    )
    (job,) = attempts.run(alias, attempts.accept(alias, "404404"))
    assert job.state is State.DEAD
    assert job.outcome in (Outcome.UNKNOWN, Outcome.UNAVAILABLE)


FAULTS = [
    "accept_then_drop",
    "drop_before",
    "half_body",
    "html_5xx",
    "garbage",
    "throttle",
    "delay",
    "drip",
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("alias", ["ev", "ix", "bm"])
def test_order_is_off_the_book_after_a_fault(world: World, alias: str, fault: str) -> None:
    """Whatever the result of the first request, the outcome in the end is the truth."""
    attempts = Attempts(world, http=HASTY)
    world.sim.set_option("delay_ms", 600)
    (order_id,) = world.place(alias)
    world.sim.fault_next(fault, exchange=KEYS[alias][0], paths=["cancel"])
    (job,) = attempts.run(alias, attempts.accept(alias, order_id))
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    assert world.status(alias, order_id) == "canceled"
    assert job.attempts >= 2
    assert not Outcome(job.history[0]["outcome"]).proven
    told = json.dumps(job.describe())
    assert not any(secret in told for secret in SECRETS)


@pytest.mark.parametrize("fault", ["accept_then_drop", "half_body", "garbage"])
def test_lost_reply_is_unknown_and_asked_about(
    world: World, attempts: Attempts, fault: str
) -> None:
    """A reply that never came whole proves nothing, and is followed by a question."""
    (order_id,) = world.place("ev")
    world.sim.fault_next(fault, exchange="everstrike")
    settlement = attempts.first("ev", order_id)
    assert (verb_of(settlement), settlement.outcome) == (Verb.AGAIN, Outcome.UNKNOWN)
    assert isinstance(settlement.decision, Again)
    assert settlement.decision.phase is Phase.ASK


def test_asked_pause_rests_the_account(world: World, attempts: Attempts) -> None:
    """An exchange that names a time is left alone for it."""
    (order_id,) = world.place("bm")
    attempts.run("bm", attempts.accept("bm", *world.place("bm")))
    world.sim.fault_next("throttle_retry_after", exchange="bitmart")
    settlement = attempts.first("bm", order_id)
    assert (verb_of(settlement), settlement.outcome) == (Verb.AGAIN, Outcome.THROTTLED)
    assert settlement.pause_ms == 1_000
    assert isinstance(settlement.decision, Again)
    assert settlement.decision.delay_ms >= 1_000


def test_refused_connection_sent_nothing(world: World) -> None:
    """A request that never left is reported as such, and costs no rate slot."""
    world.limits = {"bm": TIGHT}
    dead = {**world.account("ev"), "base_url": f"http://127.0.0.1:{own_port()}"}
    attempts = Attempts(world, http=HTTP, accounts={"ev": dead, "bm": world.account("bm")})
    settlement = attempts.first("ev", "a1")
    assert (verb_of(settlement), settlement.outcome) == (Verb.AGAIN, Outcome.UNAVAILABLE)
    assert settlement.decision.detail.startswith("not sent: ")
    assert "Connection refused" in settlement.decision.detail
    assert attempts.arrivals() == []


def test_rate_limit_is_waited_for(world: World) -> None:
    """Without a slot nothing is sent, the attempt is not counted, and the account rests."""
    world.limits = {"bm": TIGHT}
    attempts = Attempts(world, http=HTTP)
    first, second = world.place("bm", 2)
    assert verb_of(attempts.first("bm", first)) is Verb.DONE
    seen = len(attempts.arrivals())
    settlement = attempts.first("bm", second)
    assert verb_of(settlement) is Verb.WAIT
    assert 0 < settlement.pause_ms <= 60_001
    assert len(attempts.arrivals()) == seen
    assert world.status("bm", second) == "open"


def test_a_slot_that_is_used_too_late_is_not(
    world: World, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was frozen after its leave: by now the slot counts no more at Redis."""
    ahead_ms = [0.0]
    now_ms, reserve = clock.monotonic_ms, Limiter.reserve

    def and_stand_still(self: Limiter, rules: Any, *, flight_ms: int) -> Grant:
        grant = reserve(self, rules, flight_ms=flight_ms)
        ahead_ms[0] += flight_ms + 1
        return grant

    monkeypatch.setattr(clock, "monotonic_ms", lambda: now_ms() + ahead_ms[0])
    monkeypatch.setattr(Limiter, "reserve", and_stand_still)
    (order_id,) = world.place("it")
    settlement = attempts.first("it", order_id)
    assert (verb_of(settlement), settlement.outcome) == (Verb.AGAIN, Outcome.UNAVAILABLE)
    assert "not sent" in settlement.decision.detail
    assert attempts.arrivals() == []
    assert world.store().client.keys("cx:limit:*cancels*") == [], "the slot was given back"


@pytest.mark.parametrize("while_listing", [False, True])
def test_what_is_placed_after_arming_again_is_left_alone(
    world: World, attempts: Attempts, monkeypatch: pytest.MonkeyPatch, *, while_listing: bool
) -> None:
    """A tripped scope was listed; the next list fails, or is on its way while all this happens."""
    pair = "btc_idr"
    old = world.place("ev", 2, pair=pair)
    job_id = attempts.accept("ev", pair=pair, urgent=True)
    world.store().client.hset(f"cx:job:{job_id}", "tripped", "1")
    eventually(lambda: attempts.step("ev") and attempts.get(job_id).listed)
    assert attempts.get(job_id).phase is Phase.LIST
    placed: list[str] = []

    def come_back() -> None:
        world.producer().arm("ev", pairs=[pair], timeout_ms=60_000)
        placed.extend(world.place("ev", 1, pair=pair))

    if while_listing:
        ask = ExchangeClient.ask

        def meanwhile(
            self: ExchangeClient, session: AccountSession, command: Command, **options: Any
        ) -> Any:
            if isinstance(command, ListOpenOrders) and not placed:
                come_back()
            return ask(self, session, command, **options)

        monkeypatch.setattr(ExchangeClient, "ask", meanwhile)
    else:
        world.sim.fault_next("html_5xx", "everstrike", paths=["open_orders"])
        made = attempts.get(job_id).attempts
        eventually(lambda: attempts.step("ev") and attempts.get(job_id).attempts > made)
        come_back()
    (job,) = attempts.run("ev", job_id)
    assert job.state is State.DEAD
    assert "armed again" in job.detail
    eventually(lambda: not attempts.ledger.pending(limit=9) or (attempts.step("ev") and None))
    assert {world.status("ev", order_id) for order_id in old} == {"canceled"}
    assert [world.status("ev", order_id) for order_id in placed] == ["open"]


def test_a_second_look_cancels_nothing_of_who_is_back(world: World, attempts: Attempts) -> None:
    """A tripped scope looked empty, as where the exchange's own timer has emptied it."""
    attempts.show("ev", "btc_idr")
    job_id = attempts.accept("ev", pair="btc_idr", urgent=True)
    world.store().client.hset(f"cx:job:{job_id}", "tripped", "1")
    attempts.step("ev")
    assert attempts.get(job_id).empty
    world.producer().arm("ev", pairs=["btc_idr"], timeout_ms=60_000)
    (placed,) = world.place("ev", 1, pair="btc_idr")
    (job,) = attempts.run("ev", job_id)
    assert (job.state, job.outcome) == (State.DONE, Outcome.GONE)
    assert "at the first look" in job.detail
    assert world.status("ev", placed) == "open"


def test_nothing_is_a_dead_letter_of_a_scope_that_was_empty(world: World) -> None:
    """Its strategy is back before its stop orders were listed again."""
    world.aliases = ("ga",)
    attempts = Attempts(world)
    job_id = attempts.accept("ga", urgent=True)
    world.store().client.hset(f"cx:job:{job_id}", "tripped", "1")
    eventually(lambda: attempts.step("ga") and attempts.get(job_id).phase is Phase.STOPS_LEFT)
    world.producer().arm("ga", pairs=["BTC_USDT"], timeout_ms=60_000)
    (job,) = attempts.run("ga", job_id)
    assert (job.state, job.outcome) == (State.DONE, Outcome.GONE)
    assert "armed again" in job.detail


def test_order_that_lists_keep_showing_is_canceled_once(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of a status that no document knows: its cancel is taken, and it stays."""
    ask, sent = ExchangeClient.ask, []

    def stubborn(
        self: ExchangeClient, session: AccountSession, command: Command, **options: Any
    ) -> Any:
        if isinstance(command, ListOpenOrders):
            return OpenOrders((OpenOrder("77", "btc_idr", None),), complete=False)
        if isinstance(command, CancelOrder):
            sent.append(command.order_id)
            return Closed(Outcome.CANCELED)
        return ask(self, session, command, **options)

    monkeypatch.setattr(ExchangeClient, "ask", stubborn)
    job_id = attempts.accept("ev", pair="btc_idr")
    eventually(lambda: attempts.step("ev") and attempts.get(job_id).attempts > 3)
    assert sent == ["77"]


def test_command_that_cannot_be_sent_is_dead(
    attempts: Attempts, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that no request can be made of ends with the reason and an alert, unsent."""
    settlement = attempts.first("ix", "5", pair="", side="")
    alerts = [record for record in caplog.records if record.__dict__.get("alert")]
    assert [record.__dict__["alert"] for record in alerts] == ["dead letter"]
    assert "needs the pair" in alerts[0].getMessage()
    assert (verb_of(settlement), settlement.outcome) == (Verb.DEAD, Outcome.REJECTED)
    assert "needs the pair" in settlement.decision.detail
    assert attempts.arrivals() == []


def test_wrong_credentials_end_in_the_dead_letters(world: World) -> None:
    """A secret that the exchange refuses is tried periodically, for as long as a job may live."""
    wrong = {**world.account("ix"), "api_secret": "wrong-secret-0123456789"}
    attempts = Attempts(
        world, http=HTTP, accounts={"ix": wrong}, jobs={**FAST, "max_age_ms": 2_000}
    )
    (job,) = attempts.run("ix", attempts.accept("ix", *world.place("ix")))
    assert (job.state, job.outcome) == (State.DEAD, Outcome.UNAUTHORIZED)
    assert 2 <= job.attempts <= 4
    assert "wrong-secret" not in json.dumps(job.describe())


def test_one_token_serves_all_threads(world: World, attempts: Attempts) -> None:
    """Eight threads that need a token at once ask for one."""
    ids = [attempts.accept("bm", order_id) for order_id in world.place("bm", 24)]
    jobs = attempts.run("bm", *ids, threads=8)
    assert {job.outcome for job in jobs} == {Outcome.CANCELED}
    assert len(attempts.arrivals("token")) == 1
    assert {arrival.refusal for arrival in attempts.arrivals()} == {None}


def test_refused_token_is_replaced_once(world: World, attempts: Attempts) -> None:
    """Eight threads that learn that the token has died fetch one new one."""
    attempts.run("bm", attempts.accept("bm", *world.place("bm")))
    world.sim.expire_tokens()
    ids = [attempts.accept("bm", order_id) for order_id in world.place("bm", 24)]
    jobs = attempts.run("bm", *ids, threads=8)
    assert {job.outcome for job in jobs} == {Outcome.CANCELED}
    assert len(attempts.arrivals("token")) == 2
    tokens = {arrival.token_fingerprint for arrival in attempts.arrivals("cancel")}
    assert len(tokens) == 2


def test_token_lost_with_redis_is_fetched_again(world: World, attempts: Attempts) -> None:
    """No token in Redis is no obstacle."""
    attempts.run("bm", attempts.accept("bm", *world.place("bm")))
    client: Any = world.store().client
    (token,) = client.keys("cx:token:*")
    client.delete(token)
    (job,) = attempts.run("bm", attempts.accept("bm", *world.place("bm")))
    assert job.outcome is Outcome.CANCELED
    assert len(attempts.arrivals("token")) == 2


@pytest.mark.parametrize("left_ms", [3_300, 20_000])
def test_midnight_costs_two_tokens(
    world: World, attempts: Attempts, monkeypatch: pytest.MonkeyPatch, left_ms: int
) -> None:
    """All tokens end then: the last one before it is used until it ends, and not fetched again."""
    real_ms = clock.now_ms
    today_ms = world.sim.now_ms()

    def until_midnight(left_ms: int) -> None:
        ahead_ms = next_midnight_ms(today_ms) - left_ms - today_ms
        monkeypatch.setattr(clock, "now_ms", lambda: real_ms() + round(ahead_ms))
        world.sim.set_clock_skew(ahead_ms)

    for left, tokens in (left_ms, 1), (0, 2):
        until_midnight(left)
        ids = [attempts.accept("bm", order_id) for order_id in world.place("bm", 24)]
        jobs = attempts.run("bm", *ids, threads=8)
        assert {job.outcome for job in jobs} == {Outcome.CANCELED}
        assert len(attempts.arrivals("token")) == tokens
    assert {arrival.refusal for arrival in attempts.arrivals()} == {None}


def test_refused_token_request_rests_the_account(world: World) -> None:
    """While no token is available, the few token requests are not spent in a row."""
    wrong = {**world.account("bm"), "api_secret": "wrong-secret-0123456789"}
    attempts = Attempts(world, http=HTTP, accounts={"bm": wrong})
    settlement = attempts.first("bm", *world.place("bm"))
    assert (verb_of(settlement), settlement.outcome) == (Verb.AGAIN, Outcome.UNAUTHORIZED)
    assert settlement.decision.detail.startswith("no token: ")
    assert settlement.pause_ms >= 1_000
    assert attempts.arrivals("cancel") == []


@pytest.mark.parametrize("ahead", [60_000, 1_000_000, 10**15])
def test_nonce_that_fell_behind_corrects_itself(
    world: World, attempts: Attempts, ahead: int
) -> None:
    """A key whose exchange has seen higher nonces continues above them at the next attempt."""
    attempts.run("ix", attempts.accept("ix", *world.place("ix")))
    seen = attempts.arrivals("cancel")[-1].nonce or 0
    world.sim.set_nonce(KEYS["ix"][1], seen + ahead)
    (job,) = attempts.run("ix", attempts.accept("ix", *world.place("ix")))
    assert (job.outcome, job.attempts) == (Outcome.CANCELED, 2)
    refusals = [arrival.refusal for arrival in attempts.arrivals("cancel")]
    assert refusals == [None, "nonce", None]


def test_nonces_arrive_in_order_from_many_threads(world: World, attempts: Attempts) -> None:
    """Eight threads on one key never overtake each other."""
    ids = [attempts.accept("ix", order_id) for order_id in world.place("ix", 30)]
    attempts.run("ix", *ids, threads=8)
    nonces = [arrival.nonce or 0 for arrival in attempts.arrivals() if arrival.nonce]
    assert nonces == sorted(set(nonces))
    assert {arrival.refusal for arrival in attempts.arrivals()} == {None}


@pytest.mark.parametrize(
    ("alias", "scope"),
    [
        ("ev", {}),
        ("ev", SCOPE),
        ("ix", {}),
        ("ix", SCOPE),
        ("it", {"pair": "btc_idr"}),
        ("bm", {"pair": "btc_idr"}),
        ("bm", SCOPE),
    ],
)
def test_scope_is_canceled_order_by_order(
    world: World, attempts: Attempts, alias: str, scope: dict[str, str]
) -> None:
    """A cancel-all finds what is open, has it canceled, and ends once nothing is left."""
    mine = world.place(alias, 5)
    parent = attempts.accept(alias, **scope)
    (job,) = attempts.run(alias, parent)
    # A request for the whole scope says of no order whether it was canceled.
    whole = alias == "bm"
    assert (job.state, job.outcome) == (State.DONE, Outcome.GONE if whole else Outcome.CANCELED)
    assert (job.canceled, job.closed) == ((0, 0) if whole else (len(mine), 0)), job.detail
    assert {world.status(alias, order_id) for order_id in mine} == {"canceled"}


def test_children_are_known_by_their_parent(world: World, attempts: Attempts) -> None:
    """Each order that was found is a job of its own, with all that its cancel needs."""
    orders = world.place("ix", 3)
    attempted = attempts.first("ix", pair="btc_idr")
    assert isinstance(attempted.decision, Again)
    assert attempted.decision.phase is Phase.LIST
    assert [child.order_id for child in attempted.children] == orders
    for child in attempted.children:
        assert (child.kind, child.pair, child.side) == (Kind.CANCEL, "btc_idr", "buy")
        assert child.lane == "indodax:ix"
    assert len({child.parent for child in attempted.children}) == 1


def test_scope_leaves_others_orders_alone(world: World, attempts: Attempts) -> None:
    """Only the pair and side that were asked for are touched."""
    world.place("ix", 2)
    others = [*world.place("ix", side="sell"), *world.place("ix", pair="eth_idr")]
    foreign = world.place("it", 2)
    attempts.run("ix", attempts.accept("ix", **SCOPE))
    assert {world.status("ix", order_id) for order_id in others} == {"open"}
    assert {world.status("it", order_id) for order_id in foreign} == {"open"}


def test_empty_scope_is_looked_at_twice(attempts: Attempts) -> None:
    """Where nothing is open there is nothing to do, and a second look proves it."""
    attempts.show("ev", "btc_idr", "eth_idr")
    attempted = attempts.first("ev", pair="btc_idr")
    assert (verb_of(attempted), attempted.children) == (Verb.AGAIN, ())
    (job,) = attempts.run("ev", attempts.accept("ev", pair="eth_idr"))
    assert (job.state, job.outcome, job.attempts) == (State.DONE, Outcome.GONE, 2)
    assert job.detail.startswith("nothing open in the scope, looked at twice; its stop orders")
    assert attempts.arrivals("scope") == []


def test_an_order_that_is_shown_late_is_canceled(world: World, attempts: Attempts) -> None:
    """The exchange's list lags behind what it has accepted."""
    job_id = attempts.accept("ev", pair="btc_idr")
    attempts.step("ev")
    assert not attempts.ended(job_id)
    (order_id,) = world.place("ev", pair="btc_idr")
    (job,) = attempts.run("ev", job_id)
    assert job.outcome is Outcome.CANCELED
    assert world.status("ev", order_id) == "canceled"


def test_scope_of_more_orders_than_a_page_is_emptied(world: World, attempts: Attempts) -> None:
    """A list that may not be all is listed again."""
    orders = world.place("ev", 130)
    (job,) = attempts.run("ev", attempts.accept("ev"), threads=4)
    assert job.outcome is Outcome.CANCELED
    assert {world.status("ev", order_id) for order_id in orders} == {"canceled"}


def test_job_of_a_lost_worker_is_asked_about(world: World, attempts: Attempts) -> None:
    """Where the lost worker had done it, the question proves it without another cancel."""
    (order_id,) = world.place("ev")
    job_id = attempts.accept("ev", order_id)
    job = attempts.claim("ev", "lost")
    assert job is not None
    attempts.attempt(job)
    client = world.store().client
    client.zadd("cx:due:everstrike:ev", {job_id: 0})
    client.zadd("cx:lanes", {"everstrike:ev": 0})
    (job,) = attempts.run("ev", job_id)
    assert (job.outcome, job.attempts) == (Outcome.CANCELED, 2)
    assert len(attempts.arrivals("cancel")) == 1
    assert len(attempts.arrivals("query")) == 1


def test_nothing_is_sent_without_redis(
    sim: Simulator, own_redis: EmbeddedRedis, world: World
) -> None:
    """Without a token, a slot or a nonce from Redis no request leaves."""
    here = World(sim, own_redis.url, world.folder)
    attempts = Attempts(here, http=HTTP)
    jobs = []
    for alias in ("ix", "bm"):
        attempts.accept(alias, *here.place(alias))
        jobs.append(attempts.claim(alias))
    assert own_redis.process is not None
    own_redis.process.kill()
    own_redis.process.wait(10)
    for job in jobs:
        assert job is not None
        with pytest.raises(StoreUnavailable):
            attempts.pipeline.attempt(job, now_ms=0)
    assert attempts.arrivals() == []


def test_slots_come_back_when_replies_do(world: World) -> None:
    """A rate of two in flight lets a third go as soon as the window allows."""
    world.limits = {"bm": {"orders": {"max_requests": 2, "window_ms": 100}}}
    attempts = Attempts(world, http=HTTP)
    ids = [attempts.accept("bm", order_id) for order_id in world.place("bm", 6)]
    jobs = attempts.run("bm", *ids, threads=4)
    assert {job.outcome for job in jobs} == {Outcome.CANCELED}
    at_ms = [arrival.at_ms for arrival in attempts.arrivals("cancel")]
    for begin in at_ms:
        assert sum(begin <= at < begin + 100 for at in at_ms) <= 2
    assert eventually(lambda: all(attempts.ended(job_id) for job_id in ids))
