"""A failover forgets a claim, and gives its number to the next."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.support.ledgers import EV, Bench, Verb
from worker.model.jobs import Job, Kind, State


@dataclass(frozen=True)
class Forgotten:
    """A job's claim that Redis has lost, and the one that came after it."""

    bench: Bench
    old: Job
    new: Job

    def unmoved(self) -> bool:
        """Whether the job is still in the hands of who claimed it last."""
        job = self.bench.get(self.new.id)
        taken = self.bench.claim("w3", lane=EV).jobs
        return (job.state, job.claimed_by, taken) == (State.PENDING, "w2", ())


def forgotten(url: str, kind: Kind) -> Forgotten:
    """Let a worker claim a job, Redis lose that, and another claim it."""
    bench = Bench(url)
    named = {"pair": "p"} if kind is Kind.CANCEL_ALL else {}
    job_id = bench.one("" if named else "a1", kind=kind, **named)
    before = bench.raw(job_id)
    old = bench.take("w1", lane=EV)
    bench.client.delete(f"cx:job:{job_id}")
    bench.client.hset(f"cx:job:{job_id}", mapping=before)
    bench.client.zadd(f"cx:due:{EV}", {job_id: before["due_ms"]})
    bench.client.zadd("cx:lanes", {EV: before["due_ms"]})
    new = bench.take("w2", lane=EV)
    assert (new.id, new.claim, new.attempts) == (old.id, old.claim, old.attempts)
    return Forgotten(bench, old, new)


@pytest.mark.parametrize("verb", [Verb.DONE, Verb.AGAIN, Verb.WAIT, Verb.DEAD])
def test_a_list_from_before_says_nothing_of_the_claim_after(redis_url: str, verb: Verb) -> None:
    """Orders may have been placed between the two: "it is empty" is no longer proven."""
    made = forgotten(redis_url, Kind.CANCEL_ALL)
    assert not made.bench.settle(made.old, verb, "w1").applied
    assert made.unmoved()
    assert made.bench.settle(made.new, Verb.DONE, "w2").applied
    assert made.bench.get(made.new.id).state is State.DONE


@pytest.mark.parametrize("verb", [Verb.AGAIN, Verb.WAIT, Verb.DEAD])
def test_only_a_proof_counts_from_who_has_the_job_no_longer(redis_url: str, verb: Verb) -> None:
    """No other worker is given what the second one holds."""
    made = forgotten(redis_url, Kind.CANCEL)
    assert not made.bench.settle(made.old, verb, "w1").applied
    assert made.unmoved()
    assert made.bench.settle(made.old, Verb.DONE, "w1").applied
    assert made.bench.get(made.new.id).state is State.DONE


def test_a_stopping_worker_gives_up_nothing_of_the_other(redis_url: str) -> None:
    """Both name the job and the claim's number; one of them holds it."""
    made = forgotten(redis_url, Kind.CANCEL)
    assert made.bench.ledger.hand_back([(made.old, "w1")]) == 0
    assert made.unmoved()
    assert made.bench.ledger.hand_back([(made.new, "w2")]) == 1
