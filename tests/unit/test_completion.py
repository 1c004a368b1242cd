"""What follows from an attempt: the cancels of what a list shows, and a fault of our own."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from tests.support.ledgers import Verb, verb_of
from worker.config.settings import Jobs
from worker.dispatch.completion import CRASH_PAUSE_MS, crashed, report
from worker.model.decisions import Again, Dead, Decision, Done, PutBack
from worker.model.jobs import Job, Kind, NewJob, Phase, State
from worker.model.outcomes import (
    Answer,
    Closed,
    Evidence,
    OpenOrder,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.model.settlements import Settlement
from worker.policy.pauses import THROTTLED_MAX_MS, THROTTLED_MS
from worker.policy.retries import DOUBTFUL_ATTEMPTS
from worker.policy.scopes import UNSEEN
from worker.policy.settling import CHILD_MS, settlement_of
from worker.store.settlement_rows import settlement_row
from worker.telemetry.logs import LINES

NOW_MS = 1_700_000_000_000
JOBS = Jobs(max_attempts=50, max_age_ms=100_000)

JOB = Job(
    id="j",
    kind=Kind.CANCEL,
    state=State.PENDING,
    lane="everstrike:ev",
    order_id="a1",
    phase=Phase.SEND,
    attempts=2,
    first_ms=NOW_MS,
    claimed_by="w1",
)
SCOPE = replace(JOB, kind=Kind.CANCEL_ALL, order_id=None)
AGAIN = Again(Phase.ASK, 700, Outcome.UNKNOWN, "no reply", streak=4)
LOST = Unproven(Outcome.UNKNOWN, "no reply")


def said(record: logging.LogRecord, field: str) -> object:
    """Return a field of a record."""
    return record.__dict__[field]


def settled(job: Job, answer: Answer, decision: Decision, **options: Any) -> Settlement:
    """Return what follows from an attempt that took 12 ms."""
    return settlement_of(job, answer, decision, now_ms=NOW_MS, took_ms=12, **options)


def lines(caplog: pytest.LogCaptureFixture, *settlements: Settlement) -> list[dict[str, Any]]:
    """Report attempts; return the lines in the log."""
    with caplog.at_level(logging.INFO):
        report(settlements)
    written = [record.__dict__.get(LINES, []) for record in caplog.records]
    return [line for part in written for line in part]


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
    decision = settlement.decision
    assert (verb_of(settlement), settlement.outcome) == (verb, Outcome.UNKNOWN)
    assert decision.detail == "internal error: RuntimeError"
    if isinstance(decision, Again):
        assert (decision.phase, decision.streak, decision.missing) == (Phase.ASK, 3, True)
        assert CRASH_PAUSE_MS <= decision.delay_ms < 2 * CRASH_PAUSE_MS
        assert decision.doubtful is (attempts >= DOUBTFUL_ATTEMPTS)


@pytest.mark.parametrize(
    ("attempts", "doubtful"), [(DOUBTFUL_ATTEMPTS - 1, False), (DOUBTFUL_ATTEMPTS, True)]
)
def test_crash_of_a_first_attempt_keeps_its_phase_open(
    attempts: int,
    doubtful: bool,  # noqa: FBT001
) -> None:
    """A job whose attempts crash goes behind others, as one that nothing proves."""
    fresh = replace(JOB, attempts=attempts, first_ms=None, phase=None)
    settlement = crashed(fresh, RuntimeError("x"), now_ms=NOW_MS, jobs=JOBS)
    assert isinstance(settlement.decision, Again)
    assert settlement.decision.phase is None
    assert settlement.decision.doubtful is doubtful


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("attempts", [2, 50])
def test_a_crash_settles_the_job_as_it_was(attempts: int, *, seen: bool) -> None:
    """At the time at which the attempt began, with what its lists have shown."""
    job = replace(SCOPE, attempts=attempts, listed=seen, empty=seen)
    settlement = crashed(job, RuntimeError("x"), now_ms=NOW_MS, jobs=JOBS)
    assert (settlement.job, settlement.at_ms) == (job, NOW_MS)
    if isinstance(settlement.decision, Again):
        assert (settlement.decision.listed, settlement.decision.empty) == (seen, seen)


def test_a_line_names_the_order_as_the_job_does(caplog: pytest.LogCaptureFixture) -> None:
    """By the client order id too, where the job has one."""
    named = replace(JOB, order_id=None, client_order_id="my-1")
    proof = Closed(Outcome.CANCELED)
    ended = Done(Outcome.CANCELED, "gone")
    shown = lines(caplog, *(settled(job, proof, ended) for job in (named, JOB)))
    assert [line.get("client_order_id", "none") for line in shown] == ["my-1", "none"]


def test_a_crash_is_logged_with_its_trace_and_raises_an_alert(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the job and its account, and without the error's own text in the alert."""
    error = RuntimeError("secret")
    with caplog.at_level(logging.ERROR):
        crashed(JOB, error, now_ms=NOW_MS, jobs=JOBS)
    logged, alerted = caplog.records
    assert (logged.getMessage(), logged.exc_info) == (
        "an attempt crashed",
        (RuntimeError, error, None),
    )
    assert (said(logged, "job"), said(logged, "account")) == ("j", "ev")
    assert alerted.getMessage() == "an attempt crashed: RuntimeError"
    assert said(alerted, "alert") == "attempt crashed"
    assert (said(alerted, "account"), said(alerted, "exchange")) == ("ev", "everstrike")


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
    settled = settlement_of(job, answer, again, now_ms=NOW_MS, took_ms=1)
    assert [child.order_id for child in settled.children] == [order_id]
    return [child.id for child in settled.children]


