"""Settling: the result of an attempt, recorded once and by its claimant only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.ledgers import EV, EV2, LEASE_MS, RETENTION_MS, Bench, Verb, entry, new_job
from worker.model.jobs import Kind, Phase, State
from worker.model.names import lane_of
from worker.model.outcomes import Outcome
from worker.store import ledger as ledger_module
from worker.store.reading import read

STALE = [Verb.AGAIN, Verb.WAIT, Verb.DEAD]


@pytest.fixture
def bench(redis_url: str) -> Bench:
    return Bench(redis_url)


def test_done_ends_a_job(bench: Bench) -> None:
    """A proof is kept for the retention, and no worker looks at the job again."""
    job_id = bench.one()
    job = bench.take()
    bench.clock.advance(30)
    settled = bench.settle(job, Verb.DONE, outcome=Outcome.GONE, detail="filled")
    assert settled.applied
    assert settled.now_ms == bench.clock.now_ms
    ended = bench.get(job_id)
    assert (ended.state, ended.outcome, ended.detail) == (State.DONE, Outcome.GONE, "filled")
    assert ended.finished_ms == bench.clock.now_ms
    assert ended.claimed_by is None
    assert ended.history == (entry(job, Outcome.GONE, "filled"),)
    assert bench.due_ms(job_id) is None
    assert bench.lane_ms() is None
    assert [job.id for job in bench.ledger.recent(limit=9)] == [job_id]
    assert 0 < bench.ttl_ms(job_id) <= RETENTION_MS


def test_again_comes_due_after_its_delay(bench: Bench) -> None:
    """What the next attempt needs to know is kept."""
    job_id = bench.one()
    fields: dict[str, Any] = {
        "phase": Phase.ASK,
        "streak": 3,
        "missing": True,
        "detail": "not known",
    }
    bench.settle(bench.take(), Verb.AGAIN, delay_ms=700, **fields)
    job = bench.get(job_id)
    assert job.state is State.PENDING
    assert (job.phase, job.streak, job.missing, job.detail) == (Phase.ASK, 3, True, "not known")
    assert (job.attempts, job.claimed_by) == (1, None)
    assert bench.due_ms(job_id) == bench.lane_ms() == bench.clock.now_ms + 700
    bench.clock.advance(700)
    assert bench.take().attempts == 2


def test_again_can_forget_that_the_order_was_missing(bench: Bench) -> None:
    """A later answer takes an earlier one's place."""
    job_id = bench.one()
    bench.settle(bench.take(), Verb.AGAIN, missing=True, streak=2)
    bench.settle(bench.take(), Verb.AGAIN, missing=False, streak=1)
    job = bench.get(job_id)
    assert (job.missing, job.streak) == (False, 1)


def test_wait_is_no_attempt(bench: Bench) -> None:
    """A job that was not sent keeps its place, its count and its age."""
    first = bench.one("a1")
    bench.clock.advance(1)
    bench.one("a2")
    bench.clock.advance(1)
    job = bench.take()
    assert job.id == first
    bench.settle(job, Verb.WAIT, pause_ms=300)
    waiting = bench.get(first)
    assert (waiting.attempts, waiting.claimed_by, waiting.first_ms) == (0, None, None)
    assert waiting.history == ()
    assert bench.claim().jobs == ()
    bench.clock.advance(299)
    assert bench.claim().jobs == ()
    bench.clock.advance(1)
    again = bench.take()
    assert (again.id, again.attempts, again.first_ms) == (first, 1, bench.clock.now_ms)


def test_wait_after_an_attempt_keeps_the_age(bench: Bench) -> None:
    """A job's age runs from its first attempt, whatever comes between."""
    bench.one()
    first = bench.take()
    bench.settle(first, Verb.AGAIN)
    bench.clock.advance(5)
    bench.settle(bench.take(), Verb.WAIT)
    job = bench.take()
    assert (job.attempts, job.first_ms) == (2, first.first_ms)


