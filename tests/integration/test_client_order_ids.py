"""Orders that are named by the ids that their strategy gave them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attempts import Attempts
from tests.support.ledgers import EV, Bench, Verb, new_job
from tests.support.world import MORE_KEYS, PAIRS, World
from worker import InvalidCommand, Outcome, State
from worker.model.jobs import Kind
from worker.simulator import Simulator

HTTP = {"deadline_ms": 300, "connect_ms": 300, "resend_budget_ms": 0}


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


@pytest.mark.parametrize(("alias", "pair"), [("bn", None), ("bu", "BTCUSDT")])
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
    assert {arrival.operation for arrival in attempts.arrivals()} == {"open_orders", "cancel"}


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
