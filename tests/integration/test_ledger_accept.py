"""Accepting: recorded once, rung for once, and never mistaken for another order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.ledgers import EV, EV2, IX, Bench, Verb, new_job
from worker.model.jobs import Kind, State
from worker.store.job_steps import CHUNK

MANY = 2 * CHUNK + 201
BELL = ("everstrike", "a message")


@pytest.fixture
def bench(redis_url: str) -> Bench:
    return Bench(redis_url)


def rings(bench: Bench) -> list[str]:
    """Return what lies in the broker's queue."""
    messages: Any = bench.client.lrange("cx:everstrike", 0, -1)
    return list(messages)


def test_accepted_job_is_pending_and_due_now(bench: Bench) -> None:
    """What was accepted can be read back, and a worker need not wait for it."""
    job_id = bench.one("a1", lane=IX, pair="btc_idr", side="buy", parent="p1")
    job = bench.get(job_id)
    assert (job.id, job.lane, job.kind, job.state) == (job_id, IX, Kind.CANCEL, State.PENDING)
    assert (job.order_id, job.pair, job.side, job.parent) == ("a1", "btc_idr", "buy", "p1")
    assert (job.exchange, job.account) == ("indodax", "ix")
    assert job.created_ms == job.due_ms == bench.clock.now_ms
    assert (job.attempts, job.claim, job.first_ms, job.outcome) == (0, 0, None, None)
    assert bench.due_ms(job_id, IX) == bench.lane_ms(IX) == bench.clock.now_ms


def test_same_order_while_pending_is_one_job(bench: Bench) -> None:
    """The second caller gets the first one's job, and nothing more is queued."""
    (first,) = bench.accept("a1")
    (second,) = bench.accept("a1")
    assert (first.fresh, second.fresh) == (True, False)
    assert first.id == second.id
    assert bench.client.zcard(f"cx:due:{EV}") == 1


def test_same_order_while_claimed_is_one_job(bench: Bench) -> None:
    """A job that a worker holds is still pending."""
    job_id = bench.one("a1")
    bench.take()
    assert [(a.id, a.fresh) for a in bench.accept("a1")] == [(job_id, False)]


@pytest.mark.parametrize("verb", [Verb.DONE, Verb.DEAD])
def test_same_order_after_its_end_is_a_new_job(bench: Bench, verb: Verb) -> None:
    """An order may be canceled again once its last job has ended."""
    first = bench.one("a1")
    bench.settle(bench.take(), verb)
    (again,) = bench.accept("a1")
    assert again.fresh
    assert again.id != first
    assert bench.get(first).state is not State.PENDING
    assert bench.take().id == again.id


def test_same_order_twice_in_one_call_is_one_job(bench: Bench) -> None:
    """A list may name an order twice."""
    first, other, again = bench.accept("a1", "a2", "a1")
    assert [first.fresh, other.fresh, again.fresh] == [True, True, False]
    assert first.id == again.id


def test_same_id_twice_is_that_job_even_once_it_has_ended(bench: Bench) -> None:
    """A message that the broker delivers twice makes one job, not a second attempt."""
    job = new_job("a1", id="t-1")
    assert [a.fresh for a in bench.ledger.accept([job])] == [True]
    assert [(a.id, a.fresh) for a in bench.ledger.accept([job])] == [("t-1", False)]
    bench.settle(bench.take(), Verb.DONE)
    assert [(a.id, a.fresh) for a in bench.ledger.accept([job])] == [("t-1", False)]
    assert bench.get("t-1").state is State.DONE
    assert bench.lane_ms() is None


@pytest.mark.parametrize("ended", [False, True])
def test_id_used_for_another_order_loses_neither(bench: Bench, *, ended: bool) -> None:
    """A client that numbers all its messages alike has each of its orders canceled."""
    bench.ledger.accept([new_job("a1", id="t-1")])
    if ended:
        bench.settle(bench.take(), Verb.DONE)
    (second,) = bench.ledger.accept([new_job("a2", id="t-1")])
    assert second.fresh
    assert second.id != "t-1"
    assert bench.get(second.id).order_id == "a2"
    assert bench.get("t-1").order_id == "a1"
    assert bench.due_ms(second.id) == bench.clock.now_ms
    (again,) = bench.ledger.accept([new_job("a2", id="t-1")])
    assert (again.id, again.fresh) == (second.id, False)
    bench.settle(bench.take(lane=EV, job_id=second.id), Verb.DONE)
    (late,) = bench.ledger.accept([new_job("a2", id="t-1")])
    assert (late.id, late.fresh) == (second.id, False)