def test_wait_does_not_forget_that_a_worker_was_lost(bench: Bench) -> None:
    """What the lost attempt may have done is asked for when the job is next attempted."""
    bench.one()
    bench.take("w1")
    bench.clock.advance(LEASE_MS)
    bench.settle(bench.take("w2"), Verb.WAIT, "w2")
    job = bench.take("w3")
    assert job.lost
    bench.settle(job, Verb.AGAIN, "w3")
    assert not bench.take("w4").lost


def test_dead_goes_to_the_dead_letters(bench: Bench) -> None:
    """What is given up stays, with its reason, until a person deals with it."""
    job_id = bench.one()
    bench.settle(bench.take(), Verb.DEAD, outcome=Outcome.REJECTED, detail="no such key")
    (dead,) = bench.ledger.dead(limit=9)
    assert (dead.id, dead.state, dead.outcome) == (job_id, State.DEAD, Outcome.REJECTED)
    assert dead.detail == "no such key"
    assert bench.ledger.dead_count() == 1
    assert bench.ttl_ms(job_id) == -1
    assert bench.lane_ms() is None
    assert bench.claim(lane=EV, job_id=job_id).jobs == ()


def test_pause_rests_the_whole_lane(bench: Bench) -> None:
    """An account that must be left alone is left alone by all."""
    bench.accept("a1", "a2")
    other = bench.one("b1", EV2)
    bench.settle(bench.take(lane=EV), Verb.AGAIN, pause_ms=900)
    assert bench.take().id == other
    assert bench.claim(lane=EV).jobs == ()
    assert bench.lane_ms() == bench.clock.now_ms + 900
    bench.clock.advance(900)
    assert len(bench.claim(lane=EV, limit=5).jobs) == 2


@pytest.mark.parametrize("verb", [Verb.WAIT, Verb.AGAIN])
def test_shorter_pause_does_not_cut_a_longer_one(bench: Bench, verb: Verb) -> None:
    """A wait of 50 ms does not lift what the exchange asked of another."""
    bench.accept("a1", "a2")
    first, second = bench.claim(limit=2).jobs
    bench.settle(first, Verb.AGAIN, outcome=Outcome.THROTTLED, pause_ms=60_000)
    bench.settle(second, verb, pause_ms=50)
    bench.clock.advance(59_999)
    assert bench.claim().jobs == ()
    bench.clock.advance(1)
    assert bench.claim().jobs != ()


def test_settling_claims_the_next_job(bench: Bench) -> None:
    """One round trip ends an attempt and begins the next, of any lane of the exchange."""
    bench.one("a1")
    bench.clock.advance(1)
    second = bench.one("b1", EV2)
    settled = bench.settle(bench.take(), Verb.DONE, limit=1)
    assert [job.id for job in settled.jobs] == [second]
    assert bench.settle(settled.jobs[0], Verb.DONE, limit=1).jobs == ()


def test_settling_with_limit_0_claims_nothing(bench: Bench) -> None:
    """A worker that stops takes nothing more."""
    bench.accept("a1", "a2")
    assert bench.settle(bench.take(), Verb.DONE, limit=0).jobs == ()


@pytest.mark.parametrize("taken_over", [True, False])
def test_stale_proof_is_accepted(bench: Bench, *, taken_over: bool) -> None:
    """A proof is true from any worker, and however late."""
    job_id = bench.one()
    stale = bench.take("w1")
    bench.clock.advance(LEASE_MS)
    current = bench.take("w2") if taken_over else None
    assert bench.settle(stale, Verb.DONE, "w1", outcome=Outcome.GONE).applied
    assert bench.get(job_id).state is State.DONE
    assert bench.due_ms(job_id) is None
    if current is not None:
        assert not bench.settle(current, Verb.AGAIN, "w2").applied
        assert not bench.settle(current, Verb.DEAD, "w2", outcome=Outcome.REJECTED).applied
    ended = bench.get(job_id)
    assert (ended.state, ended.outcome) == (State.DONE, Outcome.GONE)
    assert bench.ledger.dead_count() == 0
    assert bench.lane_ms() is None


