"""What a mistake of the user's may cost, and how long one reply may put a job to sleep."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from worker.config.settings import Jobs
from worker.model.decisions import Again, Dead, Decision
from worker.model.jobs import Job, Kind, Phase, State
from worker.model.outcomes import (
    Answer,
    Closed,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.policy.retries import REJECTED_WAIT_MS, backoff_ms, decide, doubtful

SEND, ASK = Phase.SEND, Phase.ASK
JOBS = Jobs()
MISSING = OrderReport(OrderState.MISSING, "not found")
NOT_FOUND = Unproven(Outcome.UNKNOWN, "not found", missing=True)
INVALID = Unproven(Outcome.UNAVAILABLE, "HTTP 503: Invalid request")
LOST = Unproven(Outcome.UNKNOWN, "no reply")
BAD_PAIR = Unproven(Outcome.REJECTED, "invalid pair")
FLIGHT_MS = 3


@dataclass(frozen=True)
class Ended:
    """How a run of attempts ended."""

    decision: Decision
    attempts: int
    took_ms: int
    at_ms: tuple[int, ...]


def run(reply: Callable[[Phase], Answer], *, seed: int = 1, jobs: Jobs = JOBS) -> Ended:
    """Attempt a job over and over, as the ledger would, until it ends."""
    rng = random.Random(seed)
    now = 1_000_000
    job = Job("j", Kind.CANCEL, State.PENDING, lane="x:y", order_id="a1", created_ms=now)
    begun, times = now, []
    while True:
        times.append(now - begun)
        job = replace(job, attempts=job.attempts + 1, first_ms=job.first_ms or now)
        now += FLIGHT_MS
        decision = decide(job, reply(job.sends), asks=ASK, now_ms=now, jobs=jobs, rng=rng)
        if not isinstance(decision, Again):
            return Ended(decision, job.attempts, now - begun, tuple(times))
        job = replace(
            job,
            phase=decision.phase,
            streak=decision.streak,
            missing=decision.missing,
            outcome=decision.outcome,
            detail=decision.detail,
            missing_ms=None
            if decision.found
            else job.missing_ms or (now if decision.missing else None),
        )
        now += decision.delay_ms


UNKNOWN_ORDERS: dict[str, Callable[[Phase], Answer]] = {
    "both say so": lambda phase: MISSING if phase is ASK else NOT_FOUND,
    "a cancel is refused without a reason": lambda phase: MISSING if phase is ASK else INVALID,
    "a cancel is never answered": lambda phase: MISSING if phase is ASK else LOST,
}


@pytest.mark.parametrize("case", UNKNOWN_ORDERS)
@pytest.mark.parametrize("seed", range(20))
def test_an_unknown_order_costs_a_dozen_attempts(case: str, seed: int) -> None:
    """The exchange is asked for five minutes, ever more rarely, and nothing is rounded."""
    ended = run(UNKNOWN_ORDERS[case], seed=seed)
    assert isinstance(ended.decision, Dead)
    assert ended.decision.outcome is Outcome.UNKNOWN
    assert ended.attempts <= 12
    assert JOBS.missing_max_ms <= ended.took_ms < JOBS.missing_max_ms + 10_000
    assert ended.at_ms[4] < 10_000, "an order that is shown late is found soon"


def test_waiting_behind_a_backlog_does_not_make_the_next_wait_longer() -> None:
    """A lane of few requests a minute must not put an order off by hours for one fault."""
    job = Job("j", Kind.CANCEL, State.PENDING, lane="x:y", order_id="a1", phase=ASK, attempts=2,
              first_ms=0, missing_ms=0, missing=True)  # fmt: skip
    for answer in (LOST, INVALID, MISSING):
        decision = decide(job, answer, asks=ASK, now_ms=90_000, jobs=JOBS, rng=random.Random(1))
        assert isinstance(decision, Again)
        assert decision.delay_ms < 1_000


def test_an_order_that_appears_is_canceled_by_its_next_attempt() -> None:
    """Once the exchange shows the order as open, its cancel is no longer spaced."""
    job = Job("j", Kind.CANCEL, State.PENDING, lane="x:y", order_id="a1", phase=ASK, attempts=5,
              first_ms=0, missing_ms=0, missing=True)  # fmt: skip
    shown = OrderReport(OrderState.OPEN)
    decision = decide(job, shown, asks=ASK, now_ms=60_000, jobs=JOBS, rng=random.Random(1))
    assert isinstance(decision, Again)
    assert (decision.phase, decision.found) == (SEND, True)
    assert decision.delay_ms <= JOBS.backoff_max_ms


def test_a_named_mistake_is_final_at_the_second_identical_answer() -> None:
    """One answer may be a state of the exchange; the same one again is about the request."""
    ended = run(lambda _: BAD_PAIR)
    assert ended.decision == Dead(Outcome.REJECTED, "invalid pair")
    assert ended.attempts == 2
    assert ended.at_ms[1] >= REJECTED_WAIT_MS


@pytest.mark.parametrize("between", [LOST, INVALID, NOT_FOUND, replace(BAD_PAIR, detail="other")])
def test_another_answer_in_between_begins_the_count_again(between: Answer) -> None:
    """Two refusals that differ, or do not follow one another, confirm nothing."""
    sent: list[Answer] = [BAD_PAIR, between, BAD_PAIR, BAD_PAIR]

    def reply(phase: Phase) -> Answer:
        return sent.pop(0) if phase is SEND else LOST

    ended = run(reply)
    assert ended.decision == Dead(Outcome.REJECTED, "invalid pair")
    assert sent == []


@pytest.mark.parametrize(
    ("attempts", "before", "decision", "small"),
    [
        (1, {}, Again(ASK, 0, Outcome.UNKNOWN, "no reply"), False),
        (2, {}, Again(SEND, 0, Outcome.UNAVAILABLE, "503"), False),
        (3, {}, Again(ASK, 0, Outcome.UNKNOWN, "no reply"), True),
        (3, {}, Again(SEND, 0, Outcome.UNKNOWN, "still open", found=True), False),
        (1, {}, Again(ASK, 0, Outcome.UNKNOWN, "not found", missing=True), False),
        (2, {"missing": True}, Again(SEND, 9, Outcome.UNKNOWN, "not found", missing=True), True),
        (2, {"missing": True}, Again(SEND, 0, Outcome.UNKNOWN, "no reply"), False),
        (1, {}, Again(SEND, 9, Outcome.REJECTED, "invalid pair"), True),
        (9, {}, Again(SEND, 9, Outcome.THROTTLED, "429"), False),
        (9, {}, Again(SEND, 9, Outcome.UNAUTHORIZED, "401"), False),
        (9, {"doubtful": True}, Again(SEND, 9, Outcome.UNAUTHORIZED, "401"), True),
    ],
)
def test_only_what_speaks_against_the_job_makes_it_doubtful(
    attempts: int, before: dict[str, Any], decision: Again, *, small: bool
) -> None:
    """A mistake gets a small share of the attempts at once; an outage of the login does not."""
    job = Job("j", Kind.CANCEL, State.PENDING, order_id="a1", attempts=attempts, **before)
    assert doubtful(job, decision) is small


class Highest(random.Random):
    """A random generator that always gives the most."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        """Show it."""
        assert stop is None
        return start - step


@pytest.mark.parametrize(
    ("attempts", "missing_ms", "max_ms", "delay_ms"),
    [
        (1, 0, 729_000, 1_100),
        (2, 1_000, 729_000, 1_100),
        (3, 1_000, 729_000, 3_300),
        (4, 1_000, 729_000, 8_800),
        (4, 2_000, 729_000, 9_900),
        (5, 3_000, 729_000, 26_400),
        (8, 100_000, 729_000, 629_000),
        (30, 728_500, 729_000, 1_000),
        (1, 0, 1_000, 1),
    ],
)
def test_an_unknown_order_is_tried_again_at_growing_steps(
    attempts: int, missing_ms: int, max_ms: int, delay_ms: int
) -> None:
    """By attempts, but not by more than time has passed; at the latest when its time is over."""
    jobs = Jobs(missing_max_ms=max_ms, backoff_base_ms=1, backoff_max_ms=1)
    now_ms = 1_000_000
    known = Job(
        "j",
        Kind.CANCEL,
        State.PENDING,
        lane="x:y",
        order_id="a1",
        attempts=attempts,
        phase=ASK,
        first_ms=now_ms - missing_ms - 1,
        missing_ms=now_ms - missing_ms,
    )
    decision = decide(known, MISSING, asks=ASK, now_ms=now_ms, jobs=jobs, rng=Highest())
    assert isinstance(decision, Again)
    assert decision.delay_ms == delay_ms


@pytest.mark.parametrize(
    ("attempts", "longest_ms"), [(0, 100), (1, 200), (3, 800), (6, 5_000), (500, 5_000)]
)
def test_backoff_is_anywhere_up_to_a_bound_that_doubles(attempts: int, longest_ms: int) -> None:
    """The bound itself is one of the values."""
    jobs = Jobs(backoff_base_ms=100, backoff_max_ms=5_000)
    assert backoff_ms(attempts, jobs, Highest()) == longest_ms


@pytest.mark.parametrize(("asked", "phase"), [(1, ASK), (2, ASK), (3, SEND), (4, SEND)])
def test_an_order_that_no_question_settles_is_canceled_again(asked: int, phase: Phase) -> None:
    """At the third answer in a row that proves nothing, of an order that was unknown before."""
    known = Job(
        "j",
        Kind.CANCEL,
        State.PENDING,
        lane="x:y",
        phase=ASK,
        missing=True,
        streak=asked - 1,
        outcome=Outcome.UNKNOWN,
    )
    decision = decide(known, LOST, asks=ASK, now_ms=0, jobs=JOBS, rng=Highest())
    assert isinstance(decision, Again)
    assert (decision.phase, decision.streak) == (phase, asked)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (Unproven(Outcome.UNAVAILABLE), "unavailable"),
        (Unproven(Outcome.UNKNOWN), "unknown"),
        (Unproven(Outcome.UNKNOWN, "no reply"), "no reply"),
    ],
)
def test_answer_without_words_is_shown_by_its_outcome(answer: Answer, detail: str) -> None:
    """A person sees at least what kind of answer it was."""
    known = Job("j", Kind.CANCEL, State.PENDING, lane="x:y")
    decision = decide(known, answer, asks=ASK, now_ms=0, jobs=JOBS, rng=Highest())
    assert decision.detail == detail


@pytest.mark.parametrize("empty", [True, False])
def test_answer_out_of_place_leaves_what_a_scope_has_shown(empty: bool) -> None:  # noqa: FBT001
    """That a list was empty stays so, until another list."""
    scope = Job(
        "j", Kind.CANCEL_ALL, State.PENDING, lane="x:y", phase=Phase.LIST, empty=empty, streak=1
    )
    decision = decide(scope, MISSING, asks=None, now_ms=0, jobs=JOBS, rng=Highest())
    assert isinstance(decision, Again)
    assert (decision.phase, decision.empty) == (Phase.LIST, empty)


@pytest.mark.parametrize(("asked_ms", "delay_ms"), [(None, 101), (0, 50), (51, 51)])
def test_asked_wait_is_no_shorter_than_half_the_backoff(
    asked_ms: int | None, delay_ms: int
) -> None:
    """In whole ms."""
    jobs = Jobs(backoff_base_ms=101, backoff_max_ms=101)
    known = Job("j", Kind.CANCEL, State.PENDING, lane="x:y", attempts=5)
    answer = Unproven(Outcome.UNAVAILABLE, "503", retry_after_ms=asked_ms)
    decision = decide(known, answer, asks=ASK, now_ms=0, jobs=jobs, rng=Highest())
    assert isinstance(decision, Again)
    assert (decision.delay_ms, type(decision.delay_ms)) == (delay_ms, int)


@pytest.mark.parametrize(
    ("phase", "answer", "detail"),
    [
        (SEND, Closed(Outcome.CANCELED, "words"), "words"),
        (ASK, OrderReport(OrderState.CANCELED, "words"), "words"),
        (ASK, OrderReport(OrderState.FILLED, "words"), "words"),
        (ASK, OrderReport(OrderState.OPEN, "words"), "words"),
        (ASK, OrderReport(OrderState.OPEN), "still open"),
    ],
)
def test_words_of_the_exchange_are_kept(phase: Phase, answer: Answer, detail: str) -> None:
    """With a proof as without one."""
    known = Job("j", Kind.CANCEL, State.PENDING, lane="x:y", phase=phase)
    decision = decide(known, answer, asks=ASK, now_ms=0, jobs=JOBS, rng=Highest())
    assert decision.detail == detail


def test_last_answer_is_kept_by_itself_where_an_order_stayed_unknown() -> None:
    """The history shows what the exchange answered, not why the job was given up."""
    at_ms = JOBS.missing_max_ms + 1
    known = Job("j", Kind.CANCEL, State.PENDING, lane="x:y", phase=ASK, missing_ms=1)
    decision = decide(known, MISSING, asks=ASK, now_ms=at_ms, jobs=JOBS, rng=Highest())
    assert isinstance(decision, Dead)
    assert decision.answer == "not found"


def test_former_refusal_does_not_age_a_job() -> None:
    """Only while the credentials are refused are the account's other attempts its own."""
    late = JOBS.max_age_ms + 10
    known = Job("j", Kind.CANCEL, State.PENDING, lane="x:y", first_ms=late - 1, refused_ms=1)
    decision = decide(known, LOST, asks=ASK, now_ms=late, jobs=JOBS, rng=Highest())
    assert isinstance(decision, Again)