def test_order_that_lists_keep_showing_is_canceled_once_in_a_while() -> None:
    """Not with each list; yet one whose cancel was given up while it rests is not forgotten."""
    first = children("a1", age_ms=0)
    assert children("a1", age_ms=CHILD_MS - 1) == first
    assert children("a2", age_ms=0) != first
    assert children("a1", age_ms=CHILD_MS) != first


def test_orders_that_a_list_shows_have_cancels_of_their_own() -> None:
    """With what the row says, else the scope; workers of every version name them alike."""
    scope = replace(SCOPE, id="all", phase=Phase.LIST, urgent=True, side="buy", pair="btc_idr")
    rows = (OpenOrder("a1"), OpenOrder("a2", "eth_idr", "sell"))
    made = settled(scope, OpenOrders(rows, complete=True), AGAIN).children
    assert made == (
        NewJob(
            id="all.0.a7f6c49beb29b51d",
            lane="everstrike:ev",
            kind=Kind.CANCEL,
            order_id="a1",
            pair="btc_idr",
            side="buy",
            parent="all",
            urgent=True,
        ),
        NewJob(
            id="all.0.0744eee07d26a416",
            lane="everstrike:ev",
            kind=Kind.CANCEL,
            order_id="a2",
            pair="eth_idr",
            side="sell",
            parent="all",
            urgent=True,
        ),
    )


def test_cancels_of_a_scope_without_a_first_attempt_have_the_first_names() -> None:
    """A record that does not say when it was first attempted."""
    rows = OpenOrders((OpenOrder("a1"),), complete=True)
    first = replace(SCOPE, first_ms=None)
    assert settled(first, rows, AGAIN).children == settled(SCOPE, rows, AGAIN).children


def test_orders_without_pair_or_side_have_cancels_without() -> None:
    """And each row has one of its own, by all that distinguishes it from others."""
    rows = (
        OpenOrder("a1"),
        OpenOrder("a1", "btc_idr"),
        OpenOrder("a1", None, "buy"),
        OpenOrder("a1", "btc_idr", "buy"),
    )
    made = settled(SCOPE, OpenOrders(rows, complete=True), AGAIN).children
    assert [(child.pair, child.side) for child in made] == [
        ("", ""),
        ("btc_idr", ""),
        ("", "buy"),
        ("btc_idr", "buy"),
    ]
    assert len({child.id for child in made}) == len(rows)


def test_stop_orders_have_cancels_of_their_own_unless_they_are_kept() -> None:
    """A stop order is named as one, also beside a plain order of the same id."""
    rows = OpenOrders((OpenOrder("a1", stop=True), OpenOrder("a1")), complete=True)
    taken = settled(SCOPE, rows, AGAIN).children
    assert [child.stop for child in taken] == [True, False]
    assert taken[0].id != taken[1].id
    assert taken[0].id.endswith(".6f1a94fd2d616ffa"), taken[0].id
    kept = settled(replace(SCOPE, stops="keep"), rows, AGAIN).children
    assert [child.stop for child in kept] == [False]


@pytest.mark.parametrize(
    ("job", "answer"),
    [
        (JOB, OpenOrders((OpenOrder("a1"),), complete=True)),
        (SCOPE, ScopeCanceled()),
        (SCOPE, OpenOrders((), complete=True)),
    ],
)
def test_nothing_else_makes_new_jobs(job: Job, answer: Answer) -> None:
    """A list that was not asked for, an answer that is none, an empty list."""
    assert settled(job, answer, AGAIN).children == ()