@pytest.mark.parametrize("verb", STALE)
def test_stale_report_without_a_proof_is_dropped(bench: Bench, verb: Verb) -> None:
    """Who lost the job cannot move it, nor end it without a proof."""
    job_id = bench.one()
    stale = bench.take("w1")
    bench.clock.advance(LEASE_MS)
    current = bench.take("w2")
    assert not bench.settle(stale, verb, "w1", delay_ms=0, streak=9, detail="stale").applied
    job = bench.get(job_id)
    assert (job.state, job.claim, job.claimed_by) == (State.PENDING, current.claim, "w2")
    assert (job.attempts, job.streak, job.detail) == (2, 0, "")
    assert bench.due_ms(job_id) == bench.clock.now_ms + LEASE_MS
    assert bench.settle(current, Verb.DONE, "w2").applied


@pytest.mark.parametrize("verb", list(Verb))
def test_ended_job_cannot_be_settled_again(bench: Bench, verb: Verb) -> None:
    """The first proof remains."""
    job_id = bench.one()
    job = bench.take()
    bench.settle(job, Verb.DONE, outcome=Outcome.GONE)
    assert not bench.settle(job, verb, outcome=Outcome.CANCELED, phase="send").applied
    assert bench.get(job_id).outcome is Outcome.GONE
    assert bench.due_ms(job_id) is None
    assert len(bench.ledger.recent(limit=9)) == 1


def test_late_settlement_of_a_lease_that_was_not_taken_over_counts(bench: Bench) -> None:
    """A lease that has run out is still its holder's until another claims."""
    job_id = bench.one()
    job = bench.take()
    bench.clock.advance(10 * LEASE_MS)
    assert bench.settle(job, Verb.AGAIN, delay_ms=5).applied
    assert bench.due_ms(job_id) == bench.clock.now_ms + 5


def test_stale_report_still_leaves_its_line(bench: Bench) -> None:
    """The history has every attempt, those that came too late as well."""
    job_id = bench.one()
    stale = bench.take("w1")
    bench.clock.advance(LEASE_MS)
    bench.take("w2")
    bench.settle(stale, Verb.AGAIN, "w1")
    assert entry(stale, Outcome.UNKNOWN) in bench.get(job_id).history


def test_the_middle_of_a_long_history_is_left_out(bench: Bench) -> None:
    """An outage of hours makes hundreds of attempts, of many jobs, and must not fill Redis."""
    job_id = bench.one()
    for n in range(1, 1_001):
        bench.settle(bench.take(), Verb.AGAIN, outcome=Outcome.UNAVAILABLE, detail="é" * (n % 90))
    kept: Any = bench.client.hget(f"cx:job:{job_id}", "history")
    assert len(kept.encode()) <= 16_384
    lines = [json.loads(line) for line in kept.splitlines()]
    assert tuple(lines) == bench.get(job_id).history
    (gap,) = [place for place, line in enumerate(lines) if "n" not in line]
    assert lines[gap] == {"detail": "attempts in between are left out"}
    first, last = [line["n"] for line in lines[:gap]], [line["n"] for line in lines[gap + 1 :]]
    assert first == list(range(1, len(first) + 1))
    assert last == list(range(1_001 - len(last), 1_001))
    assert min(len(first), len(last)) >= 10


def test_settling_a_forgotten_job_changes_nothing(bench: Bench) -> None:
    """A job whose record is gone is not brought back, and the claimant continues."""
    job_id = bench.one("a1")
    job = bench.take()
    bench.client.delete(f"cx:job:{job_id}")
    bench.clock.advance(1)
    other = bench.one("a2")
    settled = bench.settle(job, Verb.AGAIN, limit=1)
    assert not settled.applied
    assert [job.id for job in settled.jobs] == [other]
    assert bench.ledger.get(job_id) is None


