"""How a cancel-all ends: by the results for the orders that it found, and of nothing else."""

from __future__ import annotations

import pytest

from tests.support.attempts import Attempts
from tests.support.world import World
from worker.client.ticket import read_result
from worker.model.jobs import State
from worker.model.outcomes import Outcome

PAIRS = {"ev": "BTC_USD", "ix": "btc_idr", "bm": "BTC_USDT"}


@pytest.fixture
def attempts(world: World) -> Attempts:
    """Attempts at the accounts of the world."""
    return Attempts(world)


@pytest.mark.parametrize("alias", PAIRS)
def test_a_scope_whose_only_order_is_filled_is_not_canceled(
    world: World, attempts: Attempts, alias: str
) -> None:
    """An order that is filled as its cancel arrives is gone, and so is its scope."""
    pair = PAIRS[alias]
    for exchange in ("everstrike", "indodax", "bitmart"):
        world.sim.fill_race(exchange, 1.0)
    (order_id,) = world.place(alias, pair=pair)
    (job,) = attempts.run(alias, attempts.accept(alias, pair=pair))
    assert world.status(alias, order_id) == "filled"
    assert (job.state, job.outcome, job.canceled) == (State.DONE, Outcome.GONE, 0)
    if alias != "bm":
        assert job.closed == 1
        assert "1 found closed" in job.detail


def test_a_scope_counts_how_its_orders_ended(world: World, attempts: Attempts) -> None:
    """One that was filled and two that were canceled: canceled, and the counts say so."""
    filled, *others = world.place("ev", 3, pair="BTC_USD")
    job_id = attempts.accept("ev", pair="BTC_USD")
    attempts.step("ev")
    world.sim.fill("everstrike", filled)
    (job,) = attempts.run("ev", job_id)
    assert {world.status("ev", each) for each in others} == {"canceled"}
    assert (job.outcome, job.canceled, job.closed) == (Outcome.CANCELED, 2, 1)
    assert "no open order left in the scope: 2 canceled, 1 found closed;" in job.detail
    result = read_result(job)
    assert (result.canceled, result.closed) == (2, 1)
    described = job.describe()
    assert (described["canceled"], described["closed"], described["unproven"]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("alias", "pair", "counted", "named"),
    [
        ("bn", "BTCUSDT", True, True),
        ("bu", "BTCUSDT", False, False),
        ("kr", "", True, False),
        ("de", "BTC-PERPETUAL", True, False),
        ("ga", "BTC_USDT", True, True),
        ("gf", "BTC_USDT", True, True),
    ],
)
def test_a_cancel_of_the_whole_scope_counts_what_the_exchange_says(
    world: World, alias: str, pair: str, *, counted: bool, named: bool
) -> None:
    """Where it says nothing, so does the outcome: the scope is empty, and why is not known."""
    world.aliases = (alias,)
    attempts = Attempts(world)
    orders = world.place(alias, 3)
    (job,) = attempts.run(alias, attempts.accept(alias, pair=pair))
    assert {world.status(alias, each) for each in orders} == {"canceled"}
    assert attempts.arrivals("cancel") == []
    outcome = Outcome.CANCELED if counted else Outcome.GONE
    assert (job.state, job.outcome, job.canceled) == (State.DONE, outcome, 3 if counted else 0)
    assert ("3 canceled" in job.detail) == counted
    assert ("no reply says what it canceled" in job.detail) != counted
    said = next(it["detail"] for it in job.history if it["detail"].startswith("cancel-all"))
    assert all(each in said for each in orders) == named


@pytest.mark.parametrize("typo", ["BTCUSD", "btc-usd", "BTC_UDS"])
def test_an_empty_list_of_a_pair_that_nothing_has_shown_proves_nothing(
    world: World, attempts: Attempts, typo: str
) -> None:
    """This exchange lists an unknown pair as empty, and has no list of its pairs."""
    (order,) = world.place("ev", pair="BTC_USD")
    job_id = attempts.accept("ev", pair=typo)
    attempts.step("ev")
    job = attempts.get(job_id)
    assert (job.state, job.outcome, job.empty) == (State.PENDING, Outcome.UNKNOWN, False)
    assert world.status("ev", order) == "open"
    assert "no list of this account has shown this pair" in job.detail or "open" in job.detail


def test_another_spelling_of_a_listed_pair_is_that_pair(world: World, attempts: Attempts) -> None:
    """Once the exchange's list of pairs is known; an empty list makes the worker fetch it."""
    (order,) = world.place("bm", pair="BTC_USDT")
    (job,) = attempts.run("bm", attempts.accept("bm", pair="btc_usdt"))
    assert job.outcome is Outcome.CANCELED
    assert world.status("bm", order) == "canceled"


@pytest.mark.parametrize("answer", ["listed", "html", "down", "empty"])
def test_a_pair_that_the_exchange_does_not_have_is_an_error(world: World, answer: str) -> None:
    """Unless its list of pairs is not available: then nothing is known, and nothing is proven."""
    world.aliases = ("ok",)
    attempts = Attempts(world)
    world.sim.set_option("pair_lists", answer)
    job_id = attempts.accept("ok", pair="BTC-UDST")
    for _ in range(8):
        if attempts.ended(job_id):
            break
        world.store().client.zadd("cx:due:okx:ok", {job_id: 0})
        attempts.step("ok")
    job = attempts.get(job_id)
    if answer == "listed":
        assert (job.state, job.outcome) == (State.DEAD, Outcome.REJECTED)
        assert job.detail == "okx has no pair 'BTC-UDST': check how it is written"
    else:
        assert (job.state, job.empty) == (State.PENDING, False)
        assert "pairs are not known yet" in job.detail


def test_a_pair_that_a_list_has_shown_is_not_warned_of(world: World, attempts: Attempts) -> None:
    """An empty scope of a pair that is traded is nothing to look at."""
    world.place("ev", pair="BTC_USD")
    attempts.run("ev", attempts.accept("ev", pair="BTC_USD"))
    (job,) = attempts.run("ev", attempts.accept("ev", pair="BTC_USD"))
    assert job.outcome is Outcome.GONE
    assert job.detail.startswith("nothing open in the scope, looked at twice; its stop orders")


def test_orders_with_cancels_of_their_own_are_not_counted(world: World, attempts: Attempts) -> None:
    """An order that was being canceled already is another job's."""
    (order_id,) = world.place("ev", pair="BTC_USD")
    world.place("ev", pair="BTC_USD")
    single = attempts.accept("ev", order_id, pair="BTC_USD", side="buy")
    job, one = attempts.run("ev", attempts.accept("ev", pair="BTC_USD"), single)
    assert (job.canceled + job.closed, one.outcome) == (1, Outcome.CANCELED)
