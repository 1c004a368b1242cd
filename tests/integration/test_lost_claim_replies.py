"""Redis did what it was asked, and its answer was lost: nothing waits for a lease."""

from __future__ import annotations

import pytest

from tests.support.ledgers import EV, IX, LEASE_MS, Verb, settlement
from tests.support.lost_replies import Process
from worker.errors import StoreUnavailable
from worker.model.jobs import State


@pytest.fixture
def process(redis_url: str) -> Process:
    """A process that holds nothing."""
    return Process(redis_url)


def test_jobs_of_a_claim_whose_reply_is_lost_are_due_at_once(process: Process) -> None:
    """Its jobs are as if they had never been claimed."""
    bench = process.bench
    ids = [accepted.id for accepted in bench.accept("a1", "a2", "a3")]
    before = {job_id: bench.raw(job_id) for job_id in ids}
    bench.clock.advance(40)
    claimed_ms = bench.clock.now_ms
    holder = process.deaf_claim(EV)
    bench.clock.advance(60)
    assert len(bench.claim("other", lane=EV, limit=9).jobs) == 1
    assert process.take_back() == 2
    again = bench.claim("other", lane=EV, limit=9).jobs
    assert len(again) == 2
    for job in again:
        assert (job.attempts, job.lost) == (1, False)
        (line,) = job.history
        assert (line["by"], line["at_ms"], line["outcome"]) == (holder, claimed_ms, "UNAVAILABLE")
        assert line["took_ms"] == 60
        assert (job.first_ms, job.due_ms) == (bench.clock.now_ms, int(before[job.id]["due_ms"]))


def test_a_lost_claim_is_returned_once(process: Process) -> None:
    """A job that another worker holds by then stays with it."""
    bench = process.bench
    job_id = bench.one()
    process.deaf_claim(EV, job_id=job_id)
    assert process.take_back() == 1
    taken = bench.take("other", lane=EV)
    assert process.take_back() == 0
    assert bench.get(job_id).claimed_by == "other"
    assert bench.settle(taken, Verb.DONE, "other").applied


def test_only_the_lost_holder_loses_its_jobs(process: Process) -> None:
    """A thread of the same process that is attempting a job continues."""
    bench = process.bench
    bench.accept("a1", "a2")
    holder = process.claims.new_holder()
    (job,) = process.claim(holder, EV, limit=1).jobs
    process.deaf_claim(EV)
    assert process.take_back() == 1
    assert bench.get(job.id).claimed_by == holder
    assert process.claims.settle([settlement(job, Verb.DONE)], holder=holder, limit=0).applied


def test_an_earlier_loss_stays_recorded(process: Process) -> None:
    """The next attempt must ask the exchange first, as before."""
    bench = process.bench
    job_id = bench.take("dead", lane=EV, job_id=bench.one()).id
    bench.clock.advance(LEASE_MS)
    holder = process.deaf_claim(EV, job_id=job_id)
    process.take_back()
    job = bench.take("other", lane=EV)
    assert (job.attempts, job.lost) == (2, True)
    assert [line["by"] for line in job.history] == ["dead", holder]


@pytest.mark.parametrize("verb", [Verb.DONE, Verb.AGAIN])
def test_a_settlement_whose_reply_is_lost_counts_once_and_claims_nothing(
    process: Process, verb: Verb
) -> None:
    """Its result is recorded, and the jobs in the lost reply are due."""
    bench = process.bench
    bench.accept("a1", "a2", "a3")
    holder = process.claims.new_holder()
    (job,) = process.claim(holder, EV, limit=1).jobs
    process.deaf.misses["settle"] = 1
    made = settlement(job, verb, delay_ms=1)
    assert process.claims.settle([made], holder=holder, limit=2).jobs == ()
    found = bench.get(job.id)
    assert (found.attempts, found.state is State.DONE) == (1, verb is Verb.DONE)
    assert process.take_back() == 0, "returned while the holder may still be attempting some"
    process.claims.release(holder)
    assert process.take_back() == 2
    assert len(bench.claim("other", lane=EV, limit=9).jobs) == 2


def test_a_job_that_was_attempted_and_not_settled_waits_for_its_lease(process: Process) -> None:
    """A request was sent, so the claim must not be undone."""
    bench = process.bench
    job_id = bench.one()
    holder = process.claims.new_holder()
    (job,) = process.claim(holder, EV, limit=1).jobs
    process.deaf.cut = {"settle"}
    process.stopping.set()
    with pytest.raises(StoreUnavailable):
        process.claims.settle([settlement(job, Verb.DONE)], holder=holder, limit=2)
    process.claims.release(holder)
    assert process.take_back() == 0
    assert bench.get(job_id).claimed_by == holder


def test_a_serial_lane_is_free_again(process: Process) -> None:
    """The hold that came with the claim is given up with it."""
    bench = process.bench
    bench.accept("1", "2", lane=IX)
    process.deaf_claim(IX)
    assert bench.claim("other", lane=IX).jobs == ()
    assert process.take_back() == 1
    assert len(bench.claim("other", lane=IX).jobs) == 1


def test_a_lost_reply_to_the_return_changes_nothing(process: Process) -> None:
    """The next call returns what this one may not have."""
    bench = process.bench
    bench.one()
    process.deaf_claim(EV)
    process.deaf.misses["take_back"] = 1
    with pytest.raises(StoreUnavailable):
        process.take_back()
    assert process.take_back() == 0, "done at the first call, whose reply was lost"
    assert len(bench.claim("other", lane=EV).jobs) == 1
