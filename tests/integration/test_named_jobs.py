"""Single cancels pass a backlog without a doorbell each, where enough ring already."""

from __future__ import annotations

import pytest
import redis

from tests.support.ledgers import EV, EV2, IX, LEASE_MS, Bench, Verb, new_job
from worker.store.connection import Store
from worker.store.ledger import Ledger

QUEUE, BELL = "everstrike", "a message"
ENOUGH = 32
BACKLOG = 60


@pytest.fixture
def bench(redis_url: str) -> Bench:
    """An empty ledger, and as many messages as keep the workers awake."""
    made = Bench(redis_url)
    made.client.lpush(f"cx:{QUEUE}", *[BELL] * ENOUGH)
    return made


def ring(bench: Bench, *order_ids: str, lane: str = EV) -> list[str]:
    """Enqueue as a producer does; return the jobs."""
    jobs = [new_job(order_id, lane) for order_id in order_ids]
    return [each.id for each in bench.ledger.accept(jobs, [(QUEUE, BELL)])]


def rung(bench: Bench) -> int:
    """Return how many bells were added."""
    return int(bench.client.llen(f"cx:{QUEUE}")) - ENOUGH  # type: ignore[arg-type]


def test_one_rings_while_few_messages_wait(bench: Bench) -> None:
    """At a low load each single cancel is a task of its own."""
    bench.client.delete(f"cx:{QUEUE}")
    for n in range(ENOUGH):
        ring(bench, f"a{n}")
    assert rung(bench) == 0
    assert not bench.client.exists(f"cx:named:{EV}")


def test_one_passes_a_backlog_without_a_bell(bench: Bench) -> None:
    """What was asked for by name comes first, in the order in which it was asked for."""
    ring(bench, *(f"b{n}" for n in range(BACKLOG)))
    bench.clock.advance(1)
    first = ring(bench, "a1")
    second = ring(bench, "a2")
    assert rung(bench) == 0
    assert [job.id for job in bench.claim(lane=EV, limit=1).jobs] == first
    claimed = bench.claim(lane=EV, limit=25).jobs
    assert len(claimed) == 25
    assert claimed[0].id == second[0]
    assert not bench.client.exists(f"cx:named:{EV}")


def test_many_neither_ring_nor_pass(bench: Bench) -> None:
    """They are the backlog."""
    ring(bench, "b1", "b2")
    assert rung(bench) == 0
    assert not bench.client.exists(f"cx:named:{EV}")


def test_what_is_urgent_comes_before_it(bench: Bench) -> None:
    """A tripped switch's cancels pass everything."""
    ring(bench, "a1")
    urgent = bench.one("u1", urgent=True)
    assert bench.take(lane=EV).id == urgent


def test_a_name_whose_job_is_gone_stops_no_other(bench: Bench) -> None:
    """Taken by its bell, put off or ended by then: the others are found, and it is not."""
    taken, put_off, ended, left = (ring(bench, f"a{n}")[0] for n in range(4))
    backlog = ring(bench, "b1", "b2")
    bench.take("w2", lane=EV, job_id=taken)
    bench.settle(bench.take(lane=EV, job_id=put_off), Verb.AGAIN, delay_ms=LEASE_MS)
    bench.settle(bench.take(lane=EV, job_id=ended), Verb.DONE)
    assert bench.take(lane=EV).id == left
    assert {job.id for job in bench.claim(lane=EV, limit=9).jobs} == set(backlog)
    assert bench.claim(lane=EV, limit=9).jobs == ()
    bench.clock.advance(LEASE_MS)
    due = {job.id for job in bench.claim("w3", lane=EV, limit=9).jobs}
    assert due == {taken, put_off, left, *backlog}


def test_what_is_pending_is_not_named_again(bench: Bench) -> None:
    """Asked twice, it is the same job."""
    first, again = ring(bench, "a1"), ring(bench, "a1")
    assert first == again
    assert bench.client.llen(f"cx:named:{EV}") == 1


