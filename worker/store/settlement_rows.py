"""Settlements as `settle.lua` reads them."""

from __future__ import annotations

import json

from worker.model.decisions import Again, Dead, Done, PutBack, answer_of
from worker.model.settlements import Settlement


def settlement_row(settlement: Settlement) -> str:
    """Return a settlement as the JSON table that `settle.lua` describes.

    Fields that say nothing are left out. Text goes as it is, for `Packer` to replace what
    UTF-8 cannot hold: Lua's reader refuses such text where it is escaped.
    """
    job, decision = settlement.job, settlement.decision
    row: dict[str, object] = {"id": job.id, "claim": job.claim, "by": job.claimed_by or ""}
    match decision:
        case Done():
            row["verb"] = "done"
        case Dead():
            row["verb"] = "dead"
        case Again():
            row["verb"] = "again"
            row |= _again(decision)
        case PutBack():
            row["verb"] = "wait"
    if isinstance(decision, Again | Dead):
        row |= {"swept": True} if decision.swept else {}
        row |= {"canceled": decision.canceled} if decision.canceled else {}
    if not isinstance(decision, PutBack):
        row["outcome"], row["detail"] = decision.outcome, decision.detail
        row["n"], row["at_ms"], row["sent"] = job.attempts, settlement.at_ms, job.sends
        if settlement.took_ms is not None:
            row["took_ms"] = settlement.took_ms
        if (answer := answer_of(decision)) != decision.detail:
            row["answer"] = answer
    if settlement.pause_ms:
        row["pause_ms"] = settlement.pause_ms
    if settlement.evidence:
        row["evidence"] = settlement.evidence
    if settlement.unanswered:
        row["unanswered"] = True
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _again(decision: Again) -> dict[str, object]:
    """Return the fields of a job that is attempted again."""
    streak = max(1, decision.streak)
    row: dict[str, object] = {
        "delay_ms": decision.delay_ms,
        "phase": decision.phase or "",
        "streak": -streak if decision.listed else streak,
    }
    facts = {
        "missing": decision.missing or decision.empty,
        "found": decision.found,
        "doubtful": decision.doubtful,
        "held": decision.held,
        "stop_kind": decision.stop_kind,
    }
    return row | {name: fact for name, fact in facts.items() if fact}
