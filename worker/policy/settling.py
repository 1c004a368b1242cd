"""Result of an attempt: its settlement, from the job, the answer and the decision."""

from __future__ import annotations

import hashlib

from worker.model.decisions import Again, Decision
from worker.model.jobs import KEEP, Job, Kind, NewJob
from worker.model.outcomes import (
    Answer,
    CancelAccepted,
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
from worker.model.settlements import Settlement
from worker.policy.pauses import throttled_ms

CHILD_MS = 60_000
"""An order that lists of a scope keep showing gets a cancel of its own once in this time."""
MAYBE_DONE = (Outcome.UNKNOWN, Outcome.UNAVAILABLE)
"""Outcomes after which the exchange may still carry out the request."""


def settlement_of(
    job: Job,
    answer: Answer,
    decision: Decision,
    *,
    now_ms: int,
    took_ms: int,
    pause_ms: int = 0,
    no_token: bool = False,
) -> Settlement:
    """Return the settlement of an attempt.

    Args:
        job: As it was sent.
        answer: The exchange's.
        decision: What follows from it.
        now_ms: Redis time at which the attempt began.
        took_ms: From then until the answer.
        pause_ms: How long the account must rest in any case.
        no_token: Nothing was sent, as there was no token.
    """
    return Settlement(
        job,
        decision,
        at_ms=now_ms,
        took_ms=took_ms,
        pause_ms=max(pause_ms, throttled_ms(answer)),
        evidence=_evidence(job, answer, decision, no_token=no_token),
        unanswered=_unanswered(job, answer),
        children=_children(job, answer, decision, now_ms),
    )


def _evidence(job: Job, answer: Answer, decision: Decision, *, no_token: bool) -> Evidence:
    """Return what an answer shows of the account; see `lib/access.lua` for what follows."""
    cancels = job.sends.cancels
    match answer:
        case Unproven(outcome=Outcome.UNAUTHORIZED):
            if isinstance(decision, Again) and not decision.refused:
                return Evidence.NONE
            if no_token:
                return Evidence.NO_TOKEN
            return Evidence.NO_CANCELS if cancels else Evidence.NO_READS
        case (
            Unproven(missing=True) | Closed() | ClosedMany() | CancelAccepted() | ScopeCanceled()
        ) if cancels:
            return Evidence.CANCELS
        case OrderReport() | OpenOrders() if not cancels:
            return Evidence.READS
        case _ if isinstance(decision, Again) and decision.put_off:
            return Evidence.PUT_OFF
        case _:
            return Evidence.NONE


def _unanswered(job: Job, answer: Answer) -> bool:
    """Return whether the exchange may yet carry out a cancel of a whole scope."""
    sent = job.kind is Kind.CANCEL_ALL and job.sends.cancels
    return sent and isinstance(answer, Unproven) and answer.outcome in MAYBE_DONE


def _children(job: Job, answer: Answer, decision: Decision, now_ms: int) -> tuple[NewJob, ...]:
    """Return a cancel for each order that a cancel-all found open.

    Where the whole scope is canceled again next, for its stop orders alone.

    Each has the same id for `CHILD_MS`: an order that lists keep showing after its cancel
    has ended is canceled again, but not with each list.
    """
    if job.kind is not Kind.CANCEL_ALL or not isinstance(answer, OpenOrders):
        return ()
    again = isinstance(decision, Again) and decision.phase is not None and decision.phase.cancels
    turn = (now_ms - (job.first_ms or now_ms)) // CHILD_MS
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
            stop=order.stop,
        )
        for order in answer.orders
        if not (order.stop and job.stops == KEEP) and (order.stop or not again)
    )


def _name_of(order: OpenOrder) -> str:
    names = (order.order_id, order.pair or "", order.side or "")
    named = "\0".join((*names, "stop") if order.stop else names)
    return hashlib.sha256(named.encode()).hexdigest()[:16]