@pytest.mark.parametrize(
    "other",
    [
        {"lane": EV2},
        {"pair": "eth_idr"},
        {"side": "sell"},
        {"order_id": "a1|btc_idr"},
        {"order_id": "btc_idr|a1"},
        {"order_id": "", "kind": Kind.CANCEL_ALL},
    ],
)
def test_another_order_is_another_job(bench: Bench, other: dict[str, Any]) -> None:
    """Where a pair and an id name an order together, one pair's proof is not another's."""
    mine = {"order_id": "a1", "pair": "btc_idr", "side": "buy"}
    accepted = bench.ledger.accept([new_job(**mine), new_job(**{**mine, **other})])
    assert [a.fresh for a in accepted] == [True, True]


def test_scopes_are_jobs_of_their_own(bench: Bench) -> None:
    """A cancel-all is the same only if its pair and side are."""
    scopes = [("", ""), ("btc_idr", ""), ("btc_idr", "buy"), ("btc_idr", "sell"), ("", "buy")]
    jobs = [new_job("", kind=Kind.CANCEL_ALL, pair=pair, side=side) for pair, side in scopes]
    assert all(a.fresh for a in bench.ledger.accept(jobs))
    again = [new_job("", kind=Kind.CANCEL_ALL, pair=pair, side=side) for pair, side in scopes]
    assert [a.id for a in bench.ledger.accept(again)] == [job.id for job in jobs]


def test_ended_scope_may_be_canceled_again(bench: Bench) -> None:
    """The end of a cancel-all frees its scope."""
    job = new_job("", kind=Kind.CANCEL_ALL, pair="btc_idr")
    bench.ledger.accept([job])
    bench.settle(bench.take(), Verb.DONE)
    assert bench.ledger.accept([new_job("", kind=Kind.CANCEL_ALL, pair="btc_idr")])[0].fresh


def test_order_whose_record_was_lost_is_accepted_again(bench: Bench) -> None:
    """A ticket always stands for a job that there is."""
    lost = bench.one("a1")
    bench.client.delete(f"cx:job:{lost}")
    (again,) = bench.accept("a1")
    assert again.fresh
    assert bench.get(again.id).state is State.PENDING


def test_many_jobs_keep_their_order_and_go_in_bounded_calls(bench: Bench) -> None:
    """Answers match the list, and no script call blocks Redis for all of them."""
    jobs = [new_job(f"o{n}") for n in range(MANY)]
    bench.client.config_resetstat()
    accepted = bench.ledger.accept(jobs)
    assert [a.id for a in accepted] == [job.id for job in jobs]
    assert all(a.fresh for a in accepted)
    stats: Any = bench.client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] - stats["cmdstat_evalsha"]["failed_calls"] == 3
    assert bench.client.zcard(f"cx:due:{EV}") == MANY


def test_jobs_of_several_lanes_come_due_each_in_its_own(bench: Bench) -> None:
    """One call may hold jobs of many accounts."""
    bench.ledger.accept([new_job("a", EV), new_job("b", IX), new_job("c", EV2)])
    assert bench.lane_ms(EV) == bench.lane_ms(IX) == bench.lane_ms(EV2) == bench.clock.now_ms


def test_doorbells_ring_once_for_a_list_of_any_length(bench: Bench) -> None:
    """1,201 orders in three script calls ring no more than one order does."""
    bench.ledger.accept([new_job(f"o{n}") for n in range(MANY)], [BELL])
    assert rings(bench) == [BELL[1]]


def test_doorbells_ring_only_for_what_is_fresh(bench: Bench) -> None:
    """Asking again for what is pending wakes no worker."""
    bench.ledger.accept([new_job("a1")], [BELL])
    bench.ledger.accept([new_job("a1")], [BELL])
    assert rings(bench) == [BELL[1]]
    bench.ledger.accept([new_job("a1"), new_job("a2")], [BELL])
    assert len(rings(bench)) == 2


