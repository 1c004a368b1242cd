"""What the ledger is told of attempts, and what it answers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum

from worker.model.jobs import Job
from worker.model.outcomes import Evidence, Outcome


class Verb(StrEnum):
    """How an attempt is settled."""

    DONE = "done"
    AGAIN = "again"
    WAIT = "wait"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt came to; see `settle.lua`.

    Attributes:
        delay_ms: For `AGAIN`: from now until the next attempt.
        doubtful: For `AGAIN`: its attempts prove nothing, so that from now on it is
            served after urgent and single jobs, and gets a small share of the
            attempts while others wait; see `lib/turns.lua`.
        pause_ms: How long the whole lane rests.
        line: History entry as JSON; empty for none.
        unanswered: A cancel of a whole scope was sent and no reply came.
    """

    verb: Verb
    outcome: Outcome = Outcome.UNKNOWN
    detail: str = ""
    delay_ms: int = 0
    phase: str = ""
    streak: int = 0
    missing: bool = False
    found: bool = False
    doubtful: bool = False
    pause_ms: int = 0
    line: str = ""
    evidence: Evidence = Evidence.NONE
    unanswered: bool = False


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
    """

    now_ms: int
    jobs: tuple[Job, ...]
    unregistered: str = ""
    tended: str = ""
    more: bool = False
    counted: tuple[bool, ...] = ()

    @property
    def applied(self) -> bool:
        """Whether every settlement counted."""
        return all(self.counted)


def new_id() -> str:
    """Return an id that no other job has."""
    return os.urandom(12).hex()
