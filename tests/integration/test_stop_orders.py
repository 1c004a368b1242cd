"""Stop orders: taken with their scope, or kept to protect a position."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attempts import Attempts
from tests.support.ledgers import Bench, new_job
from tests.support.polling import eventually
from tests.support.world import World
from worker import InvalidCommand, Outcome
from worker.model.jobs import Kind
from worker.simulator import Simulator

BINANCE = ("bn", "bu", "bc")
"""`bu`, as `ok`, lists stop orders apart from others; `bn` and `bc` list all together."""
PAIRS = {"bc": "BTC/USD:BTC", "kr": "BTC/USD", "ix": "btc_idr"}
OTHER_PAIRS = {"ix": "eth_idr", "ok": "ETH-USDT", "kr": "ETHUSD"}


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """A world with these accounts."""
    made = World(sim, redis_url, tmp_path, aliases=(*BINANCE, "ix", "ev", "ok", "kr"))
    yield made
    made.close()


def statuses(world: World, alias: str, orders: list[str]) -> set[str]:
    """Return the states of orders."""
    return {world.status(alias, order) for order in orders}


@pytest.mark.parametrize("stops", ["take", "keep"])
@pytest.mark.parametrize("alias", [*BINANCE, "ix", "ok", "kr"])
def test_a_cancel_all_takes_stop_orders_or_keeps_them(world: World, alias: str, stops: str) -> None:
    """By default it takes them; other pairs' stop orders stay in any case."""
    attempts = Attempts(world)
    plain, protective = world.place(alias, 2), world.place(alias, 2, stop=True)
    elsewhere = world.place(alias, stop=True, pair=OTHER_PAIRS.get(alias, "ETHUSDT"))
    pair = PAIRS.get(alias, "BTC/USDT")
    ticket = world.producer().cancel_all(alias, pair=pair, stops=stops)
    (job,) = attempts.run(alias, ticket.id)
    assert job.outcome in (Outcome.CANCELED, Outcome.GONE), job.history
    assert statuses(world, alias, plain) == {"canceled"}
    assert statuses(world, alias, protective) == ({"canceled"} if stops == "take" else {"open"})
    assert statuses(world, alias, elsewhere) == {"open"}
    assert "not proven" not in job.detail


def test_stop_orders_alone_are_a_scope_too(world: World) -> None:
    """The exchange's own cancel of the pair does not reach them; each is asked about."""
    attempts = Attempts(world)
    stops = world.place("bu", 3, stop=True, client_ids=["grid-1", "grid-2", "mm-1"])
    ticket = world.producer().cancel_all("bu", client_id_prefix="grid-")
    (job,) = attempts.run("bu", ticket.id)
    assert (job.outcome, job.canceled) == (Outcome.CANCELED, 2)
    assert [world.status("bu", order) for order in stops] == ["canceled", "canceled", "open"]
    assert {arrival.operation for arrival in attempts.arrivals()} == {
        *("open_algos", "cancel_algo", "query_algo", "open_orders")
    }


def test_a_silent_strategys_stop_orders_come_off_unless_it_keeps_them(world: World) -> None:
    """The exchange's timer leaves them: workers take them at the deadline, and say so."""
    world.worker()
    producer = world.producer()
    plain = world.place("bu", 2) + world.place("bu", 1, pair="ETHUSDT")
    taken, kept = world.place("bu", 2, stop=True), world.place("bu", 2, stop=True, pair="ETHUSDT")
    takes = producer.arm("bu", pairs=["BTCUSDT"], timeout_ms=8_000)
    keeps = producer.arm("bu", pairs=["ETHUSDT"], timeout_ms=8_000, stops="keep")
    spot = producer.arm("bc", pairs=["BTCUSD_PERP"], timeout_ms=60_000, stops="keep")
    assert (takes.held, keeps.held, spot.held) == ("both", "exchange", "workers")
    assert "which are to stay" in spot.held_why

    def over() -> bool:
        return statuses(world, "bu", plain + taken) == {"canceled"}

    eventually(over, within_ms=20_000, what="the switches' orders are canceled")
    assert statuses(world, "bu", kept) == {"open"}
    record = keeps.record()
    assert record is not None
    assert record.describe(0)["stops"] == "keep"


def test_stop_orders_that_no_list_shows_cannot_be_kept(world: World) -> None:
    """Nothing is queued or armed; without that the outcome says that they may be open."""
    producer, attempts = world.producer(), Attempts(world)
    world.place("ev")
    ticket = producer.cancel_all("ev", pair="btc_idr")
    (job,) = attempts.run("ev", ticket.id)
    assert job.outcome is Outcome.CANCELED
    assert "its stop orders may be open: everstrike has no documented" in ticket.result().detail
    for stops, words in (("keep", "how to tell stop orders"), ("some", '"take" or "keep"')):
        with pytest.raises(InvalidCommand, match=words):
            producer.cancel_all("ev", stops=stops)
        with pytest.raises(InvalidCommand, match=words):
            producer.arm("ev", pairs=["x_y"], timeout_ms=60_000, stops=stops)


def test_who_takes_stop_orders_widens_a_pending_job(redis_url: str) -> None:
    """It is one job, and who asked to keep them gets what the other asked for."""
    bench = Bench(redis_url)
    kept, taken, again = (
        bench.ledger.accept([new_job("", kind=Kind.CANCEL_ALL, stops=stops)])[0]
        for stops in ("keep", "", "keep")
    )
    assert kept.id == taken.id == again.id
    assert bench.get(kept.id).stops == ""
    stop = bench.ledger.accept([new_job("17", stop=True), new_job("17")])
    assert [each.fresh for each in stop] == [True, True]
    assert bench.get(stop[0].id).stop
