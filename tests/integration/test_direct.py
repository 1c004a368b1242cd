"""The emergency path: this process sends by itself, with Redis away, frozen or there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.world import KEYS, World
from worker import InvalidCommand, Outcome, Producer, SettingsError, State, UnknownAccount, clock
from worker.client.commands import cancels
from worker.direct.runner import REDIS_LOST
from worker.factory import build_direct
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis, own_port

SCOPE: dict[str, Any] = {"pair": "btc_idr", "side": "buy"}
FAST = {"backoff_base_ms": 1, "backoff_max_ms": 5}
WITHIN_MS = 20_000
REFUSED_ATTEMPTS = 3
"""At once, then 1 s and 2 s later."""


def scope_of(alias: str) -> dict[str, Any]:
    """Return what a cancel needs beside the id."""
    return SCOPE if KEYS[alias][0] == "indodax" else {}


@pytest.fixture
def away(sim: Simulator, tmp_path: Path) -> World:
    """A world without Redis."""
    return World(sim, f"redis://127.0.0.1:{own_port()}/0", tmp_path, tables={"jobs": FAST})


@pytest.mark.parametrize("alias", KEYS)
def test_an_order_is_canceled_without_redis(away: World, alias: str) -> None:
    """On every exchange, token and nonce and all, and what was filled is not called canceled."""
    (opened, filled) = away.place(alias, 2)
    away.sim.fill(KEYS[alias][0], filled)
    producer = away.producer()
    result = producer.cancel_direct(alias, opened, **scope_of(alias), timeout_ms=WITHIN_MS)
    assert (result.outcome, result.state, result.proven) == (Outcome.CANCELED, State.DONE, True)
    assert away.status(alias, opened) == "canceled"
    assert result.latency_ms is not None
    result = producer.cancel_direct(alias, filled, **scope_of(alias), timeout_ms=WITHIN_MS)
    assert (result.outcome, result.proven) == (Outcome.GONE, True)


@pytest.mark.parametrize("alias", ["ev", "ix", "bm"])
@pytest.mark.parametrize("fault", ["accept_then_drop", "drop_before", "html_5xx", "garbage"])
def test_a_fault_is_followed_by_a_question(away: World, alias: str, fault: str) -> None:
    """A first reply that proves nothing is not rounded; the outcome in the end is the truth."""
    (order_id,) = away.place(alias)
    away.sim.fault_next(fault, exchange=KEYS[alias][0], paths=["cancel"])
    result = away.producer().cancel_direct(alias, order_id, **scope_of(alias), timeout_ms=WITHIN_MS)
    assert result.outcome is Outcome.CANCELED, result
    assert result.attempts >= 2
    assert away.status(alias, order_id) == "canceled"


def test_what_is_not_proven_in_time_is_unknown(away: World) -> None:
    """Whatever the exchange says last, and no request is under way afterwards."""
    away.sim.set_faults({"html_5xx": 1.0})
    (order_id,) = away.place("ev")
    result = away.producer().cancel_direct("ev", order_id, timeout_ms=300)
    assert (result.outcome, result.state, result.proven) == (Outcome.UNKNOWN, State.DEAD, False)
    assert "not proven within" in result.detail
    assert result.attempts >= 1
    seen = len(away.sim.journal())
    away.sim.set_faults({})
    assert away.producer().cancel_direct("ev", order_id, timeout_ms=WITHIN_MS).proven
    assert len(away.sim.journal()) > seen


def test_a_reply_that_comes_too_late_is_no_proof(away: World) -> None:
    """The time given bounds the request under way as well."""
    away.sim.set_option("delay_ms", 60_000)
    away.sim.fault_next("delay", exchange="everstrike")
    (order_id,) = away.place("ev")
    result = away.producer().cancel_direct("ev", order_id, timeout_ms=250)
    assert (result.outcome, result.proven) == (Outcome.UNKNOWN, False)


def test_a_scope_is_emptied_without_redis(away: World) -> None:
    """What is listed is canceled one by one, and only an empty list proves it."""
    orders = away.place("ix", 5)
    others = away.place("ix", 2, side="sell")
    result = away.producer().cancel_all_direct("ix", **SCOPE, timeout_ms=WITHIN_MS)
    assert (result.outcome, result.proven) == (Outcome.CANCELED, True)
    assert {away.status("ix", order_id) for order_id in orders} == {"canceled"}
    assert {away.status("ix", order_id) for order_id in others} == {"open"}


def test_limits_are_kept_over_all_threads(away: World) -> None:
    """As counted at the exchange, however many callers there are."""
    away.limits = {"bm": {"orders": {"max_requests": 2, "window_ms": 150}}}
    producer = away.producer()
    orders = away.place("bm", 8)
    with ThreadPoolExecutor(8) as pool:
        results = list(
            pool.map(
                lambda order_id: producer.cancel_direct("bm", order_id, timeout_ms=WITHIN_MS),
                orders,
            )
        )
    assert {result.outcome for result in results} == {Outcome.CANCELED}
    at_ms = [arrival.at_ms for arrival in away.sim.journal() if arrival.operation != "token"]
    assert max(sum(begin <= at < begin + 150 for at in at_ms) for begin in at_ms) <= 2
    assert len([a for a in away.sim.journal() if a.operation == "token"]) == 1


def test_nonces_of_many_threads_arrive_in_order(away: World) -> None:
    """Requests of one key never overtake each other."""
    producer = away.producer()
    orders = away.place("ix", 12)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda it: producer.cancel_direct("ix", it, **SCOPE), orders))
    arrivals = away.sim.journal()
    nonces = [arrival.nonce or 0 for arrival in arrivals]
    assert nonces == sorted(set(nonces))
    assert {arrival.refusal for arrival in arrivals} == {None}


@pytest.mark.parametrize("ahead", [10**6, 10**15])
def test_nonces_begin_at_the_time_and_correct_themselves(away: World, ahead: int) -> None:
    """A key whose nonces are higher, or have more digits, says so once."""
    first, second = away.place("ix", 2)
    away.sim.set_nonce(KEYS["ix"][1], clock.now_ms() + ahead)
    producer = away.producer()
    result = producer.cancel_direct("ix", first, **SCOPE, timeout_ms=WITHIN_MS)
    assert (result.outcome, result.attempts) == (Outcome.CANCELED, 2)
    assert producer.cancel_direct("ix", second, **SCOPE, timeout_ms=WITHIN_MS).attempts == 1


def test_a_frozen_redis_is_not_waited_for(
    sim: Simulator, own_redis: EmbeddedRedis, tmp_path: Path
) -> None:
    """It is looked at once, for as long as a call of it may take, and then done without."""
    here = World(sim, own_redis.url, tmp_path, tables={"jobs": FAST})
    direct = build_direct(here.settings(redis_timeout_ms=200))
    orders = here.place("ev", 3)
    jobs = cancels(here.settings().account("ev").adapter, "ev", orders, pair=None, side=None)
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        run = direct.run(jobs, timeout_ms=WITHIN_MS)
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
    assert "did not answer" in run.alone
    assert {job.outcome for job in run.jobs} == {Outcome.CANCELED}
    assert all((job.finished_ms or 0) - job.created_ms < 5_000 for job in run.jobs)


def test_redis_that_answers_shares_its_limits_nonces_and_tokens(world: World) -> None:
    """What workers have used counts here, and the other way round."""
    producer = world.producer()
    for alias in ("ix", "bm"):
        (order_id,) = world.place(alias)
        assert producer.cancel_direct(alias, order_id, **scope_of(alias)).proven
    names = {str(name).split(":")[1] for name in world.store().client.scan_iter("cx:*")}
    assert {"nonce", "token", "limit"} <= names
    assert "job" not in names
    assert "due" not in names


def test_direct_cancel_continues_when_redis_goes_down(
    sim: Simulator, own_redis: EmbeddedRedis, tmp_path: Path
) -> None:
    """What this process has sent until then still counts; token and nonces continue, too."""
    here = World(sim, own_redis.url, tmp_path, tables={"jobs": FAST})
    here.limits = {"bm": {"orders": {"max_requests": 2, "window_ms": 500}}}
    direct = build_direct(here.settings(redis_timeout_ms=200))
    assert own_redis.process is not None
    redis = own_redis.process
    killed = threading.Event()

    def kill() -> None:
        eventually(lambda: len(here.sim.journal()) >= 5)
        redis.kill()
        killed.set()

    killer = threading.Thread(target=kill)
    killer.start()
    adapter = here.settings().account("bm").adapter
    jobs = cancels(adapter, "bm", here.place("bm", 10), pair=None, side=None)
    run = direct.run(jobs, timeout_ms=WITHIN_MS)
    killer.join()
    assert killed.is_set()
    assert run.alone == REDIS_LOST
    assert {job.outcome for job in run.jobs} == {Outcome.CANCELED}
    arrivals = here.sim.journal()
    at_ms = [arrival.at_ms for arrival in arrivals if arrival.operation != "token"]
    assert max(sum(begin <= at < begin + 500 for at in at_ms) for begin in at_ms) <= 2
    assert len(at_ms) == len(arrivals) - 1

    adapter = here.settings().account("ix").adapter
    for order_id in here.place("ix", 2):
        jobs = cancels(adapter, "ix", [order_id], **SCOPE)
        assert direct.run(jobs, timeout_ms=WITHIN_MS).jobs[0].attempts == 1


def test_what_cannot_be_sent_is_refused_before(away: World) -> None:
    """And a missing secret of another account is no obstacle."""
    accounts = {"ev": away.account("ev"), "ix": {"exchange": "indodax"}}
    producer = Producer(away.settings(accounts=accounts))
    refusals: tuple[tuple[Callable[[], object], type[Exception], str], ...] = (
        (lambda: producer.cancel_direct("nosuch", "1"), UnknownAccount, "known: ev, ix"),
        (lambda: producer.cancel_direct("ix", "1"), InvalidCommand, "needs the pair"),
        (lambda: producer.cancel_direct("ix", "1", **SCOPE), SettingsError, "api_key is missing"),
        (lambda: producer.cancel_direct("ev", ""), InvalidCommand, "not an order id"),
    )
    for call, kind, words in refusals:
        with pytest.raises(kind, match=words):
            call()
    assert away.sim.journal() == []
    (order_id,) = away.place("ev")
    assert producer.cancel_direct("ev", order_id).proven


def test_refused_for_good_is_not_tried_again(away: World) -> None:
    """A wrong secret ends before the time given is up, and says so."""
    wrong = {**away.account("ix"), "api_secret": "wrong-secret-0123456789"}
    producer = Producer(away.settings(accounts={"ix": wrong}))
    result = producer.cancel_direct("ix", *away.place("ix"), **SCOPE, timeout_ms=WITHIN_MS)
    assert (result.outcome, result.state) == (Outcome.UNAUTHORIZED, State.DEAD)
    assert result.attempts == REFUSED_ATTEMPTS
    assert "refused the account's credentials" in result.detail
    assert "wrong-secret" not in result.detail


def test_a_login_that_is_refused_for_a_moment_is_waited_out(away: World) -> None:
    """Many orders whose first attempts are refused, all at once, are canceled all the same."""
    settings = away.settings()
    jobs = cancels(settings.account("it").adapter, "it", away.place("it", 12), **SCOPE)
    away.sim.fault_next("indodax_bad_sign", exchange="indodax", times=12)
    run = build_direct(settings).run(jobs, timeout_ms=WITHIN_MS)
    assert [each.fault for each in away.sim.journal()].count("indodax_bad_sign") == len(jobs)
    assert {job.outcome for job in run.jobs} == {Outcome.CANCELED}
    assert not run.refused
