"""What only Bybit does, by real attempts on its simulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attempts import Attempts
from tests.support.world import World
from worker import Outcome, State
from worker.simulator import Simulator

ROOMY = {name: {"max_requests": 1_000, "window_ms": 1_000} for name in ("cancels", "queries")}


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with one account, whose orders are canceled as soon as they are asked to be."""
    sim.set_option("bybit_cancel_ms", 0)
    sim.set_option("bybit_cancels", 1_000)
    made = World(sim, redis_url, tmp_path, aliases=("bb",), limits={"bb": ROOMY})
    yield made
    made.close()


def test_an_order_that_a_restart_has_dropped_is_found_in_the_history(world: World) -> None:
    """The cancel's reply was lost, and the exchange no longer lists the order as a recent one."""
    attempts = Attempts(world)
    world.sim.set_option("bybit_restarted", value=True)
    canceled, filled = world.place("bb", 2)
    world.sim.fill("bybit", filled)
    world.sim.fault_next("accept_then_drop", exchange="bybit", paths=["cancel"])
    (job,) = attempts.run("bb", attempts.accept("bb", canceled))
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED)
    assert [each["phase"] for each in job.history] == ["send", "ask", "past"]
    (job,) = attempts.run("bb", attempts.accept("bb", filled))
    assert (job.state, job.outcome) == (State.DONE, Outcome.GONE)


@pytest.mark.parametrize("kind", ["Stop", "tpslOrder"])
def test_a_stop_order_of_spot_is_canceled_by_its_kind(world: World, kind: str) -> None:
    """Whether it is named by its id, or found in a scope that one cancel has emptied of others."""
    world.sim.set_option("bybit_category", "spot")
    world.sim.set_option("bybit_stop", kind)
    world.categories = {"bb": "spot"}
    attempts = Attempts(world)
    (named,) = world.place("bb", stop=True)
    (job,) = attempts.run("bb", attempts.accept("bb", named))
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    (stop,), (plain,), (other,) = (
        world.place("bb", stop=True),
        world.place("bb"),
        world.place("bb", pair="ETHUSDT", stop=True),
    )
    (job,) = attempts.run("bb", attempts.accept("bb"))
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    assert {world.status("bb", each) for each in (stop, plain)} == {"canceled"}
    assert world.status("bb", other) == "open"


def test_a_scope_of_more_orders_than_one_cancel_takes_is_emptied(world: World) -> None:
    """It is sent again until the list shows all that is left."""
    attempts = Attempts(world)
    mine = world.place("bb", 1_060)
    (other,) = world.place("bb", pair="ETHUSDT")
    (job,) = attempts.run("bb", attempts.accept("bb"), within_ms=60_000)
    assert job.state is State.DONE, job.history
    assert {world.status("bb", order) for order in mine} == {"canceled"}
    assert world.status("bb", other) == "open"
    phases = [each["phase"] for each in job.history]
    assert phases.count("send") >= 2, phases


def test_all_linear_contracts_are_listed_and_canceled(world: World) -> None:
    """By the coins that they are settled in, page after page."""
    attempts = Attempts(world)
    mine = world.place("bb", 60) + world.place("bb", 2, pair="BTCPERP")
    (job,) = attempts.run("bb", attempts.accept("bb", pair=""), within_ms=60_000)
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    assert {world.status("bb", order) for order in mine} == {"canceled"}
