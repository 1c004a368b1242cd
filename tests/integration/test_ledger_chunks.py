"""Many jobs claimed and settled in one step, each by itself."""

from __future__ import annotations

import pytest

from tests.support.ledgers import EV, EV2, IX, LEASE_MS, Bench, Verb
from worker.model.jobs import State


@pytest.fixture
def bench(redis_url: str) -> Bench:
    """An empty ledger on a stepped clock."""
    return Bench(redis_url)


def test_a_chunk_is_leased_and_ends_in_one_step_each(bench: Bench) -> None:
    """Each has its own lease and outcome, and the next ones come with the settlement."""
    bench.accept(*(f"a{n}" for n in range(7)))
    first = bench.claim(limit=3)
    assert (len(first.jobs), first.more) == (3, True)
    second = bench.settle_all(first.jobs, limit=3)
    assert second.applied
    assert (len(second.jobs), second.more) == (3, True)
    third = bench.settle_all(second.jobs, limit=3)
    assert (len(third.jobs), third.more) == (1, False)
    assert bench.settle_all(third.jobs, limit=3).jobs == ()
    assert bench.lane_ms() is None
    assert {job.state for job in bench.ledger.recent(limit=9)} == {State.DONE}
    assert len(bench.ledger.recent(limit=9)) == 7


def test_one_that_counts_no_more_does_not_stop_the_others(bench: Bench) -> None:
    """What another has taken over by now is left to it."""
    bench.accept("a0", "a1", "a2")
    jobs = bench.claim(limit=3).jobs
    bench.clock.advance(LEASE_MS)
    taken = bench.take("w2")
    settled = bench.settle_all(jobs, Verb.DEAD)
    assert not settled.applied
    states = {job.id: bench.get(job.id).state for job in jobs}
    assert states.pop(taken.id) is State.PENDING
    assert set(states.values()) == {State.DEAD}
    assert bench.get(taken.id).claimed_by == "w2"


def test_put_back_unsent_a_chunk_keeps_its_places(bench: Bench) -> None:
    """A worker that ran out of time leaves the rest to the next worker."""
    bench.accept("a0", "a1", "a2")
    jobs = bench.claim(limit=3).jobs
    bench.settle_all(jobs, Verb.WAIT)
    again = bench.claim("w2", limit=3).jobs
    assert {job.id for job in again} == {job.id for job in jobs}
    assert {(job.attempts, job.lost) for job in again} == {(1, False)}


def test_each_lane_rests_as_long_as_it_must(bench: Bench) -> None:
    """Of several lanes in one settlement, only the throttled one rests."""
    bench.one("a0", EV)
    bench.one("b0", EV2)
    jobs = (bench.take(lane=EV), bench.take(lane=EV2))
    bench.settle_all(jobs[:1], Verb.AGAIN, phase="send", pause_ms=500)
    bench.settle_all(jobs[1:], Verb.AGAIN, phase="send")
    assert [job.order_id for job in bench.claim(limit=9).jobs] == ["b0"]
    assert bench.claim(limit=9).jobs == ()
    bench.clock.advance(500)
    assert [job.order_id for job in bench.claim(limit=9).jobs] == ["a0"]


def test_a_lane_of_one_request_at_a_time_gives_one(bench: Bench) -> None:
    """However many are asked for; and says of no more."""
    bench.accept("a0", "a1", lane=IX)
    claimed = bench.claim(lane=IX, limit=25)
    assert (len(claimed.jobs), claimed.more) == (1, False)