@pytest.mark.parametrize("jobs", [Jobs(max_attempts=1), Jobs(max_age_ms=1_000)])
def test_last_answer_is_kept_by_itself_where_a_budget_is_spent(jobs: Jobs) -> None:
    """Of attempts or of time."""
    known = Job("j", Kind.CANCEL, State.PENDING, lane="x:y", attempts=1, first_ms=1)
    decision = decide(known, LOST, asks=ASK, now_ms=5_000, jobs=jobs, rng=Highest())
    assert isinstance(decision, Dead)
    assert decision.answer == "no reply"


@pytest.mark.parametrize("jobs", [Jobs(max_attempts=1), Jobs(max_age_ms=1_000)])
def test_what_a_scope_s_last_cancel_has_canceled_is_recorded(jobs: Jobs) -> None:
    """Also where a budget is spent with it."""
    known = Job("j", Kind.CANCEL_ALL, State.PENDING, lane="x:y", attempts=1, first_ms=1)
    for answer, swept, canceled in ((ScopeCanceled(3), False, 3), (ScopeCanceled(), True, 0)):
        decision = decide(known, answer, asks=None, now_ms=5_000, jobs=jobs, rng=Highest())
        assert isinstance(decision, Dead)
        assert (decision.swept, decision.canceled) == (swept, canceled)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [(Kind.CANCEL_ALL, ScopeCanceled()), (Kind.CANCEL, OpenOrders((), complete=True))],
)
def test_answer_to_another_command_is_out_of_place(kind: Kind, answer: Answer) -> None:
    """A scope that is listed was sent no cancel, and one order is not listed."""
    known = Job("j", kind, State.PENDING, lane="x:y", phase=Phase.LIST)
    decision = decide(known, answer, asks=ASK, now_ms=0, jobs=JOBS, rng=Highest())
    assert decision.detail == "an answer out of place"
