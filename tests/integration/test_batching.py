"""Several orders in one request, as one account's settings ask for it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

import pytest

from tests.support.attempts import Attempts
from tests.support.ledgers import Verb, verb_of
from tests.support.raw_server import Act, Peer, Server, reply
from tests.support.world import World
from worker.model.decisions import Again
from worker.model.jobs import Job, Phase
from worker.model.names import lane_of
from worker.model.outcomes import Outcome
from worker.model.settlements import Settlement

LANE = lane_of("everstrike", "ev")


@pytest.fixture
def attempts(world: World) -> Attempts:
    world.bulk = ("ev",)
    return Attempts(world)


def claimed(attempts: Attempts, *order_ids: str) -> Sequence[Job]:
    """Accept cancels and claim what a worker would at once."""
    for order_id in order_ids:
        attempts.accept("ev", order_id)
    return attempts.ledger.claim(exchange="everstrike", lane=LANE, holder="w", lease_ms=5_000).jobs


def shared(attempts: Attempts, jobs: Sequence[Job]) -> dict[str, Settlement]:
    """Attempt jobs that all go in one request; return what came of each order."""
    (group,) = attempts.pipeline.together(jobs)
    came_to = attempts.pipeline.attempt_together(group, now_ms=attempts.ledger.now_ms())
    return {job.order_id or "": each for job, each in zip(group, came_to, strict=True)}


def test_all_that_is_due_of_the_account_is_claimed_and_sent_at_once(
    world: World, attempts: Attempts
) -> None:
    """A claim of one job takes as many as one request holds."""
    placed = world.place("ev", 7)
    done = shared(attempts, claimed(attempts, *placed))
    assert set(done) == set(placed)
    for settlement in done.values():
        assert (verb_of(settlement), settlement.outcome) == (Verb.DONE, Outcome.CANCELED)
    assert [arrival.operation for arrival in attempts.arrivals()] == ["bulk"]
    assert {world.status("ev", order_id) for order_id in placed} == {"canceled"}


def test_other_accounts_are_claimed_one_by_one(world: World, attempts: Attempts) -> None:
    """What one account asks for is not done to another."""
    lane = lane_of("bitmart", "bm")
    for order_id in world.place("bm", 3):
        attempts.accept("bm", order_id)
    jobs = attempts.ledger.claim(exchange="bitmart", lane=lane, holder="w", lease_ms=5_000).jobs
    assert len(jobs) == 1


def test_order_that_the_reply_leaves_out_is_asked_about(world: World, attempts: Attempts) -> None:
    """The exchange passes over in silence what is not open."""
    filled, *placed = world.place("ev", 4)
    world.sim.fill("everstrike", filled)
    done = shared(attempts, claimed(attempts, filled, *placed))
    assert {verb_of(done[each]) for each in placed} == {Verb.DONE}
    again = done[filled].decision
    assert isinstance(again, Again)
    assert again.phase is Phase.ASK


@pytest.mark.parametrize(
    "fault", ["everstrike_503", "accept_then_drop", "drop_before", "half_body", "html_5xx"]
)
def test_each_order_continues_alone_after_a_fault(world: World, fault: str) -> None:
    """Whatever the result of the request, every order ends proven by a request of its own."""
    world.bulk = ("ev",)
    world.worker()
    world.sim.fault_next(fault, exchange="everstrike", paths=["bulk"])
    placed = world.place("ev", 30)
    tickets = world.producer().cancel_many("ev", placed)
    outcomes = {ticket.wait(timeout_ms=20_000).outcome for ticket in tickets}
    assert outcomes <= {Outcome.CANCELED, Outcome.GONE}
    assert {world.status("ev", order_id) for order_id in placed} == {"canceled"}
    assert [each.operation for each in world.sim.journal() if each.fault == fault] == ["bulk"]


def _cancels_all(names: Sequence[str]) -> Act:
    rows = [{"id": name, "status": "CANCELLED"} for name in names]
    body = json.dumps({"code": 200, "result": rows}).encode()

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(reply(body))

    return act


def test_request_that_cancels_unnamed_orders_is_the_last_of_its_kind(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No document says how the ids are written; one that is not read cancels everything."""
    world.bulk = ("ev",)
    with Server(_cancels_all(["a1", "a2", "theirs", "too"])) as server:
        address = f"http://127.0.0.1:{server.port}"
        monkeypatch.setattr(world.sim, "url", lambda _: address)
        attempts = Attempts(world)
        jobs = claimed(attempts, "a1", "a2")
        with caplog.at_level(logging.ERROR):
            done = shared(attempts, jobs)
    assert {each.outcome for each in done.values()} == {Outcome.CANCELED}
    (alert,) = [
        record for record in caplog.records if "unrequested" in str(vars(record).get("alert"))
    ]
    assert "2 others" in alert.getMessage()
    assert [len(group) for group in attempts.pipeline.together(jobs)] == [1, 1]


def test_exchange_without_such_a_request_cannot_be_asked_for_it(world: World) -> None:
    """The error names the fix."""
    world.bulk = ("bm",)
    with pytest.raises(ValueError, match="remove bulk"):
        world.settings()


def test_a_backlog_takes_few_requests(world: World) -> None:
    """A hundred orders to a request, whatever the exchange's pace."""
    world.bulk = ("ev",)
    world.sim.set_option("delay_ms", 50)
    world.sim.set_faults({"delay": 1.0}, exchange="everstrike")
    world.worker()
    tickets = world.producer().cancel_many("ev", world.place("ev", 400))
    assert all(ticket.wait(timeout_ms=20_000).proven for ticket in tickets)
    assert len(world.sim.journal()) < 20