ATTEMPT = {
    "id": "j",
    "claim": 7,
    "by": "w1",
    "n": 2,
    "at_ms": NOW_MS,
    "sent": "send",
    "took_ms": 12,
}


@pytest.mark.parametrize(
    ("decision", "row"),
    [
        (
            Done(Outcome.CANCELED, "gone"),
            {"verb": "done", "outcome": "CANCELED", "detail": "gone"},
        ),
        (
            Dead(Outcome.REJECTED, "50 attempts made; no such pair", "no such pair"),
            {
                "verb": "dead",
                "outcome": "REJECTED",
                "detail": "50 attempts made; no such pair",
                "answer": "no such pair",
            },
        ),
        (
            Dead(Outcome.UNKNOWN, "bad"),
            {"verb": "dead", "outcome": "UNKNOWN", "detail": "bad"},
        ),
        (
            replace(AGAIN, missing=True, found=True, delay_ms=9),
            {
                "verb": "again",
                "outcome": "UNKNOWN",
                "detail": "no reply",
                "delay_ms": 9,
                "phase": "ask",
                "streak": 4,
                "missing": True,
                "found": True,
            },
        ),
        (
            replace(AGAIN, outcome=Outcome.REJECTED, doubtful=True),
            {
                "verb": "again",
                "outcome": "REJECTED",
                "detail": "no reply",
                "delay_ms": 700,
                "phase": "ask",
                "streak": 4,
                "doubtful": True,
            },
        ),
    ],
)
def test_decision_is_recorded_with_an_entry_for_the_history(
    decision: Decision, row: dict[str, Any]
) -> None:
    """What is decided, and what the exchange answered."""
    recorded = json.loads(settlement_row(settled(replace(JOB, claim=7), LOST, decision)))
    assert recorded == {**ATTEMPT, **row}


def test_what_an_attempt_shows_of_the_account_is_recorded_with_it() -> None:
    """Only what there is to say."""
    fields = {"pause_ms": 300, "evidence": Evidence.CANCELS, "unanswered": True}
    put_back = Settlement(replace(JOB, claim=7), PutBack(), **fields)  # type: ignore[arg-type]
    assert json.loads(settlement_row(put_back)) == {
        "id": "j", "claim": 7, "by": "w1", "verb": "wait",
        "pause_ms": 300, "evidence": "cancels", "unanswered": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "pause_ms", "rests_ms"),
    [
        (Unproven(Outcome.THROTTLED, "429"), 0, THROTTLED_MS),
        (Unproven(Outcome.THROTTLED, "429", 0), 0, 0),
        (Unproven(Outcome.THROTTLED, "429", 5_000), 0, 5_000),
        (Unproven(Outcome.THROTTLED, "429", 5_000), 7_000, 7_000),
        (Unproven(Outcome.THROTTLED, "429", 5_000), 3_000, 5_000),
        (Unproven(Outcome.THROTTLED, "429", 3_600_000), 0, THROTTLED_MAX_MS),
        (Unproven(Outcome.UNAVAILABLE, "503", 5_000), 0, 0),
        (LOST, 0, 0),
        (LOST, 40, 40),
    ],
)
def test_account_rests_for_as_long_as_its_rate_was_refused(
    answer: Answer, pause_ms: int, rests_ms: int
) -> None:
    """Never for longer than the longest window; only the rate is the account's."""
    assert settled(JOB, answer, AGAIN, pause_ms=pause_ms).pause_ms == rests_ms


@pytest.mark.parametrize(
    ("job", "answer", "unanswered"),
    [
        (SCOPE, LOST, True),
        (SCOPE, Unproven(Outcome.UNAVAILABLE, "503"), True),
        (replace(SCOPE, phase=Phase.BUY), LOST, True),
        (SCOPE, Unproven(Outcome.THROTTLED, "429"), False),
        (SCOPE, ScopeCanceled(), False),
        (replace(SCOPE, phase=Phase.LIST), LOST, False),
        (JOB, LOST, False),
    ],
)
def test_cancel_of_a_scope_without_an_answer_may_yet_be_carried_out(
    job: Job,
    answer: Answer,
    unanswered: bool,  # noqa: FBT001
) -> None:
    """And so may cancel what is placed later."""
    assert settled(job, answer, AGAIN).unanswered is unanswered


