"""What an account does while the exchange refuses its credentials: wait, and lose nothing."""

from __future__ import annotations

import pytest

from tests.support.ledgers import EV, LANES, LEASE_MS, Bench, Verb
from worker.model.jobs import Job
from worker.model.outcomes import Evidence, Outcome

REFUSALS = [Evidence.NO_CANCELS, Evidence.NO_READS, Evidence.NO_TOKEN]


@pytest.fixture
def bench(redis_url: str) -> Bench:
    """An empty ledger on a stepped clock."""
    return Bench(redis_url)


def refuse(bench: Bench, job: Job, evidence: Evidence = Evidence.NO_CANCELS) -> None:
    """Settle an attempt whose credentials were refused; the job itself is due again at once."""
    bench.settle(job, Verb.AGAIN, outcome=Outcome.UNAUTHORIZED, evidence=evidence)


def wait_for_probe(bench: Bench, *, step_ms: int = 500, most_ms: int = 200_000) -> tuple[Job, int]:
    """Let time pass until a job may be claimed; return it and how long that took."""
    for waited_ms in range(0, most_ms, step_ms):
        if jobs := bench.claim(lane=EV, limit=25).jobs:
            (job,) = jobs
            return job, waited_ms
        bench.clock.advance(step_ms)
    raise AssertionError("no probe")


@pytest.mark.parametrize("evidence", REFUSALS)
def test_one_probe_an_account_ever_more_rarely(bench: Bench, evidence: Evidence) -> None:
    """However many jobs wait, one attempt is made at a time, after 1 s, 2 s, ... 60 s."""
    bench.accept(*(f"a{n}" for n in range(30)))
    refuse(bench, bench.take(lane=EV), evidence)
    waits = []
    for _ in range(8):
        job, waited_ms = wait_for_probe(bench)
        assert not bench.claim("w2", lane=EV, limit=25).jobs
        assert not bench.claim("w2", exchange="everstrike", limit=25).jobs
        refuse(bench, job, evidence)
        waits.append(waited_ms)
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]


def test_all_go_at_once_when_a_probe_is_accepted(bench: Bench) -> None:
    """The first cancel that is accepted sets every job free, those that were probes as well."""
    bench.accept(*(f"a{n}" for n in range(5)))
    first = bench.take(lane=EV)
    bench.settle(
        first, Verb.AGAIN, outcome=Outcome.UNAUTHORIZED, evidence=Evidence.NO_CANCELS,
        delay_ms=60_000,
    )  # fmt: skip
    bench.clock.advance(1_000)
    probe = bench.take(lane=EV)
    bench.settle(probe, Verb.DONE, evidence=Evidence.CANCELS)
    assert not bench.client.hexists(f"cx:lane:{EV}", "refused")
    bench.clock.advance(1_000)
    left = {"a0", "a1", "a2", "a3", "a4"} - {probe.order_id}
    assert {job.order_id for job in bench.claim(lane=EV, limit=25).jobs} == left


@pytest.mark.parametrize(
    ("refused", "shown", "free"),
    [
        (Evidence.NO_CANCELS, Evidence.CANCELS, True),
        (Evidence.NO_CANCELS, Evidence.READS, False),
        (Evidence.NO_CANCELS, Evidence.NONE, False),
        (Evidence.NO_CANCELS, Evidence.PUT_OFF, False),
        (Evidence.NO_READS, Evidence.CANCELS, True),
        (Evidence.NO_READS, Evidence.READS, True),
        (Evidence.NO_TOKEN, Evidence.READS, True),
        (Evidence.NO_TOKEN, Evidence.NONE, False),
    ],
)
def test_only_what_was_refused_shows_that_it_is_accepted(
    bench: Bench, refused: Evidence, shown: Evidence, *, free: bool
) -> None:
    """A key that may read but not cancel keeps its cancels waiting; a probe follows soon."""
    bench.accept("a1", "a2", "a3", "a4")
    refuse(bench, bench.take(lane=EV), refused)
    bench.clock.advance(1_000)
    bench.settle(bench.take(lane=EV), Verb.AGAIN, evidence=shown)
    bench.clock.advance(1_000)
    assert (len(bench.claim(lane=EV, limit=25).jobs) > 1) is free


def test_attempts_under_way_at_the_refusal_count_once(bench: Bench) -> None:
    """Eight threads that are refused together do not make the first probe wait for minutes."""
    bench.accept(*(f"a{n}" for n in range(9)))
    jobs = bench.claim(lane=EV, limit=8).jobs
    bench.clock.advance(50)
    for job in jobs:
        refuse(bench, job)
    assert wait_for_probe(bench)[1] == 1_000


