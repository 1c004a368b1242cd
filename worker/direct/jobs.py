"""State changes of a job without a ledger; the same rules as the ledger's Lua scripts."""

from __future__ import annotations

import json
from dataclasses import replace

from worker.model.constants import REFUSALS
from worker.model.jobs import Job, NewJob, Phase, State
from worker.model.settlements import Settlement, Verb


def accepted(new: NewJob, *, now_ms: int) -> Job:
    """Return a new job, due now."""
    return Job(
        id=new.id,
        kind=new.kind,
        state=State.PENDING,
        lane=new.lane,
        order_id=new.order_id or None,
        pair=new.pair or None,
        side=new.side or None,
        parent=new.parent or None,
        created_ms=now_ms,
        due_ms=now_ms,
        urgent=new.urgent,
    )


def taken(job: Job, *, holder: str, lease_ms: int, now_ms: int) -> Job:
    """Return a job at the start of its next attempt."""
    return replace(
        job,
        attempts=job.attempts + 1,
        claim=job.claim + 1,
        first_ms=now_ms if job.first_ms is None else job.first_ms,
        claimed_by=holder,
        lease_ms=lease_ms,
    )


def settled(job: Job, settlement: Settlement, *, now_ms: int) -> Job:
    """Return a job after an attempt."""
    line = (json.loads(settlement.line),) if settlement.line else ()
    job = replace(job, claimed_by=None, history=job.history + line)
    told = replace(job, outcome=settlement.outcome, detail=settlement.detail)
    match settlement.verb:
        case Verb.DONE:
            return replace(told, state=State.DONE, finished_ms=now_ms)
        case Verb.DEAD:
            return replace(told, state=State.DEAD, finished_ms=now_ms)
        case Verb.AGAIN:
            since_ms = None if settlement.found else job.missing_ms
            if settlement.missing and not settlement.found and since_ms is None:
                since_ms = now_ms
            return replace(
                told,
                phase=Phase(settlement.phase) if settlement.phase else None,
                streak=settlement.streak,
                missing=settlement.missing and not settlement.found,
                missing_ms=since_ms,
                due_ms=now_ms + settlement.delay_ms,
                doubtful=settlement.doubtful,
                refused=REFUSALS.get(settlement.evidence, ""),
                lost=False,
            )
        case Verb.WAIT:
            made = job.attempts - 1
            return replace(job, attempts=made, first_ms=job.first_ms if made else None)
