"""What jobs leave in Redis once they have ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.ledgers import EV, Bench
from tests.support.world import World
from worker.factory import build_dispatcher
from worker.model.outcomes import Outcome
from worker.model.settlements import Verb
from worker.policy.retention import SHORTEST_MS

BY = "host-1:4242:0a1b2c:17"


@pytest.fixture
def bench(redis_url: str) -> Bench:
    """An empty ledger on a stepped clock."""
    return Bench(redis_url)


def line(n: int = 1, detail: str = "", **fields: Any) -> str:
    """Return a history entry as workers write it."""
    entry = {
        "n": n,
        "at_ms": 1_783_000_000_123,
        "phase": "send",
        "outcome": "CANCELED",
        "detail": detail,
        "took_ms": 12,
        "by": BY,
    }
    return json.dumps({**entry, **fields})


def size(bench: Bench, job_id: str) -> int:
    """Return the bytes that a job's record takes in Redis."""
    used: Any = bench.client.memory_usage(f"cx:job:{job_id}", samples=0)
    return int(used)


def test_a_done_job_keeps_a_short_record(bench: Bench) -> None:
    """And all that anybody asks of it."""
    job_id = bench.one("1223181", pair="btc_idr", parent="p1")
    job = bench.take()
    bench.settle(job, Verb.DONE, line=line())
    assert size(bench, job_id) < 500
    assert bench.client.object("encoding", f"cx:job:{job_id}") in ("listpack", "ziplist")
    done = bench.get(job_id)
    assert (done.state, done.outcome, done.attempts) == ("done", Outcome.CANCELED, 1)
    assert (done.order_id, done.pair, done.parent, done.lane) == ("1223181", "btc_idr", "p1", EV)
    assert (done.created_ms, done.finished_ms) == (job.created_ms, bench.clock.now_ms)
    assert done.history == (json.loads(line()),)
    assert bench.ttl_ms(job_id) > 0


@pytest.mark.parametrize(
    "entry",
    [line(detail="other"), line(more=1), line(n=2), '{"n": 1}', line(took_ms="1"), "no JSON"],
)
def test_a_history_that_says_more_is_kept(bench: Bench, entry: str) -> None:
    """As it was written."""
    job_id = bench.one()
    bench.settle(bench.take(), Verb.DONE, line=entry)
    assert bench.client.hget(f"cx:job:{job_id}", "history") == entry + "\n"


def test_several_attempts_are_kept(bench: Bench) -> None:
    """Each has its entry."""
    job_id = bench.one()
    bench.settle(bench.take(), Verb.AGAIN, line=line(1, outcome="UNKNOWN"))
    bench.settle(bench.take(), Verb.DONE, line=line(2))
    assert [entry["n"] for entry in bench.get(job_id).history] == [1, 2]


def test_a_late_report_is_added(bench: Bench) -> None:
    """One that comes after the end stands behind the attempt that ended it."""
    job_id = bench.one()
    job = bench.take()
    bench.settle(job, Verb.DONE, line=line())
    bench.settle(job, Verb.DONE, line=line(2))
    assert [entry["n"] for entry in bench.get(job_id).history] == [1, 2]


def test_a_dead_letter_is_bounded(bench: Bench) -> None:
    """However many attempts were made."""
    job_id = bench.one()
    for n in range(1, 200):
        bench.settle(bench.take(), Verb.AGAIN, line=line(n, "the exchange knows no such order"))
        bench.clock.advance(1)
    bench.settle(bench.take(), Verb.DEAD, line=line(200))
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
