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
        phase: What the next attempt sends.
        delay_ms: From the answer until then.
        outcome: Of this attempt.
        detail: The exchange's words, or ours.
        streak: As in `Job`.
        missing: The exchange knows no such open order.
        found: It shows the order open.
        refused: It refuses the account's credentials.
        put_off: The delay is what the exchange asked for, or part of that, and counts
            no more once another attempt shows that it works.
    """

    phase: Phase
    delay_ms: int
    outcome: Outcome
    detail: str
    streak: int = 1
    missing: bool = False
    found: bool = False
    refused: bool = False
    put_off: bool = False


@dataclass(frozen=True, slots=True)
class Dead:
    """Given up: to the dead letters, with what is known.

    Attributes:
        detail: Why, and the last answer.
        answer: The last answer by itself, where there is more to say.
    """

    outcome: Outcome
    detail: str
    answer: str = field(default="", compare=False)


Decision = Done | Again | Dead
