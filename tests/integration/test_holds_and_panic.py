"""`cancel_all(hold_ms=…)`, `panic`, and what they did, order by order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.polling import eventually
from tests.support.shell import Run
from tests.support.world import World
from worker import Outcome, Result, State, UnknownAccount
from worker.client.ticket import Ticket
from worker.dispatch.dispatcher import Dispatcher
from worker.errors import InvalidCommand
from worker.factory import build_dispatcher

HOLD_MS = 1_500
EXCHANGES = ("everstrike", "indodax")


@pytest.fixture
def engine(world: World) -> Iterator[Dispatcher]:
    """A worker's parts, run by hand."""
    engine = build_dispatcher(world.settings())
    engine.register()
    yield engine
    engine.stop()


def until(engine: Dispatcher, done: Callable[[], bool]) -> None:
    """Run what is due until that holds."""

    def look() -> bool:
        for exchange in EXCHANGES:
            engine.run_exchange(exchange)
        return done()

    eventually(look, within_ms=60_000)


def test_a_scope_is_kept_empty_until_the_time_is_over(world: World, engine: Dispatcher) -> None:
    """Orders that a bot places meanwhile are canceled too; the job then says what it did."""
    first = world.place("ev", 2)
    ticket = world.producer().cancel_all("ev", hold_ms=HOLD_MS)
    results: list[Result] = []
    ticket.on_outcome(results.append)

    def empty(*ids: str) -> bool:
        return not {*ids} & {*open_ids(world)}

    until(engine, lambda: empty(*first))
    job = world.ledger().get(ticket.id)
    assert job is not None
    assert job.state is State.PENDING
    assert job.hold_until_ms == job.created_ms + HOLD_MS
    later = world.place("ev")
    until(engine, lambda: empty(*later))
    until(engine, lambda: ticket.result().state is not State.PENDING)
    result = ticket.wait()
    assert (result.outcome, result.canceled) == (Outcome.CANCELED, 3)
    assert (result.latency_ms or 0) >= HOLD_MS
    assert {order.order_id for order in ticket.orders()} == {*first, *later}
    assert {order.outcome for order in ticket.orders()} == {Outcome.CANCELED}
    eventually(lambda: results)
    assert results == [result]


def open_ids(world: World) -> list[str]:
    """Return the ids of Everstrike's open orders."""
    return [order.order_id for order in world.sim.orders("everstrike") if order.status == "open"]


def test_a_longer_hold_of_a_pending_scope_prolongs_it(world: World) -> None:
    """A shorter one, or none, does not shorten it."""
    producer = world.producer()
    ids = {producer.cancel_all("ev", hold_ms=ms).id for ms in (0, 60_000, 30_000, 0)}
    (job_id,) = ids
    job = world.ledger().get(job_id)
    assert job is not None
    assert 60_000 <= (job.hold_until_ms or 0) - job.created_ms < 90_000


def test_a_job_ends_soon_after_its_hold_is_ended(world: World, engine: Dispatcher) -> None:
    """Long before the hold would have been over; what is placed then stays open."""
    world.place("ev")
    ticket = world.producer().cancel_all("ev", hold_ms=3_600_000)
    until(engine, lambda: "kept empty" in ticket.result().detail)
    assert world.ledger().end_hold(ticket.id)
    assert not world.ledger().end_hold(ticket.id)
    until(engine, lambda: ticket.result().state is not State.PENDING)
    assert (ticket.result().outcome, ticket.result().canceled) == (Outcome.CANCELED, 1)
    assert open_ids(world) == []
    (later,) = world.place("ev")
    engine.run_exchange("everstrike")
    assert open_ids(world) == [later]


@pytest.mark.parametrize("hold_ms", [-1, 3_600_001, 1.5, True, "60s"])
def test_a_wrong_hold_is_refused(world: World, hold_ms: object) -> None:
    """Nothing is queued."""
    with pytest.raises(InvalidCommand, match="hold_ms must be a whole number from 0 to 3600000"):
        world.producer().cancel_all("ev", hold_ms=hold_ms)  # type: ignore[arg-type]
    assert world.ledger().pending(limit=1) == []


def test_panic_cancels_everything_of_every_account(world: World, engine: Dispatcher) -> None:
    """An exchange that lists open orders of one pair only is left out, with the reason."""
    orders = {alias: world.place(alias, 2) for alias in ("ev", "ix")}
    begun = world.producer().panic()
    assert "pair" in begun.refused["bm"]
    tickets = {ticket.account: ticket for ticket in begun.tickets}
    assert {"ev", "ix"} <= {*tickets}
    assert all(job.urgent for job in world.ledger().pending(limit=100))

    def ended(ticket: Ticket) -> bool:
        return ticket.result().state is not State.PENDING

    until(engine, lambda: all(ended(tickets[alias]) for alias in orders))
    for alias, ids in orders.items():
        assert tickets[alias].result().proven
        assert {order.order_id for order in tickets[alias].orders()} == {*ids}
    with pytest.raises(UnknownAccount):
        world.producer().panic(["ev", "nosuch"])
    assert [ticket.account for ticket in world.producer().panic(["ev"]).tickets] == ["ev"]


def test_a_trip_says_what_it_did(world: World, engine: Dispatcher) -> None:
    """Of tracked orders and of pairs; a single cancel names its own order."""
    (tracked,), (other,) = world.place("ev"), world.place("ev")
    switch = world.producer().arm("ev", order_ids=[tracked], timeout_ms=1_000)
    assert switch.orders() == []
    ticket = world.producer().cancel("ev", other)
    until(engine, lambda: len(switch.orders()) == 1 and not open_ids(world))
    until(engine, lambda: switch.orders()[0].state is State.DONE)
    (order,) = switch.orders()
    assert (order.order_id, order.outcome) == (tracked, Outcome.CANCELED)
    assert [order.order_id for order in ticket.orders()] == [other]


def test_panic_from_the_shell_prints_one_summary(world: World, run: Run) -> None:
    """It wants a yes; with --direct no worker is needed."""
    code, out, err = run("panic", "--account", "ev")
    assert (code, out) == (2, "")
    assert "this would cancel everything open of ev; add --yes to do it" in err
    ids = world.place("ev", 2)
    code, out, _ = run("panic", "--account", "ev", "--yes", "--direct", "--wait", "20s", "--json")
    told = json.loads(out)
    assert (code, told["proven"]) == (0, True)
    assert [job["account"] for job in told["jobs"]] == ["ev"]
    assert not {*ids} & {*open_ids(world)}
    code, out, err = run("panic", "--account", "bm", "--yes", "--wait", "0")
    assert code == 1
    assert "account bm was left out" in err
