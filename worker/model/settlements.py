"""Results of attempts, and what the ledger answers."""

from __future__ import annotations

import os
from dataclasses import dataclass

from worker.model.decisions import Decision, PutBack
from worker.model.jobs import Job, NewJob
from worker.model.outcomes import Evidence, Outcome


@dataclass(frozen=True, slots=True)
class Settlement:
    """Result of one claim of a job.

    Attributes:
        job: As it was sent.
        decision: What follows. All but `PutBack` end an attempt, which the job's history
            then lists.
        at_ms: Redis time at which the attempt began.
        took_ms: From then until the answer; None if there was none.
        pause_ms: How long the whole account rests.
        evidence: What the attempt shows of the account.
        unanswered: A cancel of a whole scope was sent and no reply came: it may yet be
            carried out.
        children: Jobs that follow from it, to be accepted first.
    """

    job: Job
    decision: Decision | PutBack
    at_ms: int = 0
    took_ms: int | None = None
    pause_ms: int = 0
    evidence: Evidence = Evidence.NONE
    unanswered: bool = False
    children: tuple[NewJob, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Outcome of the attempt; `UNKNOWN` if none was made."""
        return self.decision.outcome


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that the ledger holds; `fresh` if it was not there before."""

    id: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """Jobs leased to the caller.

    Attributes:
        now_ms: Redis time of the claim.
        unregistered: A due lane that the caller has not registered, or empty.
        tended: A lane of switches that the caller now holds, to bring the
            exchange in line with them; or empty.
        more: Whether the lane of these jobs has others that may be claimed now.
        counted: Of each settlement, whether it counted.
        due: Of each job that was named, whether it was due.
    """

    now_ms: int
    jobs: tuple[Job, ...]
    unregistered: str = ""
    tended: str = ""
    more: bool = False
    counted: tuple[bool, ...] = ()
    due: tuple[bool, ...] = ()

    @property
    def applied(self) -> bool:
        """Whether every settlement counted."""
        return all(self.counted)


def new_id() -> str:
    """Return an id that no other job has."""
    return os.urandom(12).hex()
