"""Claiming: each due job to one holder, and back when the holder is lost."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.ledgers import EV, EV2, IX, LANES, LEASE_MS, Bench, Verb, entry, new_job
from worker.model.jobs import State
from worker.model.outcomes import Outcome
from worker.store.due_poll import DuePoll
from worker.store.ledger import Ledger

STRANGERS = 1_500
"""Jobs of a later version in one lane."""


@pytest.fixture
def bench(redis_url: str) -> Bench:
    return Bench(redis_url)


def test_claimed_job_knows_its_attempt(bench: Bench) -> None:
    """The claimant learns all that the job is, and Redis's time."""
    job_id = bench.one("a1", pair="btc_idr")
    bench.clock.advance(40)
    claimed = bench.claim("w1")
    (job,) = claimed.jobs
    assert claimed.now_ms == bench.clock.now_ms
    assert claimed.unregistered == ""
    assert (job.id, job.order_id, job.pair) == (job_id, "a1", "btc_idr")
    assert (job.claim, job.attempts, job.claimed_by) == (1, 1, "w1")
    assert job.first_ms == bench.clock.now_ms
    assert job.history == ()


def test_claimed_job_is_out_of_reach_until_its_lease_ends(bench: Bench) -> None:
    """Neither the exchange's turn, nor the lane's, nor its name gets it."""
    job_id = bench.take(job_id=bench.one(), lane=EV).id
    bench.clock.advance(LEASE_MS - 1)
    for options in ({}, {"lane": EV}, {"lane": EV, "job_id": job_id}):
        assert bench.claim("w2", **options).jobs == ()
    assert bench.due_ms(job_id) == bench.clock.now_ms + 1


def test_named_job_is_claimed_alone(bench: Bench) -> None:
    """A doorbell gets its own job, not the lane's earliest."""
    first, second, third = (bench.one(name) for name in ("a1", "a2", "a3"))
    assert bench.take(lane=EV, job_id=second).id == second
    assert [bench.take(lane=EV).id for _ in range(2)] == sorted([first, third])


def test_lane_gives_its_earliest_job_first(bench: Bench) -> None:
    """Within a lane, who came first is served first."""
    ids = []
    for n in range(5):
        ids.append(bench.one(f"o{n}"))
        bench.clock.advance(1)
    assert [bench.take(lane=EV).id for _ in ids] == ids


def test_other_exchange_has_no_part_in_it(bench: Bench) -> None:
    """A claim for one exchange leaves another's jobs alone."""
    job_id = bench.one("a1", IX)
    assert bench.claim(exchange="everstrike").jobs == ()
    assert bench.claim(exchange="indo").jobs == ()
    assert bench.take(exchange="indodax").id == job_id


def test_limit_bounds_what_is_claimed(bench: Bench) -> None:
    """A claimant takes no more than it asked for."""
    bench.accept("a1", "a2", "a3")
    assert len(bench.claim(limit=2).jobs) == 2
    assert len(bench.claim(limit=2).jobs) == 1
    assert bench.claim(limit=2).jobs == ()


def test_job_that_is_not_due_cannot_be_claimed_by_name(bench: Bench) -> None:
    """A doorbell that rings twice does not shorten a backoff."""
    job_id = bench.one()
    bench.settle(bench.take(), Verb.AGAIN, delay_ms=500)
    assert bench.claim(lane=EV, job_id=job_id).jobs == ()
    bench.clock.advance(499)
    assert bench.claim(lane=EV, job_id=job_id).jobs == ()
    bench.clock.advance(1)
    assert bench.take(lane=EV, job_id=job_id).id == job_id


def test_unknown_job_cannot_be_claimed(bench: Bench) -> None:
    """A doorbell for nothing finds nothing."""
    assert bench.claim(lane=EV, job_id="none").jobs == ()
    assert bench.lane_ms() is None


def test_lost_workers_job_is_taken_over_with_a_line(bench: Bench) -> None:
    """The end of its lease gives a job to another, and says what happened."""
    bench.one()
    first = bench.take("w1")
    bench.clock.advance(LEASE_MS)
    second = bench.take("w2")
    assert (second.id, second.claim, second.attempts) == (first.id, 2, 2)
    assert second.first_ms == first.first_ms
    assert second.lost
    (line,) = second.history
    assert (line["by"], line["n"], line["outcome"]) == ("w1", 1, Outcome.UNKNOWN)
    assert line["at_ms"] == first.first_ms
    assert "worker was lost" in line["detail"]
    bench.clock.advance(LEASE_MS)
    assert [line["by"] for line in bench.take("w3").history] == ["w1", "w2"]


