"""Markets of other exchanges on Hyperliquid, by real attempts and workers on its simulator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.attempts import Attempts
from tests.support.polling import eventually
from tests.support.world import World
from worker import InvalidCommand, Outcome, State
from worker.model.jobs import Kind, NewJob
from worker.model.names import lane_of
from worker.model.settlements import new_id
from worker.simulator import Simulator

MARKETS = ("BTC", "@107", "xyz:TSLA", "flx:TSLA", "#21")
"""Own ones, those of two other exchanges, and one whose name tells its asset id."""
CLOID = "0x" + "a1" * 16


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with an account."""
    with closing(World(sim, redis_url, tmp_path, aliases=("hl",))) as world:
        yield world


def lists(world: World, after: int = 0) -> str:
    """Return which lists were asked for, in turn: of orders, or `?` for that of exchanges."""
    letters = {"open_orders": "o", "dexs": "?"}
    return "".join(letters.get(it.operation, "") for it in world.sim.journal(after))


@pytest.mark.parametrize("pair", MARKETS)
def test_an_order_is_canceled_on_any_market(world: World, pair: str) -> None:
    """By its id, and by its client id."""
    attempts = Attempts(world)
    (order,) = world.place("hl", pair=pair)
    (mine,) = world.place("hl", pair=pair, client_ids=[CLOID])
    named = NewJob(
        id=new_id(),
        lane=lane_of("hyperliquid", "hl"),
        kind=Kind.CANCEL,
        client_order_id=CLOID,
        pair=pair,
    )
    jobs = attempts.run(
        "hl",
        attempts.accept("hl", order, pair=pair),
        attempts.ledger.accept([named])[0].id,
    )
    assert [job.outcome for job in jobs] == [Outcome.CANCELED] * 2
    assert {world.status("hl", each) for each in (order, mine)} == {"canceled"}


def test_a_scope_of_the_account_is_listed_exchange_by_exchange(world: World) -> None:
    """What the first page shows is canceled before the others are read."""
    attempts = Attempts(world)
    orders = [world.place("hl", pair=pair)[0] for pair in MARKETS]
    job_id = attempts.accept("hl", pair="")
    attempts.step("hl")
    assert lists(world) == "o"
    before = len(world.sim.journal())
    (job,) = attempts.run("hl", job_id)
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    assert f"{len(MARKETS)} canceled" in job.detail
    assert {world.status("hl", each) for each in orders} == {"canceled"}
    asked = lists(world, before).replace("?", "", 1)  # once for the asset ids
    assert asked.count("o?ooo") * 5 == len(asked)


def test_a_scope_of_a_pair_takes_one_list(world: World) -> None:
    """Of the exchange that the pair is on; the same coin elsewhere stays."""
    attempts = Attempts(world)
    (mine,), (other,) = world.place("hl", pair="xyz:TSLA"), world.place("hl", pair="flx:TSLA")
    (job,) = attempts.run("hl", attempts.accept("hl", pair="xyz:TSLA"))
    assert job.outcome is Outcome.CANCELED, job.history
    assert [world.status("hl", each) for each in (mine, other)] == ["canceled", "open"]
    assert lists(world).replace("o", "") == "?"  # for the asset ids


def test_a_page_that_is_not_had_proves_nothing(world: World) -> None:
    """The orders of the pages before it are canceled, and the list is read again."""
    attempts = Attempts(world)
    orders = [world.place("hl", pair=pair)[0] for pair in ("BTC", "flx:CRCL")]
    world.sim.fault_next("hyperliquid_internal", exchange="hyperliquid", paths=["dexs"], times=2)
    (job,) = attempts.run("hl", attempts.accept("hl", pair=""))
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    assert {world.status("hl", each) for each in orders} == {"canceled"}


@pytest.mark.parametrize("reached", [True, False])
def test_a_switch_of_everything_covers_other_exchanges(world: World, *, reached: bool) -> None:
    """Whether the exchange's timer reaches them or not: workers look at them at the deadline."""
    world.sim.set_option("hyperliquid_fires_on_dexs", reached)
    orders = [world.place("hl", pair=pair)[0] for pair in MARKETS]
    world.worker()
    switch = world.producer().arm("hl", everything=True, timeout_ms=20_000)
    assert switch.held == "both"
    assert "workers for markets" in switch.held_why
    eventually(world.sim.timers, what="the timer is set")
    eventually(
        lambda: {world.status("hl", each) for each in orders} == {"canceled"},
        what="all are canceled",
        within_ms=60_000,
    )


def test_pairs_of_other_exchanges_are_named_in_either_spelling(world: World) -> None:
    """One switch owns a pair under both names; what is not listed is refused."""
    world.worker()
    producer = world.producer()
    eventually(lambda: world.store().client.keys("cx:listed:*"), what="pairs are known")
    switch = producer.arm("hl", pairs=["XYZ-TSLA/USDC:USDC"], timeout_ms=60_000)
    again = producer.arm("hl", pairs=["xyz:TSLA"], timeout_ms=60_000)
    assert (again.id, again.held) == (switch.id, "workers")
    named = producer.arm("hl", pairs=["xyz:TSLA"], client_id_prefix="0xa1", timeout_ms=60_000)
    record = named.record()
    assert record is not None
    assert (record.pairs, record.client_id_prefix) == (("xyz:TSLA",), "0xa1")
    with pytest.raises(InvalidCommand, match="hyperliquid has no pair 'xyz:NONE'"):
        producer.arm("hl", pairs=["xyz:NONE"], timeout_ms=60_000)
    again.disarm()
    named.disarm()