CONTEXT = {
    "job": "j",
    "kind": "cancel",
    "account": "ev",
    "exchange": "everstrike",
    "order_id": "a1",
    "attempt": 2,
    "phase": "send",
    "outcome": Outcome.UNKNOWN,
    "detail": "no reply",
    "took_ms": 12,
}
REFUSED = Unproven(Outcome.UNAUTHORIZED, "bad key")
NO_RIGHT = (
    "the exchange answers this account's questions, but refuses its cancels: "
    "its key may lack the right to them"
)
NO_KEY = "the exchange refuses this account's credentials"


@pytest.mark.parametrize(
    ("answer", "decision", "message"),
    [
        (Closed(Outcome.GONE), Done(Outcome.UNKNOWN, "no reply"), "done"),
        (LOST, AGAIN, "not proven"),
        (REFUSED, replace(AGAIN, refused=True, outcome=Outcome.UNAUTHORIZED), None),
        (LOST, Dead(Outcome.UNKNOWN, "no reply"), None),
    ],
)
def test_attempt_is_logged_unless_an_alert_shows_it(
    answer: Answer, decision: Decision, message: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """One line with all that identifies it."""
    written = lines(caplog, settled(JOB, answer, decision))
    assert written == ([] if message is None else [{"message": message, **CONTEXT}])


@pytest.mark.parametrize(
    ("job", "answer", "decision", "shown"),
    [
        (
            JOB,
            REFUSED,
            replace(AGAIN, refused=True),
            ("credentials refused", f"{NO_KEY}; its jobs wait, and one is tried from time to time"),
        ),
        (
            JOB,
            REFUSED,
            Dead(Outcome.UNAUTHORIZED, "no reply"),
            ("credentials refused", f"{NO_KEY}; given up: no reply"),
        ),
        (JOB, LOST, Dead(Outcome.UNKNOWN, "no reply"), ("dead letter", "given up: no reply")),
        (
            replace(JOB, refused="cancels", phase=Phase.ASK),
            OrderReport(OrderState.OPEN),
            AGAIN,
            ("credentials refused", NO_RIGHT),
        ),
    ],
)
def test_alert_says_what_is_wrong_with_the_job_it_shows(
    job: Job,
    answer: Answer,
    decision: Decision,
    shown: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the fields of the attempt's line."""
    with caplog.at_level(logging.ERROR):
        report([settled(job, answer, decision)])
    (record,) = caplog.records
    context = {**CONTEXT, "phase": job.sends, "outcome": decision.outcome}
    assert (said(record, "alert"), record.getMessage()) == shown
    assert context.items() <= record.__dict__.items()


@pytest.mark.parametrize(
    ("fields", "warned"),
    [
        ({"unseen": True}, True),
        ({"unseen": True, "children": 1}, False),
        ({"unseen": False}, False),
        ({"unseen": False, "children": 1}, False),
    ],
)
def test_empty_scope_of_a_pair_that_no_list_has_shown_is_warned_of(
    fields: dict[str, Any],
    warned: bool,  # noqa: FBT001
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The pair may be written otherwise than the exchange does."""
    with caplog.at_level(logging.WARNING):
        report([settled(replace(SCOPE, **fields), LOST, Done(Outcome.UNKNOWN, "no reply"))])
    assert [record.getMessage() for record in caplog.records] == (
        [f"an empty scope: {UNSEEN}"] if warned else []
    )
    context = {**CONTEXT, "kind": "cancel_all", "order_id": None}
    assert all(context.items() <= record.__dict__.items() for record in caplog.records)


def test_refusal_is_of_the_credentials_unless_the_token_lacked() -> None:
    """What an attempt shows of the account is recorded with it."""
    refused = replace(AGAIN, refused=True)
    assert settled(JOB, REFUSED, refused).evidence is Evidence.NO_CANCELS
    without = settled(JOB, REFUSED, refused, no_token=True)
    assert without.evidence is Evidence.NO_TOKEN


def test_lines_of_several_attempts_are_written_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Attempts without an answer have none; without any line nothing is written."""
    done, crash = settled(JOB, LOST, AGAIN), Settlement(JOB, AGAIN)
    assert lines(caplog, crash, Settlement(JOB, PutBack())) == []
    assert not caplog.records
    written = lines(caplog, crash, done, done)
    assert written == [{"message": "not proven", **CONTEXT}] * 2
    (record,) = caplog.records
    assert record.getMessage() == "attempts"
