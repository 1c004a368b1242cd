"""A ledger on a stepped clock, with three lanes, as its tests need it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import redis

from tests.support.stepped_time import Stepped
from worker.model.decisions import Again, Dead, Decision, Done, PutBack
from worker.model.jobs import Job, Kind, NewJob, Phase
from worker.model.outcomes import Outcome
from worker.model.settlements import Accepted, Claimed, Settlement, new_id
from worker.store.ledger import Ledger

EV = "everstrike:ev"
EV2 = "everstrike:ev2"
IX = "indodax:ix"
"""Serial: one request at a time."""
LANES = (("ev", "everstrike", 0), ("ev2", "everstrike", 0), ("ix", "indodax", 1))
LEASE_MS = 10_000
RETENTION_MS = 3_600_000
DIGEST = "these-lanes"
AT_MS = 1_783_000_000_123
"""When every attempt here began."""


class Verb(StrEnum):
    """How an attempt is settled."""

    DONE = "done"
    AGAIN = "again"
    WAIT = "wait"
    DEAD = "dead"


def decided(verb: Verb, **fields: Any) -> Decision | PutBack:
    """Return a decision of that kind; fields that it does not have are left out."""
    outcome, detail = fields.pop("outcome", Outcome.UNKNOWN), fields.pop("detail", "")
    match verb:
        case Verb.DONE:
            return Done(Outcome.CANCELED if outcome is Outcome.UNKNOWN else outcome, detail)
        case Verb.DEAD:
            return Dead(outcome, detail, canceled=fields.get("canceled", 0))
        case Verb.WAIT:
            return PutBack()
        case Verb.AGAIN:
            defaults = {"phase": Phase.SEND, "delay_ms": 0, "streak": 0}
            return Again(outcome=outcome, detail=detail, **{**defaults, **fields})


def verb_of(settlement: Settlement) -> Verb:
    """Return the kind of decision that a settlement carries."""
    match settlement.decision:
        case Done():
            return Verb.DONE
        case Dead():
            return Verb.DEAD
        case Again():
            return Verb.AGAIN
        case PutBack():
            return Verb.WAIT


def settlement(job: Job, verb: Verb, **fields: Any) -> Settlement:
    """Return the result of an attempt, of fields of its decision and of its own."""
    own = ("at_ms", "took_ms", "pause_ms", "evidence", "unanswered", "children")
    mine = {name: fields.pop(name) for name in own if name in fields}
    return Settlement(job, decided(verb, **fields), **{"at_ms": AT_MS, **mine})


def new_job(order_id: str = "a1", lane: str = EV, **fields: Any) -> NewJob:
    """Return a job to be accepted."""
    return NewJob(
        **{
            "id": new_id(),
            "lane": lane,
            "kind": Kind.CANCEL,
            "order_id": order_id,
            **fields,
        }
    )


def entry(job: Job, outcome: Outcome, detail: str = "", **fields: Any) -> dict[str, Any]:
    """Return the entry of an attempt in its job's history."""
    return {
        "n": job.attempts,
        "at_ms": AT_MS,
        "phase": job.phase or "send",
        "outcome": outcome,
        "detail": detail,
        "by": job.claimed_by,
        **fields,
    }


class Bench:
    """A ledger, its clock and its Redis."""

    def __init__(self, url: str, *, digest: str = DIGEST, register: bool = True) -> None:
        self.clock = Stepped(url)
        self.client: redis.Redis = self.clock.client
        self.ledger = Ledger(self.clock.store(), digest=digest)
        if register:
            self.ledger.register(LANES)

    def accept(self, *order_ids: str, lane: str = EV, **fields: Any) -> list[Accepted]:
        """Record a cancel of each order."""
        return self.ledger.accept([new_job(order_id, lane, **fields) for order_id in order_ids])

    def one(self, order_id: str = "a1", lane: str = EV, **fields: Any) -> str:
        """Record one cancel; return the job's id."""
        return self.accept(order_id, lane=lane, **fields)[0].id

    def claim(self, holder: str = "w1", **options: Any) -> Claimed:
        """Claim as a worker does, of Everstrike by default."""
        lane = options.get("lane", "")
        defaults = {"exchange": lane.partition(":")[0] or "everstrike", "lease_ms": LEASE_MS}
        return self.ledger.claim(holder=holder, **{**defaults, **options})

    def take(self, holder: str = "w1", **options: Any) -> Job:
        """Claim exactly one job."""
        (job,) = self.claim(holder, **options).jobs
        return job

    def settle(
        self, job: Job, verb: Verb, holder: str = "w1", *, limit: int = 0, **fields: Any
    ) -> Claimed:
        """Settle an attempt; claim what is next as `Ledger.settle` does."""
        names = ("back_ms", "stay_ms", "named")
        more = {name: fields.pop(name) for name in names if name in fields}
        return self.ledger.settle(
            [settlement(job, verb, **fields)],
            holder=holder,
            retention_ms=RETENTION_MS,
            lease_ms=LEASE_MS,
            limit=limit,
            **more,
        )

    def settle_all(
        self, jobs: Sequence[Job], verb: Verb = Verb.DONE, *, limit: int = 0, **fields: Any
    ) -> Claimed:
        """Settle several attempts alike, in one step."""
        return self.ledger.settle(
            [settlement(job, verb, **fields) for job in jobs],
            holder="w1",
            retention_ms=RETENTION_MS,
            lease_ms=LEASE_MS,
            limit=limit,
        )

    def get(self, job_id: str) -> Job:
        """Return a job that must be there."""
        job = self.ledger.get(job_id)
        assert job is not None
        return job

    def due_ms(self, job_id: str, lane: str = EV) -> float | None:
        """Return when a worker must next look at a job; None if none will."""
        score: Any = self.client.zscore(f"cx:due:{lane}", job_id)
        return None if score is None else float(score)

    def lane_ms(self, lane: str = EV) -> float | None:
        """Return when a worker must next look at a lane; None if none will."""
        score: Any = self.client.zscore("cx:lanes", lane)
        return None if score is None else float(score)

    def ttl_ms(self, job_id: str) -> int:
        """Return for how long a job's record is kept; -1 for ever."""
        left: Any = self.client.pttl(f"cx:job:{job_id}")
        return int(left)

    def raw(self, job_id: str) -> dict[str, str]:
        """Return a job's record as it lies in Redis."""
        fields: Any = self.client.hgetall(f"cx:job:{job_id}")
        return dict(fields)
