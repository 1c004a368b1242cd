"""What an attempt shows of the account, and for how long refused credentials are waited for."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from typing import Any

import pytest

from worker.config.settings import Jobs
from worker.dispatch.completion import report
from worker.model.decisions import Again, Dead
from worker.model.jobs import Job, Kind, Phase, State
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
    Closed,
    Evidence,
    OpenOrders,
    OrderReport,
    OrderState,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.policy.retries import decide
from worker.policy.settling import settlement_of

SEND, ASK, LIST = Phase.SEND, Phase.ASK, Phase.LIST
ALL: dict[str, Any] = {"kind": Kind.CANCEL_ALL}
REFUSED = Unproven(Outcome.UNAUTHORIZED, "bad key")
BEGUN_MS = 1
HOUR_MS = Jobs().max_age_ms


def job(phase: Phase = SEND, **fields: Any) -> Job:
    """Return a job in its second attempt."""
    values = {"kind": Kind.CANCEL, "attempts": 2, "first_ms": BEGUN_MS, "created_ms": 0, **fields}
    return Job(id="j", state=State.PENDING, lane="x:y", order_id="a1", phase=phase, **values)


def shown(claimed: Job, answer: Answer, *, no_token: bool = False) -> Evidence:
    """Return the evidence of an attempt's settlement."""
    decision = decide(claimed, answer, asks=ASK, now_ms=500, jobs=Jobs(), rng=random.Random(1))
    settlement = settlement_of(claimed, answer, decision, now_ms=0, took_ms=1, no_token=no_token)
    report([settlement])
    return settlement.evidence


@pytest.mark.parametrize(
    ("claimed", "answer", "evidence"),
    [
        (job(), Closed(Outcome.CANCELED), Evidence.CANCELS),
        (job(), Closed(Outcome.GONE), Evidence.CANCELS),
        (job(**ALL), ScopeCanceled(), Evidence.CANCELS),
        (job(), CancelAccepted(), Evidence.CANCELS),
        (job(), Unproven(Outcome.UNKNOWN, "not found", missing=True), Evidence.CANCELS),
        (job(ASK), OrderReport(OrderState.OPEN), Evidence.READS),
        (job(ASK), OrderReport(OrderState.MISSING), Evidence.READS),
        (job(ASK), OrderReport(OrderState.CANCELED), Evidence.READS),
        (job(LIST, **ALL), OpenOrders((), complete=True), Evidence.READS),
        (job(), REFUSED, Evidence.NO_CANCELS),
        (job(ASK), REFUSED, Evidence.NO_READS),
        (job(LIST, **ALL), REFUSED, Evidence.NO_READS),
        (job(), replace(REFUSED, token_refused=True), Evidence.NONE),
        (job(refused="token"), replace(REFUSED, token_refused=True), Evidence.NO_CANCELS),
        (job(), Unproven(Outcome.UNKNOWN, "no reply"), Evidence.NONE),
        (job(), Unproven(Outcome.UNAVAILABLE, "503"), Evidence.NONE),
        (job(), Unproven(Outcome.UNAVAILABLE, "503", retry_after_ms=9), Evidence.PUT_OFF),
        (job(ASK), Unproven(Outcome.UNKNOWN, "504", retry_after_ms=9), Evidence.PUT_OFF),
        (job(), Unproven(Outcome.THROTTLED, "429", retry_after_ms=9), Evidence.NONE),
        (job(), Unproven(Outcome.REJECTED, "no"), Evidence.NONE),
        # What does not answer what was sent shows nothing.
        (job(ASK), Closed(Outcome.CANCELED), Evidence.NONE),
        (job(), OrderReport(OrderState.OPEN), Evidence.NONE),
        (job(ASK), Unproven(Outcome.UNKNOWN, "x", missing=True), Evidence.NONE),
    ],
)
def test_what_an_answer_shows_of_the_account(
    claimed: Job, answer: Answer, evidence: Evidence
) -> None:
    """Cancels and questions are distinguished: a key may have the right to one of them."""
    assert shown(claimed, answer) is evidence


def test_a_refused_token_is_of_the_whole_account() -> None:
    """Nothing was sent, whatever the job was to send."""
    assert shown(job(), REFUSED, no_token=True) is Evidence.NO_TOKEN
    assert shown(job(ASK), REFUSED, no_token=True) is Evidence.NO_TOKEN
    late = replace(job(), first_ms=-2 * HOUR_MS)
    assert shown(late, REFUSED, no_token=True) is Evidence.NO_TOKEN
    assert shown(late, REFUSED) is Evidence.NO_CANCELS
    assert shown(replace(late, phase=ASK), REFUSED) is Evidence.NO_READS, "given up, too"


@pytest.mark.parametrize(
    ("fields", "now_ms", "age_ms"),
    [
        ({}, HOUR_MS + BEGUN_MS, HOUR_MS),
        ({"refused_ms": 0, "refused": "cancels", "first_ms": HOUR_MS}, HOUR_MS, HOUR_MS),
        ({"refused_ms": 7, "refused": "cancels", "first_ms": HOUR_MS}, HOUR_MS + 7, HOUR_MS),
        (
            {"refused_ms": 0, "refused": "reads", "created_ms": 9, "first_ms": HOUR_MS},
            HOUR_MS + 9,
            HOUR_MS,
        ),
    ],
)
def test_refused_credentials_are_waited_for_by_time(
    fields: dict[str, Any], now_ms: int, age_ms: int
) -> None:
    """A job that was never the probe counts from the refusal, or from when it was accepted."""

    def decided(at_ms: int) -> object:
        return decide(
            job(**fields), REFUSED, asks=None, now_ms=at_ms, jobs=Jobs(), rng=random.Random(1)
        )

    assert isinstance(decided(now_ms - 1), Again)
    dead = decided(now_ms)
    assert dead == Dead(Outcome.UNAUTHORIZED, f"not proven within {age_ms} ms; bad key")


@pytest.mark.parametrize(
    ("claimed", "answer", "words"),
    [
        (job(), REFUSED, "the exchange refuses this account's credentials; its jobs wait"),
        (job(refused="cancels"), REFUSED, ""),
        (job(), replace(REFUSED, token_refused=True), ""),
        (job(ASK, refused="cancels"), OrderReport(OrderState.OPEN), "but refuses its cancels"),
        (job(ASK, refused="cancels"), OrderReport(OrderState.FILLED), "but refuses its cancels"),
        (job(ASK, refused="reads"), OrderReport(OrderState.OPEN), ""),
        (job(ASK, refused="cancels"), Unproven(Outcome.UNKNOWN, "no reply"), ""),
        (job(ASK), OrderReport(OrderState.OPEN), ""),
    ],
)
def test_the_first_refusal_alerts_and_a_missing_right_is_named(
    claimed: Job, answer: Answer, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A person is alerted at once; and whether the account is gone, or only its right to cancel."""
    with caplog.at_level(logging.ERROR):
        shown(claimed, answer)
    alerts = [each.getMessage() for each in caplog.records if each.__dict__.get("alert")]
    assert len(alerts) == bool(words)
    assert all(words in alert for alert in alerts)
