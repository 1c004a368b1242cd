"""Select and print dead letters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from worker.cli import output
from worker.cli.errors import MISUSED, CliError
from worker.cli.options import (
    NewerOption,
    OfAccountOption,
    OfExchangeOption,
    OlderOption,
    OutcomeOption,
    ReasonOption,
)
from worker.model.jobs import Job
from worker.model.outcomes import Outcome

HEADERS = ("ID", "ACCOUNT", "ORDER", "PAIR", "SIDE", "OUTCOME", "TRIES", "AGE", "REASON")


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions that a dead letter must meet; None is no condition.

    Attributes:
        reason: Text that the reason contains, in any case.
        older_ms: Least age, counted from when the job was given up.
        newer_ms: Highest age.
    """

    account: str | None = None
    exchange: str | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    older_ms: int | None = None
    newer_ms: int | None = None

    @property
    def everything(self) -> bool:
        """Whether there is no condition."""
        return self == Selection()

    def matches(self, job: Job, *, now_ms: int) -> bool:
        """Return whether a dead letter meets all conditions."""
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
        """Name the dead letters that match."""
        named = (
            ("of account", self.account),
            ("of exchange", self.exchange),
            ("with outcome", self.outcome),
            ("whose reason contains", repr(self.reason) if self.reason else None),
            ("older than", _shown(self.older_ms)),
            ("newer than", _shown(self.newer_ms)),
        )
        conditions = [f"{words} {value}" for words, value in named if value is not None]
        return " ".join(["every dead letter", ", ".join(conditions)]).strip()


def select(
    *,
    account: OfAccountOption = None,
    exchange: OfExchangeOption = None,
    outcome: OutcomeOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
) -> Selection:
    """Return the selection that these options describe."""
    return Selection(account, exchange, outcome, reason, older_than, newer_than)


def with_selection(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter `selection` by the options of `select`."""

    @functools.wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401  whatever the options are
        options = {name: given.pop(name) for name in inspect.signature(select).parameters}
        command(selection=select(**options), **given)

    own = inspect.signature(command, eval_str=True)
    run.__signature__ = own.replace(parameters=[*_expanded(own)])  # type: ignore[attr-defined]
    return run


def _expanded(own: inspect.Signature) -> Iterator[inspect.Parameter]:
    for parameter in own.parameters.values():
        if parameter.name == "selection":
            yield from inspect.signature(select, eval_str=True).parameters.values()
        else:
            yield parameter


def check_choice(job_ids: list[str] | None, selection: Selection, *, every: bool) -> None:
    """Require either ids, or `--all` or a condition.

    Raises:
        CliError: Both are given, or neither.
    """
    if bool(job_ids) == (every or not selection.everything):
        raise CliError(
            "give ids of dead letters, or --all, or options that select some", code=MISUSED
        )


def age_of(job: Job, *, now_ms: int) -> int:
    """Return how long ago a job was given up, in ms."""
    return max(0, now_ms - (job.finished_ms or job.created_ms))


def described(job: Job, *, now_ms: int) -> dict[str, Any]:
    """Return a dead letter as JSON."""
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
                output.target(job),
                job.pair,
                job.side,
                job.outcome,
                job.attempts,
                output.duration(age_of(job, now_ms=now_ms)),
                job.detail,
            )
            for job in letters
        ],
        nothing="no dead letters",
    )


def _shown(age_ms: int | None) -> str | None:
    return None if age_ms is None else output.duration(age_ms)
