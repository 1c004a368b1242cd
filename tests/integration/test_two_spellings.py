"""One pair armed under two names before its exchange's list of pairs is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.world import World
from worker import Switch
from worker.simulator import Simulator

MINUTE_MS = 60_000
CCXT, LISTED = "HYPE/USDC", "@107"
"""Names of one market; only the exchange's list tells that they are one."""


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with an account, and no worker yet that could fetch the list."""
    with closing(World(sim, redis_url, tmp_path, aliases=("hl",))) as world:
        yield world


def state(switch: Switch) -> str:
    """Return the state of a switch, by its record."""
    record = switch.record()
    assert record is not None
    return str(record.state)


@pytest.mark.parametrize("sooner", [CCXT, LISTED])
def test_the_earlier_of_two_deadlines_covers_the_orders(world: World, sooner: str) -> None:
    """Under whichever name it was armed; the other switch goes on as it was."""
    (order,), (other,) = world.place("hl", pair=LISTED), world.place("hl", pair="BTC")
    producer = world.producer()
    later = LISTED if sooner == CCXT else CCXT
    first = producer.arm("hl", pairs=[sooner], timeout_ms=2_000)
    second = producer.arm("hl", pairs=[later], timeout_ms=10 * MINUTE_MS)
    assert first.id != second.id
    world.worker()
    eventually(
        lambda: world.status("hl", order) == "canceled",
        within_ms=5 * MINUTE_MS,
        what="it is canceled",
    )
    assert (state(first), state(second)) == ("tripped", "armed")
    assert world.status("hl", other) == "open"
    second.disarm()


def test_arming_again_takes_over_the_switch_of_the_listed_name(world: World) -> None:
    """Under either name, once the list is known; the other switch ends at its own deadline."""
    producer = world.producer()
    typed = producer.arm("hl", pairs=[CCXT], timeout_ms=10 * MINUTE_MS)
    listed = producer.arm("hl", pairs=[LISTED], timeout_ms=10 * MINUTE_MS)
    world.worker()
    eventually(lambda: world.store().client.keys("cx:listed:*"), what="pairs are known")
    again = producer.arm("hl", pairs=[CCXT], timeout_ms=10 * MINUTE_MS)
    assert (again.id, again.epoch) == (listed.id, listed.epoch + 1)
    assert state(typed) == "armed"
    typed.disarm()
    assert (state(typed), state(again)) == ("disarmed", "armed")
    again.disarm()
