"""Urgent jobs, those of switches that have tripped: ahead of their account's backlog."""

from __future__ import annotations

import pytest

from tests.support.ledgers import EV, LEASE_MS, Bench, Verb
from worker.store.reading import read

FIRST_LEASE_MS = 1_800


@pytest.fixture
def bench(redis_url: str) -> Bench:
    """An empty ledger on a stepped clock."""
    return Bench(redis_url)


def test_an_urgent_job_passes_the_backlog(bench: Bench) -> None:
    """However much is due before it, it is claimed first."""
    bench.accept(*(f"a{n}" for n in range(50)))
    bench.clock.advance(5)
    urgent = bench.one("u", urgent=True)
    job = bench.take()
    assert (job.id, job.urgent, job.lease_ms) == (urgent, True, FIRST_LEASE_MS)
    assert {each.urgent for each in bench.claim(limit=9).jobs} == {False}
    (lane,) = [it for it in read(bench.clock.store()).lanes if it.pending]
    assert (lane.pending, lane.oldest_ms) == (51, 5)


def test_its_retries_pass_the_backlog_too(bench: Bench) -> None:
    """Not before its delay is over, and then at once, though others are due for longer."""
    urgent = bench.one("u", urgent=True)
    job = bench.take()
    bench.accept(*(f"a{n}" for n in range(50)))
    bench.settle(job, Verb.AGAIN, delay_ms=700)
    bench.clock.advance(699)
    assert bench.take().id != urgent
    bench.clock.advance(1)
    assert bench.take().id == urgent


def test_put_back_unsent_it_stays_ahead(bench: Bench) -> None:
    """A rest of the lane costs it its time, not its place."""
    bench.accept("a0", "a1")
    urgent = bench.one("u", urgent=True)
    bench.settle(bench.take(), Verb.WAIT, pause_ms=100)
    bench.clock.advance(100)
    assert bench.take().id == urgent


def test_its_lease_runs_out_ahead_of_others(bench: Bench) -> None:
    """What a dead worker held is taken up before what waits."""
    urgent = bench.one("u", urgent=True)
    bench.take()
    bench.accept("a0", "a1")
    bench.clock.advance(FIRST_LEASE_MS)
    job = bench.take()
    assert (job.id, job.attempts, job.lost) == (urgent, 2, True)


@pytest.mark.parametrize("verb", [Verb.DONE, Verb.DEAD])
def test_ended_it_leaves_nothing_behind(bench: Bench, verb: Verb) -> None:
    """No place in any set."""
    bench.one("u", urgent=True)
    bench.settle(bench.take(), verb)
    assert not bench.client.exists(f"cx:due:{EV}", f"cx:urgent:{EV}")


def test_a_pending_cancel_becomes_urgent(bench: Bench) -> None:
    """One that waits for its next attempt is due at once, ahead of the others."""
    pending = bench.one("x")
    bench.settle(bench.take(), Verb.AGAIN, delay_ms=60_000)
    bench.accept("a0", "a1")
    (merged,) = bench.accept("x", urgent=True)
    assert (merged.id, merged.fresh) == (pending, False)
    assert bench.lane_ms() == bench.clock.now_ms
    job = bench.take()
    assert (job.id, job.urgent, job.lease_ms) == (pending, True, 2 * FIRST_LEASE_MS)


def test_a_claimed_cancel_becomes_urgent(bench: Bench) -> None:
    """Its claimant has no longer than an urgent job's first lease from now."""
    pending = bench.one("x")
    job = bench.take()
    assert job.lease_ms == LEASE_MS
    bench.clock.advance(10)
    bench.accept("x", urgent=True)
    bench.accept("x", urgent=True)
    assert bench.due_ms(pending) == bench.clock.now_ms + FIRST_LEASE_MS
    bench.clock.advance(FIRST_LEASE_MS)
    assert bench.take("w2").id == pending
    # What it brings late is dropped, unless it is a proof.
    assert not bench.settle(job, Verb.AGAIN, delay_ms=1).applied
    assert bench.settle(job, Verb.DONE).applied
