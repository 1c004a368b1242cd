"""Orders that are named by the ids that their strategy gave them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.attempts import HTTP, Attempts
from tests.support.ledgers import EV, Bench, Verb, new_job
from tests.support.polling import eventually
from tests.support.world import MORE_KEYS, PAIRS, World
from worker import (
    InvalidCommand,
    Outcome,
    State,
    Switch,
    SwitchClearing,
    SwitchOverlap,
    SwitchTripped,
)
from worker.model.jobs import Kind
from worker.simulator import Simulator

BINANCE = ("bn", "bu", "bc")


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with an account at each exchange that takes client order ids."""
    made = World(sim, redis_url, tmp_path, aliases=(*MORE_KEYS, "ev"))
    yield made
    made.close()


@pytest.fixture
def bench(redis_url: str) -> Bench:
    return Bench(redis_url)


@pytest.mark.parametrize("alias", ["bn", "bu", "bc", "i2"])
def test_a_lost_reply_is_asked_about_by_the_same_id(world: World, alias: str) -> None:
    """The cancel was carried out; the question names the order as the cancel did."""
    attempts = Attempts(world, http=HTTP)
    (order,) = world.place(alias, client_ids=["my-17"])
    (other,) = world.place(alias, client_ids=["my-18"])
    world.sim.fault_next("accept_then_drop", exchange=MORE_KEYS[alias][0], paths=["cancel"])
    ticket = world.producer().cancel(alias, client_order_id="my-17", pair=PAIRS[alias])
    (job,) = attempts.run(alias, ticket.id)
    assert (job.state, job.outcome) == (State.DONE, Outcome.CANCELED), job.history
    assert (job.order_id, job.client_order_id, ticket.client_order_id) == (None, "my-17", "my-17")
    assert [world.status(alias, each) for each in (order, other)] == ["canceled", "open"]
    assert [arrival.operation for arrival in attempts.arrivals()] == ["cancel", "query"]


def test_an_order_that_never_was_is_replayed_by_its_clients_id(world: World) -> None:
    """It is a dead letter first, since nothing is proven; the order then appears."""
    attempts = Attempts(world, http=HTTP, jobs={"missing_max_ms": 1, "backoff_base_ms": 1})
    producer = world.producer()
    lost = producer.cancel("bn", client_order_id="my-17", pair="BTCUSDT")
    (job,) = attempts.run("bn", lost.id)
    assert (job.state, job.outcome) == (State.DEAD, Outcome.UNKNOWN)
    (order,) = world.place("bn", client_ids=["my-17"])
    again = producer.replay(lost.id)
    (job,) = attempts.run("bn", again.id)
    assert (job.outcome, again.client_order_id) == (Outcome.CANCELED, "my-17")
    assert world.status("bn", order) == "canceled"


@pytest.mark.parametrize(
    ("alias", "pair"), [("bn", None), ("bu", "BTCUSDT"), ("kr", None), ("i2", "BTC/IDR")]
)
def test_a_prefix_takes_only_the_orders_of_one_strategy(
    world: World, alias: str, pair: str | None
) -> None:
    """No request for the whole scope is sent, and the list's other orders stay."""
    attempts = Attempts(world)
    grid = world.place(alias, 2, client_ids=["grid-1", "grid-2"])
    others = world.place(alias, 3, client_ids=["mm-1", "my-grid-3"])
    ticket = world.producer().cancel_all(alias, pair=pair, client_id_prefix="grid-")
    (job,) = attempts.run(alias, ticket.id)
    assert (job.outcome, job.canceled, job.client_id_prefix) == (Outcome.CANCELED, 2, "grid-")
    assert {world.status(alias, order) for order in grid} == {"canceled"}
    assert {world.status(alias, order) for order in others} == {"open"}
    operations = {arrival.operation for arrival in attempts.arrivals()} - {"open_algos"}
    assert operations == {"open_orders", "cancel"}


def test_an_exchange_without_client_ids_refuses_them(world: World) -> None:
    """Nothing is queued."""
    with pytest.raises(InvalidCommand, match="no documented way to cancel an order by its client"):
        world.producer().cancel("ev", client_order_id="my-17")
    with pytest.raises(InvalidCommand, match="no documented way to list orders by their client"):
        world.producer().cancel_all("ev", client_id_prefix="my-")


def test_a_client_id_is_not_the_exchanges_id_of_the_same_text(bench: Bench) -> None:
    """Each name has a job of its own, and ends by itself."""
    (by_id, by_client, again) = bench.ledger.accept(
        [
            new_job("17"),
            new_job("", client_order_id="17"),
            new_job("", client_order_id="17"),
        ]
    )
    assert (by_id.fresh, by_client.fresh, again.fresh) == (True, True, False)
    assert again.id == by_client.id != by_id.id
    bench.settle(bench.take(), Verb.DONE)
    assert bench.client.hlen(f"cx:pending:{EV}") == 1


