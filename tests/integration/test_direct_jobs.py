"""A job in memory moves as one in Redis does."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.support.ledgers import EV, LEASE_MS, Bench, new_job
from worker.direct.jobs import accepted, settled, taken
from worker.model.decisions import Again, Dead, Decision, Done, PutBack
from worker.model.jobs import Job, Kind, Phase, State
from worker.model.outcomes import Outcome
from worker.model.settlements import Settlement


def in_common(job: Job) -> Job:
    """Return what both must agree on: all but what Redis alone keeps."""
    return replace(job, claimed_by=None, lease_ms=0, due_ms=None, unseen=False, version=0)


def any_decision(rng: random.Random, *, scope: bool) -> Decision | PutBack:
    """Return what may follow from an attempt."""
    outcome = rng.choice((Outcome.UNKNOWN, Outcome.THROTTLED))
    detail = rng.choice(("words", ""))
    phase = rng.choice((None, *Phase))
    lists = scope and phase is Phase.LIST
    return rng.choices(
        (
            Again(
                phase=phase,
                delay_ms=rng.choice((0, 40)),
                outcome=outcome,
                detail=detail,
                streak=rng.randrange(1, 4),
                missing=not scope and rng.random() < 0.4,
                found=not scope and rng.random() < 0.2,
                doubtful=rng.random() < 0.3,
                listed=lists and rng.random() < 0.3,
                empty=lists and rng.random() < 0.3,
            ),
            PutBack(),
            Done(rng.choice((Outcome.CANCELED, Outcome.GONE)), detail),
            Dead(outcome, detail, rng.choice(("", "answer"))),
        ),
        (6, 2, 1, 1),
    )[0]


@pytest.mark.parametrize("seed", range(30))
def test_both_move_alike(redis_url: str, seed: int) -> None:
    """Over any course of attempts, to the end."""
    rng = random.Random(seed)
    bench = Bench(redis_url)
    kind = rng.choice((Kind.CANCEL, Kind.CANCEL_ALL))
    new = new_job(kind=kind, pair=rng.choice(("", "btc_idr")), parent=rng.choice(("", "p1")))
    bench.ledger.accept([new])
    mine = accepted(new, now_ms=bench.clock.now_ms)
    for _ in range(12):
        theirs = bench.take("w", lane=EV)
        mine = taken(mine, holder="w", lease_ms=LEASE_MS, now_ms=bench.clock.now_ms)
        assert in_common(mine) == in_common(theirs)
        bench.clock.advance(rng.randrange(50))
        decision = any_decision(rng, scope=kind is Kind.CANCEL_ALL)
        settlement = Settlement(
            replace(theirs, phase=rng.choice((theirs.phase, Phase.ASK))),
            decision,
            at_ms=bench.clock.now_ms,
            took_ms=rng.choice((None, 7)),
        )
        bench.ledger.settle(
            [settlement], holder="w", retention_ms=60_000, lease_ms=LEASE_MS, limit=0
        )
        mine = settled(mine, settlement, now_ms=bench.clock.now_ms)
        recorded = bench.ledger.get(new.id)
        assert recorded is not None
        assert in_common(mine) == in_common(recorded)
        if mine.state is not State.PENDING:
            return
        bench.clock.advance(decision.delay_ms if isinstance(decision, Again) else 0)
