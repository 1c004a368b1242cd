"""A job in memory moves as one in Redis does."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.support.ledgers import EV, LEASE_MS, Bench, new_job
from worker.direct.jobs import accepted, settled, taken
from worker.model.jobs import Job, Phase, State
from worker.model.outcomes import Outcome
from worker.model.settlements import Settlement, Verb

LINE = '{"n": 1, "outcome": "UNKNOWN"}'


def in_common(job: Job) -> Job:
    """Return what both must agree on: all but the lease that Redis alone keeps."""
    return replace(job, claimed_by=None, lease_ms=0, due_ms=None)


def any_settlement(rng: random.Random) -> Settlement:
    """Return what an attempt may come to."""
    verb = rng.choice([Verb.AGAIN] * 6 + [Verb.WAIT] * 2 + [Verb.DONE, Verb.DEAD])
    proof = rng.choice((Outcome.CANCELED, Outcome.GONE))
    return Settlement(
        verb,
        outcome=proof if verb is Verb.DONE else rng.choice((Outcome.UNKNOWN, Outcome.THROTTLED)),
        detail=rng.choice(("words", "")),
        delay_ms=rng.choice((0, 40)),
        phase=rng.choice(("", *Phase)),
        streak=rng.randrange(3),
        missing=rng.random() < 0.4,
        found=rng.random() < 0.2,
        line=rng.choice(("", LINE)),
    )


@pytest.mark.parametrize("seed", range(30))
def test_both_move_alike(redis_url: str, seed: int) -> None:
    """Over any course of attempts, to the end."""
    rng = random.Random(seed)
    bench = Bench(redis_url)
    new = new_job(pair=rng.choice(("", "btc_idr")), parent=rng.choice(("", "p1")))
    bench.ledger.accept([new])
    mine = accepted(new, now_ms=bench.clock.now_ms)
    for _ in range(12):
        theirs = bench.take("w", lane=EV)
        mine = taken(mine, holder="w", lease_ms=LEASE_MS, now_ms=bench.clock.now_ms)
        assert in_common(mine) == in_common(theirs)
        bench.clock.advance(rng.randrange(50))
        settlement = any_settlement(rng)
        bench.ledger.settle(
            [(theirs, settlement)], holder="w", retention_ms=60_000, lease_ms=LEASE_MS, limit=0
        )
        mine = settled(mine, settlement, now_ms=bench.clock.now_ms)
        recorded = bench.ledger.get(new.id)
        assert recorded is not None
        assert in_common(mine) == in_common(recorded)
        if mine.state is not State.PENDING:
            return
        bench.clock.advance(settlement.delay_ms)