def test_doorbells_ring_when_only_the_first_of_many_is_fresh(bench: Bench) -> None:
    """A long list that ends in known orders rings as well."""
    known = [f"o{n}" for n in range(CHUNK)]
    bench.accept(*known)
    bench.ledger.accept([new_job("fresh"), *map(new_job, known)], [BELL])
    assert rings(bench) == [BELL[1]]


def test_doorbells_of_many_do_not_pile_up(bench: Bench) -> None:
    """Where messages wait already no worker needs waking; that of one order becomes a name."""
    for n in range(100):
        bench.ledger.accept([new_job(f"a{n}"), new_job(f"b{n}")], [BELL])
    piled = len(rings(bench))
    assert 1 <= piled < 50
    bench.ledger.accept([new_job("single")], [BELL])
    assert len(rings(bench)) == piled
    assert bench.take(lane=EV).order_id == "single"


def test_every_bell_rings_in_its_queue(bench: Bench) -> None:
    """Bells may differ in queue and message."""
    bench.ledger.accept([new_job("a1")], [("q1", "m1"), ("q2", "m2"), ("q1", "m3")])
    assert bench.client.lrange("cx:q1", 0, -1) == ["m3", "m1"]
    assert bench.client.lrange("cx:q2", 0, -1) == ["m2"]


def test_nothing_to_accept_touches_nothing(bench: Bench) -> None:
    """An empty list is no command."""
    before = bench.client.dbsize()
    assert bench.ledger.accept([], [BELL]) == []
    assert bench.client.dbsize() == before


def test_arrivals_do_not_send_a_waiting_lane_to_the_back(bench: Bench) -> None:
    """A lane keeps its place in the turns, however fast its orders come in."""
    bench.accept("a1")
    first = bench.lane_ms()
    bench.clock.advance(50)
    bench.accept("a2")
    assert bench.lane_ms() == first


def test_arrival_wakes_a_lane_that_waits_for_a_later_job(bench: Bench) -> None:
    """A backoff of one job does not delay the next order."""
    bench.one("a1")
    bench.settle(bench.take(), Verb.AGAIN, delay_ms=5_000)
    assert bench.lane_ms() == bench.clock.now_ms + 5_000
    bench.clock.advance(10)
    bench.accept("a2")
    assert bench.lane_ms() == bench.clock.now_ms


def test_arrival_does_not_wake_a_paused_lane(bench: Bench) -> None:
    """No worker looks at a paused lane before its pause is over."""
    bench.one("a1")
    bench.settle(bench.take(), Verb.WAIT, pause_ms=700)
    bench.accept("a2")
    assert bench.lane_ms() == bench.clock.now_ms + 700


def test_one_order_from_many_threads_is_one_job(bench: Bench) -> None:
    """Check and take are one step."""
    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(lambda _: bench.accept("a1")[0], range(64)))
    assert len({a.id for a in accepted}) == 1
    assert sum(a.fresh for a in accepted) == 1
    assert bench.client.zcard(f"cx:due:{EV}") == 1


def test_prefixes_keep_two_programs_apart(bench: Bench) -> None:
    """Another prefix in the same Redis is another ledger."""
    other = Bench(bench.clock.url)
    other.ledger = type(other.ledger)(bench.clock.store("zz:"), digest="d")
    other.ledger.register([("ev", "everstrike", 0)])
    bench.one("a1")
    assert other.accept("a1")[0].fresh
    assert bench.claim().jobs[0].id != other.claim().jobs[0].id


def test_who_accepts_restores_a_doubtful_job_by_keys_of_its_own(bench: Bench) -> None:
    """A producer's user may not write the index of doubtful jobs; its claim does."""
    job_id = bench.one("a1")
    bench.settle(bench.take(), Verb.AGAIN, doubtful=True)
    bench.client.zrem(f"cx:due:{EV}", job_id)
    bench.client.zrem(f"cx:doubtful:{EV}", job_id)
    assert bench.one("a1") == job_id
    assert bench.due_ms(job_id) == bench.clock.now_ms
    assert bench.client.zscore(f"cx:doubtful:{EV}", job_id) is None
    assert bench.take().id == job_id
    assert bench.client.zscore(f"cx:doubtful:{EV}", job_id) is not None
