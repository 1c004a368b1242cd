"""How the due jobs of one account share its attempts: by weights, so that none gets nothing."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.ledgers import EV, IX, LEASE_MS, Bench, Verb
from worker.model.jobs import Job


@pytest.fixture
def bench(redis_url: str) -> Bench:
    """An empty ledger on a stepped clock."""
    return Bench(redis_url)


def unprovable(bench: Bench, *order_ids: str, lane: str = EV, **fields: object) -> list[str]:
    """Accept jobs and attempt each until it is doubtful; they are due at once.

    No class is owed a turn then.
    """
    ids = [accepted.id for accepted in bench.accept(*order_ids, lane=lane, **fields)]
    while any(not bench.client.zscore(f"cx:doubtful:{lane}", job_id) for job_id in ids[::-1]):
        bench.settle(bench.take(lane=lane), Verb.AGAIN, doubtful=True)
        bench.clock.advance(1)
    bench.client.hdel(f"cx:lane:{lane}", "urgent_run", "single_run", "clear_run")
    return ids


def attempt(bench: Bench, *, lane: str = EV, again: bool = True) -> Job:
    """Make one attempt at one job of a chunk; it proves nothing, and the rest is put back unsent.

    So it goes where an exchange allows few requests: many are claimed, and one is sent.
    """
    first, *rest = bench.claim(lane=lane, limit=25).jobs
    if again:
        bench.settle(first, Verb.AGAIN, doubtful=first.doubtful or first.attempts > 2)
    else:
        bench.settle(first, Verb.DONE)
    if rest:
        bench.settle_all(rest, Verb.WAIT)
    bench.clock.advance(1)
    return first


@pytest.mark.parametrize("lane", [EV, IX])
def test_jobs_that_cannot_be_proven_do_not_keep_another_waiting(bench: Bench, lane: str) -> None:
    """However many urgent jobs are attempted without a proof, a later single cancel goes soon."""
    bench.accept(*(f"none{n}" for n in range(30)), lane=lane, urgent=True)
    for _ in range(120):
        attempt(bench, lane=lane)
    wanted = bench.one("x", lane=lane)
    assert wanted in [attempt(bench, lane=lane).id for _ in range(6)]


def test_urgent_jobs_go_first_but_not_alone(bench: Bench) -> None:
    """Of five attempts four are of urgent jobs that were never attempted, one of what waits."""
    bench.accept(*(f"a{n}" for n in range(40)))
    bench.clock.advance(5)
    bench.accept(*(f"u{n}" for n in range(40)), urgent=True)
    classes = [attempt(bench, again=False).urgent for _ in range(20)]
    assert classes == ([True] * 4 + [False]) * 4


def test_an_older_burst_is_not_passed_for_good(bench: Bench) -> None:
    """Singles that keep coming go before a burst, three of four times."""
    burst = {accepted.id for accepted in bench.accept(*(f"b{n}" for n in range(10)))}
    bench.client.delete(f"cx:named:{EV}")
    off = 0
    for n in range(40):
        job = bench.one(f"s{n}")
        # Its bell rings while the account must rest.
        bench.client.lpush(f"cx:named:{EV}", job)
        off += attempt(bench, again=False).id in burst
    assert off == 10


def test_doubtful_jobs_get_a_tenth(bench: Bench) -> None:
    """No more while others wait, and no less; urgent or not."""
    doubtful = {*unprovable(bench, "d1", "d2"), *unprovable(bench, "d3", urgent=True)}
    bench.accept(*(f"a{n}" for n in range(40)))
    made = [attempt(bench, again=False).id in doubtful for _ in range(20)]
    assert sum(made) == 2


def test_doubtful_jobs_alone_get_all(bench: Bench) -> None:
    """Nothing waits for others that are not there."""
    ids = unprovable(bench, "d1", "d2", "d3")
    assert Counter(attempt(bench).id for _ in range(9)) == dict.fromkeys(ids, 3)


def test_a_bell_does_not_pass_those_whose_turn_it_is(bench: Bench) -> None:
    """A stream of single cancels, each asked for by name, leaves the others their share."""
    urgent = {accepted.id for accepted in bench.accept("u1", "u2", urgent=True)}
    burst = {accepted.id for accepted in bench.accept("b1", "b2", "b3")}
    served = []
    for n in range(16):
        name = bench.one(f"s{n}")
        job = bench.take(lane=EV, job_id=name)
        served.append(job.id)
        bench.settle(job, Verb.DONE)
        bench.clock.advance(1)
    assert set(served[:2]) == urgent
    assert burst <= set(served)


def test_what_a_merge_makes_urgent_goes_first_again(bench: Bench) -> None:
    """A doubtful job of which a tripped switch asks is urgent for another attempt."""
    (doubtful,) = unprovable(bench, "d1")
    bench.accept("a1", "a2")
    bench.accept("d1", urgent=True)
    job = bench.take()
    assert (job.id, job.doubtful) == (doubtful, False)
    bench.settle(job, Verb.AGAIN, doubtful=True)
    assert attempt(bench, again=False).id != doubtful


def test_what_a_merge_makes_urgent_stays_due_when_put_back(bench: Bench) -> None:
    """The delay that it had before is over, also if nothing could be sent."""
    bench.one("d1")
    bench.settle(bench.take(), Verb.AGAIN, delay_ms=60_000, doubtful=True)
    bench.accept("d1", urgent=True)
    bench.settle(bench.take(), Verb.WAIT)
    assert bench.take().urgent


def test_an_order_that_is_shown_open_is_not_doubtful(bench: Bench) -> None:
    """A settlement that says so takes it back."""
    (doubtful,) = unprovable(bench, "d1", urgent=True)
    bench.settle(bench.take(), Verb.AGAIN, doubtful=False)
    bench.accept("a1")
    assert bench.take().id == doubtful
    assert not bench.client.exists(f"cx:doubtful:{EV}")


@pytest.mark.parametrize("verb", [Verb.DONE, Verb.DEAD])
def test_ended_it_leaves_nothing_behind(bench: Bench, verb: Verb) -> None:
    """No place in any set."""
    unprovable(bench, "d1", urgent=True)
    bench.settle(bench.take(), verb)
    assert not bench.client.exists(*(f"cx:{name}:{EV}" for name in ("due", "urgent", "doubtful")))


def test_leased_or_handed_back_it_stays_doubtful(bench: Bench) -> None:
    """Its place moves with its lease, and it is due once that ends, however it ends."""
    (doubtful,) = unprovable(bench, "d1")
    job = bench.take()
    (other,) = bench.accept("a1")
    assert bench.take().id == other.id
    bench.ledger.hand_back([(job, "w1")])
    job = bench.take("w2")
    assert (job.id, job.doubtful, job.lost) == (doubtful, True, True)
    bench.ledger.take_back(EV, ["w2"])
    assert bench.client.zscore(f"cx:doubtful:{EV}", doubtful) == bench.due_ms(doubtful)
    bench.take("w3")
    bench.clock.advance(LEASE_MS)
    assert bench.take("w4").id in (doubtful, other.id)


def test_among_many_doubtful_ones_the_others_are_found(bench: Bench) -> None:
    """However many are due before it: without a look at each."""
    unprovable(bench, *(f"d{n}" for n in range(300)))
    bench.clock.advance(50)
    late = {accepted.id for accepted in bench.accept("a1", "a2")}
    assert {job.id for job in bench.claim(limit=2).jobs} == late


def test_an_index_that_was_left_behind_is_put_right(bench: Bench) -> None:
    """An older version's workers know nothing of it: what they end or lease is claimed once."""
    first, second = unprovable(bench, "d1", "d2")
    bench.client.zrem(f"cx:due:{EV}", first)
    bench.client.hset(f"cx:job:{first}", "state", "done")
    bench.client.zadd(f"cx:due:{EV}", {second: bench.clock.now_ms + LEASE_MS})
    assert bench.claim(limit=5).jobs == ()
    bench.clock.advance(LEASE_MS)
    assert [job.id for job in bench.claim(limit=5).jobs] == [second]
    assert bench.client.zcard(f"cx:doubtful:{EV}") == 1
