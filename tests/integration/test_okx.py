"""What only OKX does, by real attempts on its simulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attempts import Attempts
from tests.support.world import World
from worker import Outcome, State
from worker.simulator import Simulator


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with one account, whose orders are canceled as soon as they are asked to be."""
    sim.set_option("okx_cancel_ms", 0)
    made = World(sim, redis_url, tmp_path, aliases=("ok",))
    yield made
    made.close()


@pytest.mark.parametrize(
    "kind",
    [
        "conditional",
        "oco",
        "trigger",
        "move_order_stop",
        "iceberg",
        "twap",
        "chase",
        "smart_iceberg",
    ],
)
def test_algo_orders_of_each_kind_are_canceled_with_a_scope(world: World, kind: str) -> None:
    """A list has one kind, so that each kind is asked for."""
    world.sim.set_option("okx_algo", kind)
    (algo,), (plain,) = world.place("ok", stop=True), world.place("ok")
    (other,) = world.place("ok", pair="ETH-USDT", stop=True)
    attempts = Attempts(world)
    (job,) = attempts.run("ok", attempts.accept("ok"), within_ms=60_000)
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    assert {world.status("ok", each) for each in (algo, plain)} == {"canceled"}
    assert world.status("ok", other) == "open"


def test_a_site_without_later_kinds_is_emptied(world: World) -> None:
    """It refuses to list them, which says that it has none."""
    world.sim.set_option("okx_lacks", ["chase", "smart_iceberg"])
    (algo,) = world.place("ok", stop=True)
    attempts = Attempts(world)
    (job,) = attempts.run("ok", attempts.accept("ok"), within_ms=60_000)
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    assert world.status("ok", algo) == "canceled"
