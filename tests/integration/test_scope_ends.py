"""How a cancel-all ends: by the results for the orders that it found, and of nothing else."""

from __future__ import annotations

import logging

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
    assert job.detail == "no open order left in the scope: 2 canceled, 1 found closed"
    result = read_result(job)
    assert (result.canceled, result.closed) == (2, 1)
    described = job.describe()
    assert (described["canceled"], described["closed"], described["unproven"]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("alias", "typo"), [("ev", "BTCUSD"), ("bm", "btc_usdt"), ("ev", "btc-usd")]
)
def test_a_pair_that_no_list_has_shown_is_warned_of(
    world: World, attempts: Attempts, alias: str, typo: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where an exchange lists an unknown pair as empty, the order may be on another."""
    world.place(alias, pair=PAIRS[alias])
    with caplog.at_level(logging.WARNING):
        (job,) = attempts.run(alias, attempts.accept(alias, pair=typo))
    assert job.outcome is Outcome.GONE
    assert "no list of this account has shown this pair yet" in job.detail
    assert any("has shown this pair" in each.getMessage() for each in caplog.records)


def test_a_pair_that_a_list_has_shown_is_not_warned_of(world: World, attempts: Attempts) -> None:
    """An empty scope of a pair that is traded is nothing to look at."""
    world.place("ev", pair="BTC_USD")
    attempts.run("ev", attempts.accept("ev", pair="BTC_USD"))
    (job,) = attempts.run("ev", attempts.accept("ev", pair="BTC_USD"))
    assert (job.outcome, job.detail) == (Outcome.GONE, "nothing open in the scope, looked at twice")


def test_orders_with_cancels_of_their_own_are_not_counted(world: World, attempts: Attempts) -> None:
    """An order that was being canceled already is another job's."""
    (order_id,) = world.place("ev", pair="BTC_USD")
    world.place("ev", pair="BTC_USD")
    single = attempts.accept("ev", order_id, pair="BTC_USD", side="buy")
    job, one = attempts.run("ev", attempts.accept("ev", pair="BTC_USD"), single)
    assert (job.canceled + job.closed, one.outcome) == (1, Outcome.CANCELED)