def test_list_of_ended_jobs_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest are kept, latest first."""
    monkeypatch.setattr(ledger_module, "RECENT", 3)
    ids = []
    for n in range(5):
        ids.append(bench.one(f"o{n}"))
        bench.settle(bench.take(), Verb.DEAD if n % 2 else Verb.DONE)
    assert [job.id for job in bench.ledger.recent(limit=9)] == ids[:1:-1]
    assert [job.id for job in bench.ledger.recent(limit=1, skip=1)] == [ids[3]]
    assert bench.client.llen("cx:recent") == 3


def test_recent_leaves_out_what_was_forgotten(bench: Bench) -> None:
    """A record past its retention is no job any more."""
    job_id = bench.one()
    bench.settle(bench.take(), Verb.DONE)
    bench.client.delete(f"cx:job:{job_id}")
    assert bench.ledger.recent(limit=9) == []


def test_malformed_message_is_a_dead_letter(bench: Bench) -> None:
    """What no job could be made of is kept as it came."""
    job_id = bench.ledger.bury(reason="not JSON", raw="{oops")
    (dead,) = bench.ledger.dead(limit=9)
    assert (dead.id, dead.kind, dead.state) == (job_id, Kind.MALFORMED, State.DEAD)
    assert (dead.detail, dead.raw) == ("not JSON", "{oops")
    assert dead.describe()["raw"] == "{oops"
    assert bench.claim().jobs == ()


def test_dead_letters_are_listed_latest_first_and_discarded_once(bench: Bench) -> None:
    """Discarding forgets a dead letter and nothing else."""
    ids = []
    for n in range(3):
        ids.append(bench.ledger.bury(reason=f"r{n}", raw=""))
        bench.clock.advance(1)
    assert [job.id for job in bench.ledger.dead(limit=2)] == ids[:0:-1]
    assert [job.id for job in bench.ledger.dead(limit=2, skip=2)] == ids[:1]
    assert bench.ledger.discard(ids[1])
    assert not bench.ledger.discard(ids[1])
    assert bench.ledger.get(ids[1]) is None
    assert bench.ledger.dead_count() == 2


def test_retired_dead_letter_is_kept_a_while_off_the_list(bench: Bench) -> None:
    """A replayed letter can be read for as long as an ended job."""
    job_id = bench.ledger.bury(reason="r", raw="")
    assert bench.ledger.retire(job_id, keep_ms=60_000)
    assert not bench.ledger.retire(job_id, keep_ms=60_000)
    assert bench.ledger.dead(limit=9) == []
    assert 0 < bench.ttl_ms(job_id) <= 60_000


@pytest.mark.parametrize("claimed", [True, False])
def test_pending_job_can_be_neither_discarded_nor_retired(bench: Bench, *, claimed: bool) -> None:
    """Only dead letters are forgotten on request: what is accepted is never lost."""
    job_id = bench.one()
    if claimed:
        bench.take()
    assert not bench.ledger.discard(job_id)
    assert not bench.ledger.retire(job_id, keep_ms=1)
    assert bench.get(job_id).state is State.PENDING
    assert bench.ttl_ms(job_id) == -1


def test_proof_of_an_ended_job_can_be_neither_discarded_nor_retired(bench: Bench) -> None:
    """A proof lives as long as its retention."""
    job_id = bench.one()
    bench.settle(bench.take(), Verb.DONE)
    assert not bench.ledger.discard(job_id)
    assert not bench.ledger.retire(job_id, keep_ms=1)
    assert bench.ttl_ms(job_id) > 60_000


def test_status_counts_what_waits(bench: Bench) -> None:
    """Pending jobs include the claimed one, due jobs do not."""
    bench.accept("a1", "a2", "a3")
    bench.take()
    bench.clock.advance(7)
    (lane,) = [it for it in read(bench.clock.store()).lanes if it.pending]
    assert (lane_of(lane.exchange, lane.account), lane.pending, lane.due) == (EV, 3, 2)
    assert lane.oldest_ms == 7


def test_children_of_one_scope_are_jobs_of_their_own(bench: Bench) -> None:
    """A child that ends leaves its parent as it was."""
    parent = new_job("", kind=Kind.CANCEL_ALL, pair="btc_idr")
    bench.ledger.accept([parent])
    bench.take(lane=EV, job_id=parent.id)
    child = bench.one("a1", pair="btc_idr", parent=parent.id)
    bench.settle(bench.take(lane=EV, job_id=child), Verb.DONE)
    assert bench.get(parent.id).state is State.PENDING
    assert not bench.ledger.accept([new_job("", kind=Kind.CANCEL_ALL, pair="btc_idr")])[0].fresh
