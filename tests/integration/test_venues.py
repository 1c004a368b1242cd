"""What every exchange that workers know must pass, by real attempts on its simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.attempts import Attempts
from tests.support.world import ALL_KEYS, MORE_KEYS, World
from worker import Outcome, State
from worker.simulator import Simulator

HTTP = {"deadline_ms": 300, "connect_ms": 300, "resend_budget_ms": 0}
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
OWN_FAULTS = ["binance_unknown", "binance_halted"]


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> World:
    """A world with an account at each of these exchanges."""
    return World(sim, redis_url, tmp_path, aliases=tuple(MORE_KEYS))


@pytest.fixture
def attempts(world: World) -> Attempts:
    return Attempts(world, http=HTTP)


@pytest.mark.parametrize("alias", MORE_KEYS)
def test_one_request_proves_a_cancel(world: World, attempts: Attempts, alias: str) -> None:
    """On a healthy exchange nothing else is needed."""
    (order_id,) = world.place(alias)
    (job,) = attempts.run(alias, attempts.accept(alias, order_id))
    assert (job.state, job.outcome, job.attempts) == (State.DONE, Outcome.CANCELED, 1)
    assert world.status(alias, order_id) == "canceled"


@pytest.mark.parametrize("alias", MORE_KEYS)
def test_a_filled_order_is_gone(world: World, attempts: Attempts, alias: str) -> None:
    """It is not called canceled."""
    (order_id,) = world.place(alias)
    world.sim.fill(ALL_KEYS[alias][0], order_id)
    (job,) = attempts.run(alias, attempts.accept(alias, order_id))
    assert (job.state, job.outcome) == (State.DONE, Outcome.GONE)


@pytest.mark.parametrize("alias", MORE_KEYS)
def test_an_order_that_never_was_is_not_called_canceled(world: World, alias: str) -> None:
    """It ends in the dead letters as unknown."""
    jobs = {"missing_max_ms": 1, "backoff_base_ms": 1, "max_attempts": 20}
    attempts = Attempts(world, http=HTTP, jobs=jobs)
    (job,) = attempts.run(alias, attempts.accept(alias, "404404"))
    assert (job.state, job.outcome) == (State.DEAD, Outcome.UNKNOWN)


@pytest.mark.parametrize("alias", MORE_KEYS)
def test_a_pair_is_emptied_and_nothing_else(world: World, attempts: Attempts, alias: str) -> None:
    """By one request for the pair, proven by a list."""
    mine = world.place(alias, 20)
    (other,) = world.place(alias, pair="ETHUSDT")
    (job,) = attempts.run(alias, attempts.accept(alias))
    assert (job.state, job.outcome) == (State.DONE, Outcome.GONE), job.history
    assert {world.status(alias, order) for order in mine} == {"canceled"}
    assert world.status(alias, other) == "open"


@pytest.mark.parametrize("alias", MORE_KEYS)
@pytest.mark.parametrize("fault", [*FAULTS, *OWN_FAULTS])
def test_an_order_is_off_the_book_after_a_fault(
    world: World, attempts: Attempts, alias: str, fault: str
) -> None:
    """Whatever became of the first request, the outcome is the truth."""
    world.sim.set_option("delay_ms", 600)
    (order_id,) = world.place(alias)
    world.sim.fault_next(fault, exchange=ALL_KEYS[alias][0], paths=["cancel"])
    (job,) = attempts.run(alias, attempts.accept(alias, order_id))
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    assert world.status(alias, order_id) == "canceled"
    assert job.attempts >= 2