def test_an_answer_to_what_was_sent_before_the_refusal_sets_nothing_free(bench: Bench) -> None:
    """A slow success from before the outage does not end it."""
    bench.accept("a1", "a2", "a3")
    slow, quick = bench.claim(lane=EV, limit=2).jobs
    bench.clock.advance(50)
    refuse(bench, quick)
    bench.settle(slow, Verb.DONE, evidence=Evidence.CANCELS)
    assert not bench.claim(lane=EV, limit=25).jobs


def test_a_worker_that_dies_with_the_probe_costs_its_lease(bench: Bench) -> None:
    """The next probe is another worker's, once the lease has run out."""
    bench.accept("a1", "a2")
    refuse(bench, bench.take(lane=EV))
    bench.clock.advance(1_000)
    bench.take("lost", lane=EV)
    bench.clock.advance(LEASE_MS - 1)
    assert not bench.claim("w2", lane=EV, limit=25).jobs
    bench.clock.advance(1)
    assert len(bench.claim("w2", lane=EV, limit=25).jobs) == 1


def test_a_probe_that_could_not_be_made_is_made_soon(bench: Bench) -> None:
    """A rate slot that was not free puts the probe off by that wait, not by its lease."""
    bench.accept("a1", "a2")
    refuse(bench, bench.take(lane=EV))
    bench.clock.advance(1_000)
    bench.settle(bench.take(lane=EV), Verb.WAIT, pause_ms=300)
    bench.clock.advance(299)
    assert not bench.claim(lane=EV).jobs
    bench.clock.advance(1)
    assert bench.claim(lane=EV).jobs


def test_a_worker_that_starts_probes_at_once(bench: Bench) -> None:
    """It may bring the new key of the account."""
    bench.accept("a1", "a2")
    refuse(bench, bench.take(lane=EV))
    for _ in range(5):
        refuse(bench, wait_for_probe(bench)[0])
    assert not bench.claim(lane=EV).jobs
    bench.clock.advance(1_000)
    bench.ledger.register(LANES)
    assert len(bench.claim(exchange="everstrike", limit=25).jobs) == 1


def test_a_job_that_is_given_up_does_not_put_off_the_next(bench: Bench) -> None:
    """Jobs that have waited for as long as they may end one after the other."""
    bench.accept("a1", "a2", "a3")
    refuse(bench, bench.take(lane=EV))
    bench.clock.advance(1_000)
    probe = bench.take(lane=EV)
    assert (probe.refused, probe.refused_ms) == ("cancels", bench.clock.now_ms - 1_000)
    bench.settle(probe, Verb.DEAD, outcome=Outcome.UNAUTHORIZED, evidence=Evidence.NO_CANCELS)
    assert len(bench.claim(lane=EV, limit=25).jobs) == 1


def test_other_accounts_of_the_exchange_continue(bench: Bench) -> None:
    """Refused credentials are one account's."""
    bench.accept("a1", "a2")
    bench.accept("b1", "b2", lane="everstrike:ev2")
    refuse(bench, bench.take(lane=EV))
    jobs = bench.claim(exchange="everstrike", limit=25).jobs
    assert {job.order_id for job in jobs} == {"b1", "b2"}
    assert {job.refused for job in jobs} == {""}


@pytest.mark.parametrize("shown", [Evidence.CANCELS, Evidence.READS])
def test_what_one_reply_put_off_is_due_once_another_shows_that_it_works(
    bench: Bench, shown: Evidence
) -> None:
    """A long `Retry-After` is forgotten when the exchange answers again."""
    asked, other = bench.one("a1"), bench.one("a2")
    job = bench.take(job_id=asked, lane=EV)
    bench.settle(job, Verb.AGAIN, delay_ms=30_000, evidence=Evidence.PUT_OFF)
    assert bench.due_ms(asked) == bench.clock.now_ms + 30_000
    bench.settle(bench.take(job_id=other, lane=EV), Verb.DONE, evidence=shown)
    bench.clock.advance(1_000)
    assert bench.take(lane=EV).id == asked
    assert not bench.client.exists(f"cx:asked:{EV}")


def test_what_was_claimed_since_is_not_made_due(bench: Bench) -> None:
    """A job that another worker has claimed by then keeps its lease."""
    asked, other = bench.one("a1"), bench.one("a2")
    job = bench.take(job_id=asked, lane=EV)
    bench.settle(job, Verb.AGAIN, delay_ms=1_000, evidence=Evidence.PUT_OFF)
    bench.clock.advance(1_000)
    assert bench.take("w2", job_id=asked, lane=EV).id == asked
    bench.settle(bench.take(job_id=other, lane=EV), Verb.DONE, evidence=Evidence.CANCELS)
    assert bench.due_ms(asked) == bench.clock.now_ms + LEASE_MS
