"""What follows from an attempt that a fault of our own ended."""

from __future__ import annotations

import pytest

from worker.jobs import Job, Kind, Phase, State
from worker.outcomes import Outcome
from worker.settings import Jobs
from worker.settling import CRASH_PAUSE_MS, crashed
from worker.store.ledger import Verb

NOW_MS = 1_700_000_000_000
JOBS = Jobs(max_attempts=50, max_age_ms=100_000)


@pytest.mark.parametrize(
    ("attempts", "age_ms", "verb"),
    [
        (1, 0, Verb.AGAIN),
        (49, 99_999, Verb.AGAIN),
        (50, 0, Verb.DEAD),
        (2, 100_000, Verb.DEAD),
    ],
)
def test_a_crash_is_tried_again_within_the_budgets(attempts: int, age_ms: int, verb: Verb) -> None:
    """Nothing is proven by it, and what the job knew stays known."""
    job = Job(
        id="j",
        kind=Kind.CANCEL,
        state=State.PENDING,
        lane="everstrike:ev",
        attempts=attempts,
        first_ms=NOW_MS - age_ms,
        phase=Phase.ASK,
        streak=3,
        missing=True,
    )
    settlement = crashed(job, RuntimeError("secret"), now_ms=NOW_MS, jobs=JOBS)
    assert (settlement.verb, settlement.outcome) == (verb, Outcome.UNKNOWN)
    assert settlement.detail == "internal error: RuntimeError"
    assert (settlement.phase, settlement.streak, settlement.missing) == (Phase.ASK, 3, True)
    assert CRASH_PAUSE_MS <= settlement.delay_ms < 2 * CRASH_PAUSE_MS
