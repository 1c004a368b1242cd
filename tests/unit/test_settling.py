"""What follows from an attempt: the cancels of what a list shows, and a fault of our own."""

from __future__ import annotations

import pytest

from worker.jobs import Job, Kind, Phase, State
from worker.outcomes import OpenOrder, OpenOrders, Outcome
from worker.retries import Again
from worker.settings import Jobs
from worker.settling import CHILD_MS, CRASH_PAUSE_MS, attempted, crashed
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


def children(order_id: str, *, age_ms: int) -> list[str]:
    """Return the ids of the cancels that follow from a list that shows an order."""
    job = Job(
        id="all",
        kind=Kind.CANCEL_ALL,
        state=State.PENDING,
        lane="everstrike:ev",
        first_ms=NOW_MS - age_ms,
    )
    answer = OpenOrders((OpenOrder(order_id, "btc_idr", None),), complete=True)
    again = Again(Phase.LIST, 250, Outcome.UNKNOWN, "1 still open")
    settled = attempted(job, answer, again, now_ms=NOW_MS, took_ms=1, pause_ms=0)
    assert [child.order_id for child in settled.children] == [order_id]
    return [child.id for child in settled.children]


def test_what_is_shown_again_and_again_is_canceled_now_and_then() -> None:
    """Not with each list; yet one whose cancel was given up while it rests is not forgotten."""
    first = children("a1", age_ms=0)
    assert children("a1", age_ms=CHILD_MS - 1) == first
    assert children("a2", age_ms=0) != first
    assert children("a1", age_ms=CHILD_MS) != first
