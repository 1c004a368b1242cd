"""What may follow from an attempt."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.model.jobs import Phase
from worker.model.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome is proven."""

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """Not proven: attempt `phase` after `delay_ms`.

    Attributes:
        phase: What the next attempt sends; None if that is still to be decided.
        delay_ms: From the answer until then.
        outcome: Of this attempt.
        detail: The exchange's words, or ours.
        streak: As in `Job`.
        missing: The exchange knows no such open order.
        listed: As in `Job`.
        empty: As in `Job`.
        found: It shows the order open.
        refused: It refuses the account's credentials.
        put_off: The exchange asked for the delay, or for part of it. The delay ends early
            once another attempt shows that the account works.
        held: The scope is empty, and is kept so for a while.
        doubtful: Its attempts prove nothing: from now on the job is served after urgent and
            single jobs, and gets a small share of the attempts while others wait.
        accepted: The exchange accepted the cancel; this was no failed attempt.
        stop_kind: What the order has been shown to be, for its next cancel.
        swept: As in `Job`.
        canceled: How many orders of a scope the exchange says it has canceled by this attempt.
    """

    phase: Phase | None
    delay_ms: int
    outcome: Outcome
    detail: str
    streak: int = 1
    missing: bool = False
    found: bool = False
    refused: bool = False
    put_off: bool = False
    doubtful: bool = False
    held: bool = False
    listed: bool = False
    empty: bool = False
    accepted: bool = False
    stop_kind: str = ""
    swept: bool = False
    canceled: int = 0


@dataclass(frozen=True, slots=True)
class Dead:
    """Given up: to the dead letters, with what is known.

    Attributes:
        detail: Why, and the last answer.
        answer: The last answer by itself, where there is more to say.
        swept: As in `Again`.
        canceled: As in `Again`.
    """

    outcome: Outcome
    detail: str
    answer: str = field(default="", compare=False)
    swept: bool = False
    canceled: int = 0


@dataclass(frozen=True, slots=True)
class PutBack:
    """Nothing was sent: the job is due as before, and the attempt does not count."""

    outcome: Outcome = field(default=Outcome.UNKNOWN, init=False)
    detail: str = field(default="", init=False)


Decision = Done | Again | Dead
"""What follows from an attempt that was made."""


def answer_of(decision: Decision) -> str:
    """Return the last answer in words, without the reason for which a job was given up."""
    return (decision.answer if isinstance(decision, Dead) else "") or decision.detail
