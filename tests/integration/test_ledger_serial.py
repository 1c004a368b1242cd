"""Serial lanes: one request of an account at a time, so that nonces arrive in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from tests.support.ledgers import IX, LEASE_MS, Bench, Verb
from worker.model.jobs import State
from worker.model.outcomes import Outcome


@pytest.fixture
def bench(redis_url: str) -> Bench:
    bench = Bench(redis_url)
    bench.accept("a1", "a2", "a3", lane=IX)
    return bench


def test_second_claimant_waits_for_the_first(bench: Bench) -> None:
    """While one job of the lane is under way, no other is given out."""
    held = bench.take("w1", lane=IX)
    others = [job.id for job in bench.ledger.pending(limit=9) if job.id != held.id]
    assert bench.claim("w2", lane=IX).jobs == ()
    assert bench.claim("w2", exchange="indodax").jobs == ()
    assert bench.claim("w2", lane=IX, job_id=others[0]).jobs == ()
    assert bench.claim("w1", lane=IX, job_id=others[1]).jobs == ()
    assert bench.lane_ms(IX) == bench.clock.now_ms + LEASE_MS


def test_claim_of_several_gets_one(bench: Bench) -> None:
    """A limit above one is one here."""
    assert len(bench.claim(lane=IX, limit=3).jobs) == 1


@pytest.mark.parametrize("verb", [Verb.DONE, Verb.DEAD, Verb.AGAIN])
def test_settling_frees_the_lane(bench: Bench, verb: Verb) -> None:
    """The next job may go at once."""
    bench.settle(bench.take("w1", lane=IX), verb, "w1", delay_ms=60_000)
    assert bench.lane_ms(IX) == bench.clock.now_ms
    assert bench.take("w2", lane=IX).attempts == 1


def test_settling_hands_the_hold_to_the_next_claim(bench: Bench) -> None:
    """The job that a settlement claims holds the lane in its turn."""
    settled = bench.settle(bench.take("w1", lane=IX), Verb.DONE, "w1", limit=5)
    assert len(settled.jobs) == 1
    assert bench.claim("w2", lane=IX).jobs == ()


def test_hold_of_a_lost_worker_ends_with_its_lease(bench: Bench) -> None:
    """A killed worker stops an account for one lease and no longer."""
    bench.take("w1", lane=IX)
    bench.clock.advance(LEASE_MS - 1)
    assert bench.claim("w2", lane=IX).jobs == ()
    bench.clock.advance(1)
    bench.take("w2", lane=IX)
    assert bench.claim("w3", lane=IX).jobs == ()


def test_urgent_jobs_lost_worker_holds_the_lane_no_longer_than_its_lease(bench: Bench) -> None:
    """The short lease of an urgent job is not undone by a longer hold of its lane."""
    for job in bench.claim(lane=IX).jobs:
        bench.settle(job, Verb.AGAIN, delay_ms=60_000)
    job_id = bench.one("urgent", IX, urgent=True)
    lease_ms = bench.take("w1", lane=IX, job_id=job_id).lease_ms
    assert 0 < lease_ms < LEASE_MS
    bench.clock.advance(lease_ms - 1)
    assert bench.claim("w2", lane=IX).jobs == ()
    bench.clock.advance(1)
    assert bench.take("w2", lane=IX, job_id=job_id).lost


@pytest.mark.parametrize("verb", list(Verb))
def test_stale_settlement_does_not_free_anothers_hold(bench: Bench, verb: Verb) -> None:
    """Who lost the lane cannot let a third one in."""
    stale = bench.take("w1", lane=IX)
    bench.clock.advance(LEASE_MS)
    current = bench.take("w2", lane=IX)
    settled = bench.settle(stale, verb, "w1", limit=1, delay_ms=1)
    assert settled.jobs == ()
    assert bench.claim("w3", lane=IX).jobs == ()
    assert bench.settle(current, Verb.AGAIN, "w2").applied
    assert len(bench.claim("w3", lane=IX).jobs) == 1


def test_stale_proof_for_the_job_under_way_ends_it_and_keeps_the_hold(bench: Bench) -> None:
    """The request under way may still arrive, so that the lane stays held."""
    stale = bench.take("w1", lane=IX)
    bench.clock.advance(LEASE_MS)
    current = bench.take("w2", lane=IX, job_id=stale.id)
    assert bench.settle(stale, Verb.DONE, "w1", outcome=Outcome.GONE, limit=1).jobs == ()
    assert bench.get(stale.id).state is State.DONE
    assert bench.claim("w3", lane=IX).jobs == ()
    assert not bench.settle(current, Verb.AGAIN, "w2").applied
    assert len(bench.claim("w3", lane=IX).jobs) == 1


def test_waiting_frees_the_lane_only_after_its_pause(bench: Bench) -> None:
    """A lane that waits for a rate slot is not held, and not claimed either."""
    job = bench.take("w1", lane=IX)
    bench.settle(job, Verb.WAIT, "w1", pause_ms=40)
    assert bench.claim("w2", lane=IX).jobs == ()
    assert bench.lane_ms(IX) == bench.clock.now_ms + 40
    bench.clock.advance(40)
    assert bench.take("w2", lane=IX).id == job.id


def test_hold_and_pause_hold_together(bench: Bench) -> None:
    """The later of the two decides."""
    stale = bench.take("w1", lane=IX)
    bench.clock.advance(LEASE_MS)
    bench.take("w2", lane=IX)
    bench.settle(stale, Verb.AGAIN, "w1", pause_ms=LEASE_MS + 5)
    bench.clock.advance(LEASE_MS)
    assert bench.claim("w3", lane=IX).jobs == ()
    bench.clock.advance(5)
    assert len(bench.claim("w3", lane=IX).jobs) == 1


def test_width_of_a_lane_may_change(bench: Bench) -> None:
    """An account that turns to timestamps is served in parallel from then on."""
    bench.take("w1", lane=IX)
    bench.ledger.register([("ix", "indodax", 0)])
    assert len(bench.claim("w2", lane=IX, limit=9).jobs) == 2


def test_no_two_holders_at_any_moment(bench: Bench) -> None:
    """Eight threads at one serial lane are never inside together."""
    bench.accept(*(f"o{n}" for n in range(60)), lane=IX)
    inside = Lock()
    ended: list[str] = []

    def work(n: int) -> None:
        name = f"w{n}"
        while len(ended) < 63:
            for job in bench.claim(name, lane=IX).jobs:
                assert inside.acquire(blocking=False), "two holders"
                ended.append(job.id)
                inside.release()
                bench.settle(job, Verb.DONE, name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(set(ended)) == len(ended) == 63
