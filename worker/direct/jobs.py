"""How a job moves on, where no ledger holds it: as `take` and `lua/settle.lua` move it there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from worker.model.constants import REFUSALS
from worker.model.decisions import Again, Dead, Decision, Done, PutBack, answer_of
from worker.model.jobs import Job, Kind, NewJob, State
from worker.model.settlements import Settlement


def accepted(new: NewJob, *, now_ms: int) -> Job:
    """Return a new job, due now."""
    return Job(
        id=new.id,
        kind=new.kind,
        state=State.PENDING,
        lane=new.lane,
        order_id=new.order_id or None,
        client_order_id=new.client_order_id or None,
        client_id_prefix=new.client_id_prefix or None,
        stop=new.stop,
        stops=new.stops,
        pair=new.pair or None,
        side=new.side or None,
        parent=new.parent or None,
        created_ms=now_ms,
        due_ms=now_ms,
        unseen=new.kind is Kind.CANCEL_ALL and bool(new.pair),
        urgent=new.urgent,
    )


def taken(job: Job, *, holder: str, lease_ms: int, now_ms: int) -> Job:
    """Return a job as its next attempt begins."""
    return replace(
        job,
        attempts=job.attempts + 1,
        claim=job.claim + 1,
        first_ms=now_ms if job.first_ms is None else job.first_ms,
        claimed_by=holder,
        lease_ms=lease_ms,
    )


def settled(job: Job, settlement: Settlement, *, now_ms: int) -> Job:
    """Return a job as an attempt leaves it.

    Args:
        job: As it is now.
        settlement: The result of the attempt.
        now_ms: When that is recorded.
    """
    decision = settlement.decision
    job = replace(job, claimed_by=None)
    if isinstance(decision, PutBack):
        made = job.attempts - 1
        return replace(job, attempts=made, first_ms=job.first_ms if made else None)
    job = replace(
        job,
        history=(*job.history, _entry(settlement, decision)),
        outcome=decision.outcome,
        detail=decision.detail,
    )
    match decision:
        case Done():
            return replace(job, state=State.DONE, finished_ms=now_ms)
        case Dead():
            return replace(_counted(job, settlement), state=State.DEAD, finished_ms=now_ms)
        case Again():
            missing = decision.missing and not decision.found
            missing_ms = None if decision.found else job.missing_ms
            return replace(
                _counted(job, settlement),
                phase=decision.phase,
                streak=decision.streak,
                missing=missing,
                missing_ms=now_ms if missing and missing_ms is None else missing_ms,
                listed=decision.listed,
                empty=decision.empty,
                empty_ms=now_ms if decision.empty and job.empty_ms is None else job.empty_ms,
                due_ms=now_ms + decision.delay_ms,
                doubtful=decision.doubtful,
                refused=REFUSALS.get(settlement.evidence, ""),
                lost=False,
                stop_kind=decision.stop_kind or job.stop_kind,
            )


def _counted(job: Job, settlement: Settlement) -> Job:
    """Return a scope with what one request has canceled of it."""
    last = settlement.decision
    if not isinstance(last, Again | Dead):
        return job
    return replace(
        job,
        swept=job.swept or last.swept or settlement.unanswered,
        children=job.children + last.canceled,
        canceled=job.canceled + last.canceled,
    )


def _entry(settlement: Settlement, decision: Decision) -> dict[str, Any]:
    """Return the entry of an attempt in its job's history."""
    job = settlement.job
    entry: dict[str, Any] = {
        "n": job.attempts,
        "at_ms": settlement.at_ms,
        "phase": job.sends,
        "outcome": decision.outcome,
        "detail": answer_of(decision),
        "by": job.claimed_by or "",
    }
    if settlement.took_ms is not None:
        entry["took_ms"] = settlement.took_ms
    return entry