def test_settled_attempt_leaves_no_lost_line(bench: Bench) -> None:
    """A worker that reported was not lost."""
    bench.one()
    first = bench.take()
    bench.settle(first, Verb.AGAIN, delay_ms=0)
    again = bench.take("w2")
    assert again.history == (entry(first, Outcome.UNKNOWN),)
    assert not again.lost


def test_lane_that_is_not_registered_is_named_not_served(bench: Bench) -> None:
    """Width is unknown until a worker says it, so that nothing is claimed before."""
    fresh = Bench(bench.clock.url, digest="others", register=False)
    job_id = fresh.one()
    for options in ({}, {"lane": EV}, {"lane": EV, "job_id": job_id}):
        claimed = fresh.claim(**options)
        assert (claimed.jobs, claimed.unregistered) == ((), EV)
    fresh.ledger.register(LANES)
    assert fresh.take().id == job_id


def test_unregistered_lane_does_not_block_the_others(bench: Bench) -> None:
    """A forgotten account's jobs wait; those of the accounts in use do not."""
    bench.one("a1", "everstrike:gone")
    bench.clock.advance(5)
    job_id = bench.one("a2")
    claimed = bench.claim()
    assert [job.id for job in claimed.jobs] == [job_id]
    assert bench.claim().unregistered == "everstrike:gone"


def test_lanes_are_known_until_workers_are_long_gone(bench: Bench) -> None:
    """A heartbeat keeps the lanes known, and says when they are not."""
    assert bench.ledger.heartbeat("w1", ttl_ms=5_000) == (bench.clock.now_ms, True)
    stranger = Ledger(bench.clock.store(), digest="other lanes")
    assert stranger.heartbeat("w2", ttl_ms=5_000) == (bench.clock.now_ms, False)
    assert bench.ledger.workers() == {"w1": bench.clock.now_ms, "w2": bench.clock.now_ms}
    bench.clock.advance(5_000)
    bench.ledger.heartbeat("w3", ttl_ms=5_000)
    assert set(bench.ledger.workers()) == {"w3"}
    assert bench.ledger.accounts() == {alias: exchange for alias, exchange, *_ in LANES}


@pytest.mark.parametrize(("field", "value", "own"), [("v", "99", "1"), ("kind", "amend", "cancel")])
def test_job_of_a_later_version_is_left_alone(
    bench: Bench, field: str, value: str, own: str
) -> None:
    """What this version cannot read it neither runs nor changes nor forgets."""
    job_id = bench.one()
    bench.client.hset(f"cx:job:{job_id}", field, value)
    before = bench.raw(job_id)
    assert bench.claim().jobs == ()
    assert bench.claim(lane=EV, job_id=job_id).jobs == ()
    assert bench.raw(job_id) == before
    due = bench.due_ms(job_id)
    assert due is not None
    assert due > bench.clock.now_ms
    bench.client.hset(f"cx:job:{job_id}", field, own)
    bench.clock.set(int(due))
    assert bench.take().id == job_id


def test_record_without_a_version_is_left_alone(bench: Bench) -> None:
    """A damaged record stops no worker."""
    damaged = bench.one("a0")
    bench.client.hdel(f"cx:job:{damaged}", "v")
    bench.clock.advance(1)
    good = bench.one("a1")
    assert bench.take().id == good
    assert bench.due_ms(damaged) is not None


@pytest.mark.parametrize(("field", "value"), [("v", "99"), ("kind", "amend")])
@pytest.mark.parametrize("lane", [EV, IX])
def test_jobs_of_a_later_version_do_not_block_their_lane(
    bench: Bench, lane: str, field: str, value: str
) -> None:
    """During a rollout, one claim finds this version's job behind any of the next one's."""
    strangers = bench.accept(*(f"o{n}" for n in range(STRANGERS)), lane=lane)
    pipe = bench.client.pipeline(transaction=False)
    for stranger in strangers:
        pipe.hset(f"cx:job:{stranger.id}", field, value)
    pipe.execute()
    bench.clock.advance(1)
    job_id = bench.one("mine", lane)
    exchange = lane.partition(":")[0]
    found = [job.id for _ in range(3) for job in bench.claim(exchange=exchange).jobs]
    assert found == [job_id]
    assert bench.client.zcard(f"cx:due:{lane}") == STRANGERS + 1