def test_one_that_had_to_wait_is_the_next(bench: Bench) -> None:
    """A job that was refused a rate slot loses no place to the backlog by it."""
    bench.client.delete(f"cx:{QUEUE}")
    ring(bench, *(f"b{n}" for n in range(BACKLOG)))
    bench.clock.advance(1)
    (single,) = ring(bench, "a1")
    bench.settle(bench.take(lane=EV, job_id=single), Verb.WAIT, pause_ms=500)
    bench.clock.advance(500)
    assert bench.take(lane=EV).id == single
    many = bench.take(lane=EV)
    bench.settle(many, Verb.WAIT)
    assert not bench.client.exists(f"cx:named:{EV}"), "of many, none is named"


def test_a_bell_at_a_resting_lane_is_remembered(bench: Bench) -> None:
    """It comes once; the job it names still passes the backlog when the lane is free."""
    ring(bench, *(f"b{n}" for n in range(BACKLOG)))
    bench.clock.advance(1)
    bench.client.delete(f"cx:{QUEUE}")
    (single,) = ring(bench, "a1")
    bench.settle(bench.take(lane=EV), Verb.WAIT, pause_ms=500)
    assert bench.claim("w2", lane=EV, job_id=single).jobs == ()
    assert bench.claim("w2", lane=EV, job_id=single).jobs == ()
    bench.clock.advance(500)
    claimed = bench.claim("w2", lane=EV, limit=9).jobs
    assert len({job.id for job in claimed}) == 9, "named twice, claimed once"
    assert claimed[0].id == single
    assert (claimed[0].attempts, claimed[0].lost) == (1, False)


def test_each_lane_has_its_own(bench: Bench) -> None:
    """One account's singles do not pass another account's backlog, nor a hold."""
    other = ring(bench, "x1", lane=EV2)
    (held,) = ring(bench, "1", lane=IX)
    (waits,) = ring(bench, "2", lane=IX)
    bench.one("b1")
    assert bench.take(lane=EV).order_id == "b1"
    assert [job.id for job in bench.claim(lane=EV2, limit=9).jobs] == other
    job = bench.take(lane=IX)
    assert job.id == held
    assert bench.claim("w2", lane=IX).jobs == ()
    bench.settle(job, Verb.DONE)
    assert bench.take("w2", lane=IX).id == waits


def test_a_producer_without_the_right_rings(bench: Bench) -> None:
    """Users of an older version's rights lose nothing."""
    keys = ["job:*", "pending:*", "due:*", "urgent:*", "lane:*", "lanes"]
    bench.client.acl_setuser(
        "old",
        enabled=True,
        nopass=True,
        commands=["+@all"],
        keys=["stepped:*", f"cx:{QUEUE}", *(f"cx:{key}" for key in keys)],
    )
    client = redis.Redis.from_url(bench.clock.url, username="old", password="x")
    store = bench.clock.store()
    narrow = Ledger(Store(client, prefix=store.prefix, clock=store._raw_time, local=store.local_ms))  # noqa: SLF001
    try:
        narrow.accept([new_job("a1")], [(QUEUE, BELL)])
    finally:
        client.close()
        bench.client.acl_deluser("old")
    assert rung(bench) == 1
    assert bench.take(lane=EV).order_id == "a1"


def test_none_rings_while_a_worker_is_about_to_ask(bench: Bench) -> None:
    """It runs a job of the lane, and states how soon it asks for more."""
    bench.client.delete(f"cx:{QUEUE}")
    bench.one("a1")
    job = bench.take(lane=EV, back_ms=4)
    bench.clock.advance(3)
    (second,) = ring(bench, "a2")
    assert rung(bench) == -ENOUGH
    claimed = bench.settle(job, Verb.DONE, limit=9, back_ms=4)
    assert [each.id for each in claimed.jobs] == [second]
    ring(bench, "x1", lane=EV2)
    assert rung(bench) == 1 - ENOUGH, "no job of it runs"
    bench.clock.advance(4)
    ring(bench, "a3")
    assert rung(bench) == 2 - ENOUGH, "it is late"