def test_older_workers_leave_alone_what_they_cannot_name(bench: Bench) -> None:
    """Only such a record is of a later form: they still read all others."""
    jobs = [
        new_job("17"),
        new_job("", client_order_id="17"),
        new_job("", kind=Kind.CANCEL_ALL),
        new_job("", kind=Kind.CANCEL_ALL, client_id_prefix="17"),
    ]
    accepted = bench.ledger.accept(jobs)
    assert [each.fresh for each in accepted] == [True] * 4
    forms = [bench.client.hget(f"cx:job:{each.id}", "v") for each in accepted]
    assert forms == ["1", "2", "1", "2"]


def test_a_silent_strategy_loses_its_own_orders_alone(world: World) -> None:
    """A prefix bounds the scope, whatever timer the exchange has; lone ids are added to it."""
    grid = {alias: world.place(alias, 2, client_ids=["grid-1", "grid-2"]) for alias in BINANCE}
    lone = world.place("bn", client_ids=["lone-1"])
    others = {alias: world.place(alias, 3, client_ids=["mm-1", "lone-2"]) for alias in BINANCE}
    world.worker()
    producer = world.producer()
    spot = producer.arm(
        "bn", pairs=["BTC/USDT"], client_id_prefix="grid-", timeout_ms=1_500, name="grid"
    )
    spot.track(client_order_id="lone-1")
    futures = [
        producer.arm(alias, client_id_prefix="grid-", timeout_ms=1_500) for alias in ("bu", "bc")
    ]
    assert {switch.held for switch in (spot, *futures)} == {"workers"}
    assert "other client ids" in futures[0].held_why
    record = spot.record()
    assert record is not None
    assert (record.pairs, record.client_id_prefix) == (("BTCUSDT",), "grid-")
    assert (record.order_ids, record.client_order_ids) == ((), ("lone-1",))

    def taken() -> bool:
        mine = {world.status(alias, order) for alias in BINANCE for order in grid[alias]}
        return mine | {world.status("bn", order) for order in lone} == {"canceled"}

    eventually(taken, within_ms=12_000, what="the switches' orders are canceled")
    open_ones = {world.status(alias, order) for alias in BINANCE for order in others[alias]}
    assert open_ones == {"open"}
    assert not world.sim.timers()


def test_each_prefix_is_a_scope_of_its_own(world: World) -> None:
    """Also beside a pair's switch; the same one is taken over, and case and `_` count."""
    producer = world.producer()
    armed = [
        producer.arm("bn", pairs=["BTCUSDT"], client_id_prefix=prefix, timeout_ms=60_000)
        for prefix in ("grid_1", "grid1", "Grid1")
    ]
    armed.append(producer.arm("bn", pairs=["BTCUSDT"], timeout_ms=60_000))
    armed.append(producer.arm("bn", client_id_prefix="grid_1", timeout_ms=60_000))
    assert [switch.epoch for switch in armed] == [1] * 5
    again = producer.arm("bn", pairs=["BTC/USDT"], client_id_prefix="grid_1", timeout_ms=60_000)
    assert (again.id, again.epoch) == (armed[0].id, 2)
    with pytest.raises(SwitchOverlap, match=r"BTCUSDT \(client ids from grid_1\)"):
        producer.arm(
            "bn", pairs=["BTCUSDT", "ETHUSDT"], client_id_prefix="grid_1", timeout_ms=60_000
        )


def test_a_tracked_client_id_is_one_switchs(world: World) -> None:
    """It is another order than the exchange's of the same text, until it is untracked."""
    producer = world.producer()
    first = producer.arm("bn", pairs=["BTCUSDT"], client_order_ids=["17"], timeout_ms=60_000)
    second = producer.arm("bn", pairs=["ETHUSDT"], order_ids=["17"], timeout_ms=60_000)
    with pytest.raises(SwitchOverlap):
        second.track(client_order_id="17")
    first.untrack(client_order_id="17")
    second.track(client_order_ids=["17"])
    with pytest.raises(InvalidCommand, match="needs the pair"):
        producer.arm("bn", client_order_ids=["18"], timeout_ms=60_000)


def test_a_tripped_prefix_is_cleared_before_it_is_armed_again(world: World) -> None:
    """Until then its cancel-all may take orders that are placed now."""
    producer = world.producer()

    def arm() -> Switch:
        return producer.arm("bn", pairs=["BTCUSDT"], client_id_prefix="grid-", timeout_ms=1_000)

    switch = arm()

    def tripped() -> bool:
        try:
            switch.track(client_order_id="lone-1")
        except SwitchTripped:
            return True
        return False

    eventually(tripped, what="the deadline has passed")
    with pytest.raises(SwitchClearing, match=r"BTCUSDT \(client ids from grid-\)"):
        arm()
    assert producer.arm("bn", client_id_prefix="mm-", timeout_ms=1_000).epoch == 1
    names: Any = world.store().client.hkeys("cx:pending:binance:bn")
    assert sorted(names) == ["cancel_all|BTCUSDT||prefix grid-", "cancel|BTCUSDT||client lone-1"]
