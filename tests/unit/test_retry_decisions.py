"""Budgets of a job, and whole decisions: what is noted beside the phase that follows."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from worker.config.settings import Jobs
from worker.model.decisions import Again, Dead, Decision, Done
from worker.model.jobs import Job, Kind, Phase, State
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.policy.pair_proofs import PairDoubt
from worker.policy.retries import decide

SEND, ASK = Phase.SEND, Phase.ASK
MISSING = OrderReport(OrderState.MISSING, "not found")
NOT_FOUND = Unproven(Outcome.UNKNOWN, "not found", missing=True)
LOST = Unproven(Outcome.UNKNOWN, "no reply")
LOGIN = Unproven(Outcome.UNAUTHORIZED, "refused")
SPARE = Jobs(max_age_ms=10_000, max_attempts=50, missing_max_ms=7_290)


class Highest(random.Random):
    """A random generator that always gives the most."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        """Show it."""
        assert stop is None
        return start - step


@pytest.mark.parametrize(
    ("fields", "answer", "from_ms"),
    [
        ({"first_ms": 5_000}, LOST, 5_000),
        ({"first_ms": 5_000, "hold_until_ms": 7_000}, LOST, 7_000),
        ({"first_ms": 7_000, "hold_until_ms": 5_000}, LOST, 7_000),
        ({"first_ms": 5_000, "hold_until_ms": 0}, LOST, 5_000),
        ({"first_ms": 1, "hold_until_ms": 99_000}, LOST, 99_000),
        ({"first_ms": 9_000, "created_ms": 4_000}, LOGIN, 9_000),
        ({"first_ms": 9_000, "created_ms": 4_000, "refused_ms": 6_000}, LOGIN, 6_000),
        ({"first_ms": 9_000, "created_ms": 6_000, "refused_ms": 4_000}, LOGIN, 6_000),
        ({"first_ms": 9_000, "created_ms": 4_000, "refused_ms": 0}, LOGIN, 4_000),
        ({"first_ms": 3_000, "created_ms": 2_000, "refused_ms": 6_000}, LOGIN, 3_000),
        ({"first_ms": 9_000, "created_ms": 4_000, "refused_ms": 6_000}, LOST, 9_000),
    ],
)
def test_age_of_a_job_counts_from(fields: dict[str, Any], answer: Unproven, from_ms: int) -> None:
    """Its first attempt, the end of its hold, or while the login is refused since that began."""
    known = Job("j", Kind.CANCEL, State.PENDING, lane="x:y", order_id="a1", attempts=1, **fields)
    ends_ms = from_ms + SPARE.max_age_ms
    for now_ms in (max(9_000, from_ms), ends_ms - 1):
        early = decide(known, answer, asks=ASK, now_ms=now_ms, jobs=SPARE, rng=Highest())
        assert isinstance(early, Again), now_ms
    for late_ms in (0, 3):
        end = decide(known, answer, asks=ASK, now_ms=ends_ms + late_ms, jobs=SPARE, rng=Highest())
        why = f"not proven within {SPARE.max_age_ms + late_ms} ms; {answer.detail}"
        assert end == Dead(answer.outcome, why)


@pytest.mark.parametrize(
    ("fields", "answer", "ends"),
    [
        ({"attempts": 49}, LOST, False),
        ({"attempts": 50}, LOST, True),
        ({"attempts": 51}, LOST, True),
        ({"attempts": 50, "hold_until_ms": 1}, LOST, False),
        ({"attempts": 50, "hold_until_ms": 0}, LOST, False),
        ({"attempts": 50}, CancelAccepted("soon"), False),
        ({"attempts": 50, "phase": ASK}, OrderReport(OrderState.OPEN), True),
    ],
)
def test_attempts_of_a_job_are_counted(
    fields: dict[str, Any], answer: Answer, *, ends: bool
) -> None:
    """Not those of a scope that is held empty, and a cancel that was accepted is asked about."""
    known = Job("j", Kind.CANCEL, State.PENDING, lane="x:y", order_id="a1", first_ms=9, **fields)
    decision = decide(known, answer, asks=ASK, now_ms=10, jobs=SPARE, rng=Highest())
    assert isinstance(decision, Dead if ends else Again)
    if ends:
        assert decision.detail.startswith(f"{fields['attempts']} attempts made; ")


PAST = Phase.PAST
NOT_KNOWN = Again(SEND, 801, Outcome.UNKNOWN, "not found", missing=True)


@pytest.mark.parametrize(
    ("phase", "fields", "answer", "then"),
    [
        # Asked among the open orders alone: the closed ones are asked for next.
        (ASK, {"attempts": 1}, MISSING, replace(NOT_KNOWN, phase=PAST, delay_ms=0)),
        (ASK, {"attempts": 2}, MISSING, replace(NOT_KNOWN, phase=PAST, delay_ms=0)),
        (
            ASK,
            {"attempts": 1},
            OrderReport(OrderState.MISSING),
            replace(NOT_KNOWN, phase=PAST, delay_ms=0, detail="order not known"),
        ),
        (
            ASK,
            {"attempts": 3},
            MISSING,
            replace(NOT_KNOWN, phase=PAST, delay_ms=800, doubtful=True),
        ),
        (
            ASK,
            {"attempts": 1, "missing_ms": 1, "missing": True},
            MISSING,
            replace(NOT_KNOWN, phase=PAST, delay_ms=0, doubtful=True),
        ),
        # Asked among the closed ones too, or refused: it is missing.
        (PAST, {"attempts": 3}, MISSING, replace(NOT_KNOWN, delay_ms=800, doubtful=True)),
        (
            PAST,
            {"attempts": 3, "missing_ms": 1},
            MISSING,
            Dead(Outcome.UNKNOWN, "unknown to the exchange for 8999 ms; not found"),
        ),
        (
            ASK,
            {"attempts": 3, "missing_ms": 1},
            NOT_FOUND,
            Dead(Outcome.UNKNOWN, "unknown to the exchange for 8999 ms; not found"),
        ),
        # The cancel calls it missing, and it can be asked about: at once.
        (SEND, {"attempts": 1}, NOT_FOUND, replace(NOT_KNOWN, phase=ASK, delay_ms=0)),
        (
            ASK,
            {"attempts": 1},
            OrderReport(OrderState.OPEN, stop_kind="stop"),
            Again(SEND, 0, Outcome.UNKNOWN, "still open", found=True, stop_kind="stop"),
        ),
        (
            SEND,
            {"attempts": 1},
            CancelAccepted("soon"),
            Again(ASK, 0, Outcome.UNKNOWN, "soon", streak=0, accepted=True),
        ),
        (
            SEND,
            {"attempts": 1},
            replace(LOST, retry_after_ms=5_000),
            Again(ASK, 5_000, Outcome.UNKNOWN, "no reply", put_off=True),
        ),
        (
            SEND,
            {"attempts": 1},
            Unproven(Outcome.THROTTLED, "429", retry_after_ms=5_000),
            Again(SEND, 5_000, Outcome.THROTTLED, "429"),
        ),
        (
            SEND,
            {"attempts": 1},
            LOGIN,
            Again(SEND, 1_000, Outcome.UNAUTHORIZED, "refused", refused=True),
        ),
    ],
)
def test_whole_decision(
    phase: Phase, fields: dict[str, Any], answer: Answer, then: Decision
) -> None:
    """Where an exchange keeps closed orders apart, and what is noted beside the next phase."""
    known = Job(
        "j",
        Kind.CANCEL,
        State.PENDING,
        lane="x:y",
        order_id="a1",
        phase=phase,
        first_ms=1,
        **fields,
    )
    decision = decide(known, answer, asks=ASK, now_ms=9_000, jobs=SPARE, rng=Highest(), past=True)
    assert decision == then


LIST, ONE, ALL = Phase.LIST, Kind.CANCEL, Kind.CANCEL_ALL
NONE = OpenOrders((), complete=True)
MANY = OpenOrders(tuple(OpenOrder(f"a{n}") for n in range(51)), complete=True)
ACCEPTED = Again(LIST, 0, Outcome.UNKNOWN, "cancel-all accepted", swept=True)
COUNTED = replace(ACCEPTED, detail="cancel-all accepted: 2 canceled", swept=False, canceled=2)
NONE_LEFT = replace(ACCEPTED, detail="cancel-all accepted: 0 canceled", swept=False)
NAMED = replace(COUNTED, detail="cancel-all accepted: 2 canceled (a, b)")
TWENTY_NAMED = replace(
    COUNTED,
    detail=f"cancel-all accepted: 21 canceled ({', '.join('a' * 20)}, …)",
    canceled=21,
)
ENDED = "nothing open any more in the scope: its orders had cancels of their own"
MISPLACED = Again(SEND, 200, Outcome.UNKNOWN, "an answer out of place", listed=True)


@pytest.mark.parametrize(
    ("kind", "phase", "answer", "given", "then"),
    [
        (ALL, SEND, ScopeCanceled(), {}, ACCEPTED),
        (ALL, SEND, ScopeCanceled(2), {}, COUNTED),
        (ALL, SEND, ScopeCanceled(0), {}, NONE_LEFT),
        (ALL, SEND, ScopeCanceled(2, ("a", "b")), {}, NAMED),
        (ALL, SEND, ScopeCanceled(21, tuple("a" * 21)), {}, TWENTY_NAMED),
        (ALL, SEND, ScopeCanceled(), {"stops": True}, replace(ACCEPTED, phase=Phase.STOPS)),
        (ALL, Phase.BUY, ScopeCanceled(), {"stops": True}, replace(ACCEPTED, phase=Phase.SELL)),
        (
            ALL,
            LIST,
            MANY,
            {"repeats": SEND},
            Again(SEND, 450, Outcome.UNKNOWN, "51 still open: all are canceled again"),
        ),
        (ALL, LIST, MANY, {}, Again(LIST, 450, Outcome.UNKNOWN, "51 still open", listed=True)),
        (
            ALL,
            LIST,
            NONE,
            {"doubt": PairDoubt("no such pair?")},
            Again(LIST, 2_000, Outcome.UNKNOWN, "no such pair?", listed=True),
        ),
        (
            ALL,
            LIST,
            NONE,
            {"doubt": PairDoubt("no such pair", refused=True)},
            Dead(Outcome.REJECTED, "no such pair"),
        ),
        (ALL, LIST, NONE, {"unasked": "stops"}, Done(Outcome.GONE, f"{ENDED}; stops")),
        (ALL, LIST, NONE, {}, Done(Outcome.GONE, ENDED)),
        # What answers another command than the one that was sent proves nothing.
        (ALL, SEND, Closed(Outcome.CANCELED), {}, MISPLACED),
        (ONE, ASK, Closed(Outcome.CANCELED), {}, replace(MISPLACED, phase=ASK)),
        (ONE, ASK, CancelAccepted(), {}, replace(MISPLACED, phase=ASK)),
        (ALL, ASK, OrderReport(OrderState.FILLED), {}, replace(MISPLACED, phase=ASK)),
        (ONE, SEND, OrderReport(OrderState.FILLED), {}, MISPLACED),
        (ALL, SEND, NONE, {}, MISPLACED),
        (ONE, LIST, NONE, {}, replace(MISPLACED, phase=LIST)),
    ],
)
def test_decision_about_what_was_sent(
    kind: Kind, phase: Phase, answer: Answer, given: dict[str, Any], then: Decision
) -> None:
    """By what it was sent for, and by what is known of the exchange's lists."""
    known = Job("j", kind, State.PENDING, lane="x:y", phase=phase, attempts=1, listed=True)
    decision = decide(known, answer, asks=None, now_ms=9_000, jobs=SPARE, rng=Highest(), **given)
    assert decision == then