@pytest.mark.parametrize("limit", [0, 9])
def test_one_rings_once_no_job_runs(bench: Bench, limit: int) -> None:
    """A settlement that claims no other job ends what the worker stated before."""
    bench.client.delete(f"cx:{QUEUE}")
    bench.one("a1")
    bench.settle(bench.take(lane=EV, back_ms=1_000), Verb.DONE, limit=limit, back_ms=1_000)
    ring(bench, "a2")
    assert rung(bench) == 1 - ENOUGH


def test_one_without_a_bell_still_passes_a_backlog(bench: Bench) -> None:
    """A single that rings no bell is named, as where enough bells ring."""
    bench.client.delete(f"cx:{QUEUE}")
    ring(bench, *(f"b{n}" for n in range(BACKLOG)))
    bench.clock.advance(1)
    job = bench.take(lane=EV, back_ms=4)
    (single,) = ring(bench, "a1")
    claimed = bench.settle(job, Verb.DONE, limit=9)
    assert claimed.jobs[0].id == single


def test_a_lane_of_one_request_at_a_time_promises_nothing(bench: Bench) -> None:
    """Another worker may be next."""
    bench.client.delete("cx:indodax")
    bench.one("1", lane=IX)
    bench.take(lane=IX, back_ms=1_000)
    bench.ledger.accept([new_job("2", IX)], [("indodax", BELL)])
    assert bench.client.llen("cx:indodax") == 1


def test_none_rings_while_a_worker_lets_jobs_gather(bench: Bench) -> None:
    """It has found none due, and asks for the lane's again."""
    bench.client.delete(f"cx:{QUEUE}")
    bench.one("a1")
    assert not bench.settle(bench.take(lane=EV), Verb.DONE, limit=9, stay_ms=60).jobs
    bench.clock.advance(3)
    (second,) = ring(bench, "a2")
    assert rung(bench) == -ENOUGH
    assert [each.id for each in bench.claim(limit=9, lane=EV).jobs] == [second]
    ring(bench, "a3")
    assert rung(bench) == -ENOUGH, "it asks again once it has settled"
    bench.clock.advance(58)
    ring(bench, "a4")
    assert rung(bench) == 1 - ENOUGH, "it is late"


def test_one_rings_once_none_has_gathered(bench: Bench) -> None:
    """The worker has asked again, and found nothing."""
    bench.client.delete(f"cx:{QUEUE}")
    bench.one("a1")
    bench.settle(bench.take(lane=EV), Verb.DONE, limit=9, stay_ms=60)
    assert not bench.claim(limit=9, lane=EV).jobs
    ring(bench, "a2")
    assert rung(bench) == 1 - ENOUGH


def test_a_worker_that_ends_leaves_what_another_has_stated(bench: Bench) -> None:
    """The other one asks for more; the later of two statements counts."""
    bench.client.delete(f"cx:{QUEUE}")
    first, second = bench.one("a1"), bench.one("a2")
    mine = bench.take("w1", lane=EV, job_id=first)
    other = bench.take("w2", lane=EV, job_id=second, back_ms=50)
    bench.settle(mine, Verb.DONE, "w1", back_ms=1)
    ring(bench, "a3")
    assert rung(bench) == -ENOUGH
    bench.settle(other, Verb.DONE, "w2")
    ring(bench, "a4")
    assert rung(bench) == 1 - ENOUGH


def test_named_jobs_go_next_if_they_are_due(bench: Bench) -> None:
    """Their doorbells were read while all threads were busy."""
    ids = [bench.one(f"a{n}") for n in range(BACKLOG)]
    job = bench.take(lane=EV)
    other = bench.take(lane=EV)
    first, second, *_ = (each for each in reversed(ids) if each not in (job.id, other.id))
    named = [(EV, first), (EV, other.id), (EV, "unknown"), (EV, second)]
    claimed = bench.settle(job, Verb.DONE, limit=3, named=named)
    assert claimed.due == (True, False, False, True)
    assert [each.id for each in claimed.jobs[:2]] == [first, second]