def test_place_without_a_record_is_dropped(bench: Bench) -> None:
    """A record that is gone leaves nothing to do, and delays nothing."""
    lost, good = bench.one("a1"), bench.one("a2")
    bench.client.delete(f"cx:job:{lost}")
    assert [job.id for job in bench.claim(limit=5).jobs] == [good]
    assert bench.due_ms(lost) is None
    bench.settle(bench.get(good), Verb.DONE)
    assert bench.lane_ms() is None


def test_place_of_an_ended_job_is_dropped(bench: Bench) -> None:
    """A job that has ended is never attempted again."""
    job_id = bench.one()
    bench.settle(bench.take(), Verb.DONE)
    bench.client.zadd(f"cx:due:{EV}", {job_id: bench.clock.now_ms})
    bench.client.zadd("cx:lanes", {EV: bench.clock.now_ms})
    assert bench.claim().jobs == ()
    assert bench.get(job_id).state is State.DONE
    assert bench.due_ms(job_id) is None
    assert bench.lane_ms() is None


def test_lanes_take_turns(bench: Bench) -> None:
    """10,000 orders of one account delay another account's one by a turn."""
    bench.accept(*(f"o{n}" for n in range(10_000)))
    for _ in range(20):
        bench.clock.advance(1)
        bench.take()
    bench.clock.advance(1)
    job_id = bench.one("urgent", EV2)
    bench.clock.advance(1)
    served = []
    for _ in range(2):
        served.append(bench.take().lane)
        bench.clock.advance(1)
    assert EV2 in served
    assert bench.get(job_id).attempts == 1


def test_two_busy_lanes_are_served_alike(bench: Bench) -> None:
    """Of two full lanes each gets every other turn."""
    for n in range(20):
        bench.one(f"o{n}", EV)
        bench.one(f"o{n}", EV2)
    served: Counter[str] = Counter()
    for _ in range(20):
        bench.clock.advance(1)
        served[bench.take().lane] += 1
    assert served == {EV: 10, EV2: 10}


def test_many_claimants_share_out_the_jobs(bench: Bench) -> None:
    """Eight threads get each job once."""
    accepted = bench.accept(*(f"o{n}" for n in range(400)))

    def work(n: int) -> list[str]:
        found = []
        while jobs := bench.claim(f"w{n}", limit=3).jobs:
            found += [job.id for job in jobs]
        return found

    with ThreadPoolExecutor(8) as pool:
        taken = [job_id for found in pool.map(work, range(8)) for job_id in found]
    assert sorted(taken) == sorted(a.id for a in accepted)


def test_first_due_and_due_lanes_say_where_to_look(bench: Bench) -> None:
    """The sweep's two questions are answered from the index of lanes."""
    poll = DuePoll(bench.clock.store())
    assert poll.first_due() is None
    bench.one("a1", EV)
    bench.clock.advance(10)
    bench.one("a2", IX)
    now = bench.clock.now_ms
    assert poll.first_due() == now - 10
    assert list(bench.ledger.looks_ms([IX, EV2, EV]).items()) == [(EV, now - 10), (IX, now)]
    assert bench.ledger.looks_ms([IX]) == {IX: now}


def test_listings_show_what_is_pending(bench: Bench) -> None:
    """Jobs are listed by account, those due first ahead, and never more than asked."""
    for n in range(4):
        bench.one(f"o{n}", EV if n % 2 else IX)
        bench.clock.advance(1)
    assert [job.order_id for job in bench.ledger.pending(limit=9, account="ev")] == ["o1", "o3"]
    assert len(bench.ledger.pending(limit=9)) == 4
    assert len(bench.ledger.pending(limit=3)) == 3
    assert bench.ledger.pending(limit=9, account="nobody") == []
    known = bench.ledger.pending(limit=1)[0]
    assert bench.ledger.many(["none", known.id]) == [None, known]
    assert bench.ledger.get("none") is None


def test_new_job_ids_differ() -> None:
    """No two jobs are called the same."""
    assert len({new_job().id for _ in range(1_000)}) == 1_000
