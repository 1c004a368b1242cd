"""A scope once found empty need not be empty for who asks later."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.ledgers import EV, IX, Bench, Verb
from worker.model.jobs import Kind, Phase, State

SWITCHES = IX + ":switch"


@pytest.fixture
def bench(redis_url: str) -> Bench:
    """A ledger on a stepped clock."""
    return Bench(redis_url)


def all_of(bench: Bench, pair: str = "btc_idr") -> str:
    """Ask for all orders of a pair; return the job."""
    return bench.one("", kind=Kind.CANCEL_ALL, pair=pair)


def test_a_list_under_way_proves_nothing_for_who_asks_now(bench: Bench) -> None:
    """Asked for again while its list is under way, a cancel-all is not ended by that list."""
    job_id = all_of(bench)
    job = bench.take()
    assert all_of(bench) == job_id
    bench.settle(job, Verb.DONE)
    assert bench.get(job_id).state is State.PENDING
    bench.settle(bench.take("w2"), Verb.DONE, "w2")
    assert bench.get(job_id).state is State.DONE


def test_a_late_claimant_does_not_end_a_scope(bench: Bench) -> None:
    """Whose lease was taken over may prove that an order is closed, not that a scope is empty."""
    job_id = all_of(bench)
    stale = bench.take()
    bench.clock.advance(60_000)
    taken = bench.take("w2")
    assert not bench.settle(stale, Verb.DONE).applied
    assert bench.get(job_id).state is State.PENDING
    bench.settle(taken, Verb.DONE, "w2")
    assert bench.get(job_id).state is State.DONE
    assert bench.get(job_id).lane == EV


def test_cancels_have_their_turn_beside_switches(bench: Bench) -> None:
    """After switches have had the hold once, one cancel goes, though switches are due again."""
    bench.ledger.register([("ix", "indodax", 1)], native={"indodax"})
    job_id = bench.one("a1", lane=IX)
    bench.client.zadd("cx:lanes", {SWITCHES: bench.clock.now_ms})
    assert not bench.claim(lane=IX, job_id=job_id).jobs
    bench.client.hset(f"cx:lane:{IX}", "turn", "1")
    assert [job.id for job in bench.claim(lane=IX, job_id=job_id).jobs] == [job_id]
    assert not bench.client.hexists(f"cx:lane:{IX}", "turn")


def test_a_dead_workers_cancel_does_not_keep_switches_waiting(bench: Bench) -> None:
    """Where switches share the hold, a cancel has it for 3 s at most, however long its lease."""
    bench.ledger.register([("ix", "indodax", 1)], native={"indodax"})
    bench.one("a1", lane=IX)
    job = bench.take(lane=IX)
    until = str(bench.clock.now_ms + 3_000)
    assert bench.client.hget(f"cx:lane:{IX}", "held_until") == until
    assert job.lease_ms == 3_000


def test_who_asks_for_a_listed_scope_has_it_listed_again(bench: Bench) -> None:
    """Also while no worker has it: what was open then is not what is open now."""
    job_id = bench.one("", kind=Kind.CANCEL_ALL, pair="p")
    listed = bench.take()
    bench.settle(listed, Verb.AGAIN, phase=Phase.LIST, listed=True)
    assert bench.one("", kind=Kind.CANCEL_ALL, pair="p", urgent=True) == job_id
    again = bench.take()
    assert (again.id, again.phase, again.urgent) == (job_id, Phase.LIST, True)
    assert not again.listed


def test_what_one_request_cancels_of_a_scope_is_counted_once(bench: Bench) -> None:
    """By the first settlement of its claim; the pair is one that exists."""
    job_id = all_of(bench, pair="BTC_USD")
    job = bench.take()
    for _ in range(2):
        bench.settle(job, Verb.AGAIN, canceled=3)
    found = bench.get(job_id)
    assert (found.children, found.canceled) == (3, 3)
    assert bench.client.sismember(f"cx:pairs:{EV}", "BTC_USD")
    bench.settle(bench.take(), Verb.AGAIN, canceled=2)
    found = bench.get(job_id)
    assert (found.children, found.canceled) == (5, 5)


def test_a_dead_letter_says_what_its_last_request_has_canceled(bench: Bench) -> None:
    """It was the last that its budget allowed."""
    job_id = all_of(bench)
    bench.settle(bench.take(), Verb.DEAD, canceled=3)
    found = bench.get(job_id)
    assert (found.state, found.children, found.canceled) == (State.DEAD, 3, 3)


@pytest.mark.parametrize("facts", [{"canceled": 3}, {"swept": True}, {"unanswered": True}])
def test_what_a_lost_claim_has_canceled_is_not_known(bench: Bench, facts: dict[str, Any]) -> None:
    """The worker that took it over finds an empty scope, which nothing shows to have been so."""
    job_id = all_of(bench)
    stale = bench.take()
    bench.clock.advance(60_000)
    bench.take("w2")
    assert not bench.settle(stale, Verb.AGAIN, **facts).applied
    found = bench.get(job_id)
    assert found.swept
    assert (found.children, found.canceled) == (0, 0)


def test_a_cancel_of_a_scope_that_was_not_answered_may_have_canceled(bench: Bench) -> None:
    """Nothing else has: not a list, nor a scope that was never sent."""
    job_id = all_of(bench)
    bench.settle(bench.take(), Verb.AGAIN)
    assert not bench.get(job_id).swept
    bench.settle(bench.take(), Verb.AGAIN, unanswered=True)
    assert bench.get(job_id).swept
