"""What follows from an attempt: its record, jobs, words in the log and alerts."""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from worker.config.settings import Jobs
from worker.model.decisions import Again, Dead, Decision, Done
from worker.model.jobs import Job, Kind, NewJob
from worker.model.outcomes import (
    Answer,
    Closed,
    ClosedMany,
    Evidence,
    OpenOrder,
    OpenOrders,
    OrderReport,
    Outcome,
    ScopeCanceled,
    Unproven,
)
from worker.model.settlements import Settlement, Verb
from worker.policy.pauses import throttled_ms
from worker.policy.retries import DOUBTFUL_ATTEMPTS, doubtful
from worker.policy.scopes import UNSEEN
from worker.telemetry.alerts import alert
from worker.telemetry.logs import LINES

log = logging.getLogger(__name__)

CRASH_PAUSE_MS = 1_000
CHILD_MS = 60_000
"""How often an order that a scope goes on to show has a cancel of its own, at most."""
MAYBE_DONE = (Outcome.UNKNOWN, Outcome.UNAVAILABLE)
"""What an exchange says, or does not, that may go on with what it was asked."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """What an attempt came to.

    Attributes:
        settlement: To be recorded.
        children: Jobs that follow from it.
        said: What the log is to say of it; see `tell`.
    """

    settlement: Settlement
    children: tuple[NewJob, ...] = ()
    said: Mapping[str, object] | None = None


def attempted(
    job: Job,
    answer: Answer,
    decision: Decision,
    *,
    now_ms: int,
    took_ms: int,
    pause_ms: int,
    no_token: bool = False,
) -> Attempted:
    """Return what follows from an attempt, and alert what somebody must know of.

    Args:
        job: As it was sent.
        answer: What came of it.
        decision: What follows from that.
        now_ms: Redis time at which it began.
        took_ms: From then until the answer.
        pause_ms: How long its account must be left alone in any case.
        no_token: Nothing was sent, as there was no token.
    """
    shown = evidence(job, answer, decision, no_token=no_token)
    settlement = _settlement(job, decision, shown, now_ms=now_ms, took_ms=took_ms)
    if pause_ms := max(pause_ms, throttled_ms(answer)):
        settlement = replace(settlement, pause_ms=pause_ms)
    if _unanswered(job, answer):
        settlement = replace(settlement, unanswered=True)
    return Attempted(
        settlement, _children(job, answer, now_ms), _report(job, decision, took_ms, shown)
    )


def crashed(job: Job, error: Exception, *, now_ms: int, jobs: Jobs) -> Settlement:
    """Settle an attempt that a fault of our own ended: unknown, and due again, within `jobs`."""
    spent = job.attempts >= jobs.max_attempts
    late = now_ms - (job.first_ms or now_ms) >= jobs.max_age_ms
    log.error("an attempt crashed", exc_info=error, extra={"job": job.id, "account": job.account})
    where = {"account": job.account, "exchange": job.exchange}
    alert("attempt crashed", f"an attempt crashed: {type(error).__name__}", error, **where)
    return Settlement(
        Verb.DEAD if spent or late else Verb.AGAIN,
        detail=f"internal error: {type(error).__name__}",
        delay_ms=CRASH_PAUSE_MS + random.randrange(CRASH_PAUSE_MS),  # noqa: S311  jitter
        phase=job.phase or "",
        streak=job.streak,
        missing=job.missing,
        doubtful=job.attempts >= DOUBTFUL_ATTEMPTS,
    )


def tell(attempts: Iterable[Attempted]) -> None:
    """Say in the log what attempts came to: a line for each, all in one write.

    A write for each would take a fifth of all that a fast exchange's cancel takes.
    """
    if lines := [each.said for each in attempts if each.said]:
        log.info("attempts", extra={LINES: lines})


def _report(
    job: Job, decision: Decision, took_ms: int, shown: Evidence
) -> Mapping[str, object] | None:
    """Return what the log is to say of an attempt, unless an alert has said it."""
    context = {
        "job": job.id,
        "kind": job.kind,
        "account": job.account,
        "exchange": job.exchange,
        "order_id": job.order_id,
        "attempt": job.attempts,
        "phase": job.sends,
        "outcome": decision.outcome,
        "detail": decision.detail,
        "took_ms": took_ms,
    }
    if job.refused == "cancels" and shown is Evidence.READS:
        refused = "the exchange answers this account's questions, but refuses its cancels"
        alert("credentials refused", f"{refused}: its key may lack the right to them", **context)
    match decision:
        case Done():
            if job.unseen and not job.children:
                log.warning("an empty scope: %s", UNSEEN, extra=context)
            return {"message": "done", **context}
        case Again(refused=True) if not job.refused:
            refused = "the exchange refuses this account's credentials; its jobs wait"
            alert("credentials refused", f"{refused}, and one is tried now and then", **context)
        case Again():
            return {"message": "not proven", **context}
        case Dead(outcome=Outcome.UNAUTHORIZED):
            refused = "the exchange refuses this account's credentials"
            alert("credentials refused", f"{refused}; given up: {decision.detail}", **context)
        case Dead():
            alert("dead letter", f"given up: {decision.detail}", **context)
    return None


def _settlement(
    job: Job, decision: Decision, shown: Evidence, *, now_ms: int, took_ms: int
) -> Settlement:
    said = (decision.answer if isinstance(decision, Dead) else "") or decision.detail
    line = json.dumps(
        {
            "n": job.attempts,
            "at_ms": now_ms,
            "phase": job.sends,
            "outcome": decision.outcome,
            "detail": said,
            "took_ms": took_ms,
            "by": job.claimed_by,
        }
    )
    settlement = Settlement(
        Verb.DONE,
        outcome=decision.outcome,
        detail=decision.detail,
        line=line,
        evidence=shown,
    )
    match decision:
        case Done():
            return settlement
        case Dead():
            return replace(settlement, verb=Verb.DEAD)
        case Again():
            return replace(
                settlement,
                verb=Verb.AGAIN,
                delay_ms=decision.delay_ms,
                phase=decision.phase,
                streak=decision.streak,
                missing=decision.missing,
                found=decision.found,
                doubtful=doubtful(job, decision),
            )


def _unanswered(job: Job, answer: Answer) -> bool:
    """Return whether a cancel of a whole scope may yet be carried out."""
    sent = job.kind is Kind.CANCEL_ALL and job.sends.cancels
    return sent and isinstance(answer, Unproven) and answer.outcome in MAYBE_DONE


def evidence(job: Job, answer: Answer, decision: Decision, *, no_token: bool) -> Evidence:
    """Return what an answer shows of the account; see `lib/access.lua` for what follows."""
    cancels = job.sends.cancels
    match answer:
        case Unproven(outcome=Outcome.UNAUTHORIZED):
            if isinstance(decision, Again) and not decision.refused:
                return Evidence.NONE
            if no_token:
                return Evidence.NO_TOKEN
            return Evidence.NO_CANCELS if cancels else Evidence.NO_READS
        case Unproven(missing=True) | Closed() | ClosedMany() | ScopeCanceled() if cancels:
            return Evidence.CANCELS
        case OrderReport() | OpenOrders() if not cancels:
            return Evidence.READS
        case _ if isinstance(decision, Again) and decision.put_off:
            return Evidence.PUT_OFF
        case _:
            return Evidence.NONE


def _children(job: Job, answer: Answer, now_ms: int) -> tuple[NewJob, ...]:
    """Return a cancel for each order that a cancel-all found open.

    Each has one name for a while: what a list goes on to show once its cancel has ended
    is canceled again, but not over and over.
    """
    turn = (now_ms - (job.first_ms or now_ms)) // CHILD_MS
    if job.kind is not Kind.CANCEL_ALL or not isinstance(answer, OpenOrders):
        return ()
    return tuple(
        NewJob(
            id=f"{job.id}.{turn}.{_name_of(order)}",
            lane=job.lane,
            kind=Kind.CANCEL,
            order_id=order.order_id,
            pair=order.pair or job.pair or "",
            side=order.side or job.side or "",
            parent=job.id,
            urgent=job.urgent,
        )
        for order in answer.orders
    )


def _name_of(order: OpenOrder) -> str:
    named = "\0".join((order.order_id, order.pair or "", order.side or ""))
    return hashlib.sha256(named.encode()).hexdigest()[:16]
