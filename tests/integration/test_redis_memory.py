"""What jobs leave in Redis once they have ended."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.ledgers import EV, Bench, Verb, entry
from tests.support.world import World
from worker.factory import build_dispatcher
from worker.model.outcomes import Outcome
from worker.policy.retention import SHORTEST_MS

BY = "host-1:4242:0a1b2c:17"


@pytest.fixture
def bench(redis_url: str) -> Bench:
    """An empty ledger on a stepped clock."""
    return Bench(redis_url)


def size(bench: Bench, job_id: str) -> int:
    """Return the bytes that a job's record takes in Redis."""
    used: Any = bench.client.memory_usage(f"cx:job:{job_id}", samples=0)
    return int(used)


def test_a_done_job_keeps_a_short_record(bench: Bench) -> None:
    """And all that is asked of it."""
    job_id = bench.one("1223181", pair="btc_idr", parent="p1")
    job = bench.take(BY)
    bench.settle(job, Verb.DONE, BY, took_ms=12)
    assert size(bench, job_id) < 500
    assert bench.client.object("encoding", f"cx:job:{job_id}") in ("listpack", "ziplist")
    done = bench.get(job_id)
    assert (done.state, done.outcome, done.attempts) == ("done", Outcome.CANCELED, 1)
    assert (done.order_id, done.pair, done.parent, done.lane) == ("1223181", "btc_idr", "p1", EV)
    assert (done.created_ms, done.finished_ms) == (job.created_ms, bench.clock.now_ms)
    assert done.history == (entry(job, Outcome.CANCELED, took_ms=12),)
    assert bench.ttl_ms(job_id) > 0


def test_an_attempt_without_an_answer_is_kept(bench: Bench) -> None:
    """Its entry has no duration, which the short form needs."""
    job_id = bench.one()
    job = bench.take()
    bench.settle(job, Verb.DONE, detail="filled")
    assert bench.client.hget(f"cx:job:{job_id}", "made") is None
    assert bench.get(job_id).history == (entry(job, Outcome.CANCELED, "filled"),)


def test_several_attempts_are_kept(bench: Bench) -> None:
    """Each has its entry."""
    job_id = bench.one()
    bench.settle(bench.take(), Verb.AGAIN, took_ms=12)
    bench.settle(bench.take(), Verb.DONE, took_ms=12)
    assert [each["n"] for each in bench.get(job_id).history] == [1, 2]


def test_a_late_report_is_added(bench: Bench) -> None:
    """One that comes after the end comes after the attempt that ended it."""
    job_id = bench.one()
    job = bench.take()
    bench.settle(job, Verb.DONE, took_ms=12)
    bench.settle(job, Verb.DONE, took_ms=99)
    assert [each["took_ms"] for each in bench.get(job_id).history] == [12, 99]


def test_a_dead_letter_is_bounded(bench: Bench) -> None:
    """However many attempts were made."""
    job_id = bench.one()
    for _ in range(199):
        detail = "the exchange knows no such order"
        bench.settle(bench.take(BY), Verb.AGAIN, BY, detail=detail, took_ms=12)
        bench.clock.advance(1)
    bench.settle(bench.take(BY), Verb.DEAD, BY, took_ms=12)
    assert size(bench, job_id) < 6_500
    history = bench.get(job_id).history
    assert (history[0]["n"], history[-1]["n"]) == (1, 200)


def test_outcomes_are_kept_for_less_long_in_a_filling_redis(world: World) -> None:
    """A worker looks at how full it is; what is pending, and dead letters, stay."""
    engine = build_dispatcher(world.settings())
    client = world.store().client
    used: Any = client.info("memory")
    client.config_set("maxmemory", int(used["used_memory"] / 0.76))
    try:
        engine.register()
        engine.start()
        ticket = world.producer().cancel("ev", world.place("ev")[0])
        assert ticket.wait(timeout_ms=10_000).proven
        left: Any = client.pttl(f"cx:job:{ticket.id}")
        assert 0 < left <= SHORTEST_MS
    finally:
        client.config_set("maxmemory", 0)
        engine.stop()
