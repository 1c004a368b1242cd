"""Which dead letters a command is about, and what is told of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import typer

from worker.cli import output
from worker.cli.errors import MISUSED, CliError
from worker.model.jobs import Job
from worker.model.outcomes import Outcome

AGE = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
HEADERS = ("ID", "ACCOUNT", "ORDER", "PAIR", "SIDE", "OUTCOME", "TRIES", "AGE", "REASON")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a dead letter must be to be meant; None asks nothing.

    Attributes:
        reason: A part of the reason, in whatever case.
        older_ms: Given up longer ago than this.
        newer_ms: Given up not as long ago.
    """

    account: str | None = None
    exchange: str | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    older_ms: int | None = None
    newer_ms: int | None = None

    @property
    def any(self) -> bool:
        """Whether every dead letter is meant."""
        return self == Wanted()

    def means(self, job: Job, *, now_ms: int) -> bool:
        """Return whether a dead letter is meant."""
        age_ms = age_of(job, now_ms=now_ms)
        return (
            self.account in (None, job.account)
            and self.exchange in (None, job.exchange)
            and self.outcome in (None, job.outcome)
            and (self.reason or "").casefold() in job.detail.casefold()
            and (self.older_ms is None or age_ms > self.older_ms)
            and (self.newer_ms is None or age_ms < self.newer_ms)
        )

    def __str__(self) -> str:
        """Name the letters meant."""
        if self.any:
            return "every dead letter"
        named = (
            ("of account", self.account),
            ("of exchange", self.exchange),
            ("with outcome", self.outcome),
            ("whose reason has", repr(self.reason) if self.reason else None),
            ("older than", _shown(self.older_ms)),
            ("newer than", _shown(self.newer_ms)),
        )
        return "every dead letter " + ", ".join(
            f"{words} {value}" for words, value in named if value is not None
        )


def read_age(text: str | None) -> int | None:
    """Return an age in ms.

    Raises:
        BadParameter: It is no number with a unit.
    """
    if text is None:
        return None
    found = AGE.fullmatch(text)
    if found is None:
        raise typer.BadParameter("give a number and ms, s, m, h or d, such as 90s or 2h")
    return int(found[1]) * UNIT_MS[found[2]]


def check_choice(job_ids: list[str] | None, wanted: Wanted, *, every: bool) -> None:
    """Refuse what does not say which letters are meant, or says so twice.

    Raises:
        CliError: It does not.
    """
    if bool(job_ids) == (every or not wanted.any):
        raise CliError("name ids of dead letters, or give --all or what to select", code=MISUSED)


def age_of(job: Job, *, now_ms: int) -> int:
    """Return how long ago a job was given up."""
    return max(0, now_ms - (job.finished_ms or job.created_ms))


def described(job: Job, *, now_ms: int) -> dict[str, Any]:
    """Return a dead letter as JSON shows it."""
    return job.describe() | {
        "reason": job.detail,
        "last_answer": job.history[-1] if job.history else None,
        "age_ms": age_of(job, now_ms=now_ms),
    }


def print_letters(letters: list[Job], *, now_ms: int, as_json: bool) -> None:
    """Print a list of dead letters."""
    if as_json:
        output.document({"jobs": [described(job, now_ms=now_ms) for job in letters]})
        return
    output.table(
        HEADERS,
        [
            (
                job.id,
                job.account,
                job.order_id or ("all" if job.account else ""),
                job.pair,
                job.side,
                job.outcome,
                job.attempts,
                output.duration(age_of(job, now_ms=now_ms)),
                job.detail,
            )
            for job in letters
        ],
    )


def _shown(age_ms: int | None) -> str | None:
    return None if age_ms is None else output.duration(age_ms)
