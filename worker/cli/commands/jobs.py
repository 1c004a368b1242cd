"""`jobs` and `show`: jobs and their attempts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, resources
from worker.cli.completion import switch_ids
from worker.cli.errors import CliError
from worker.cli.listings import JOBS_PAGE, every_dead, find_job, find_switch
from worker.cli.options import (
    JobArgument,
    JsonOption,
    LimitOption,
    OfAccountOption,
    OfExchangeOption,
    OutcomeOption,
    with_unit,
)
from worker.model.jobs import Job, State
from worker.model.outcomes import Outcome

if TYPE_CHECKING:
    from worker.store.listing import Listing

HEADERS = ("ID", "STATE", "ACCOUNT", "ORDER", "PAIR", "SIDE", "OUTCOME", "TRIES", "AGE", "KNOWN")


REACH_MAX = 20_000
"""Most pending jobs of which some are selected."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Conditions that a job must meet; None is no condition.

    Attributes:
        order: Id of its order, the exchange's or the client's.
        since_ms: Earliest acceptance, Unix ms.
        switch: Id of the switch that made it, or the cancel-all that did; empty for any.
    """

    state: State | None = None
    account: str | None = None
    exchange: str | None = None
    order: str | None = None
    outcome: Outcome | None = None
    since_ms: int | None = None
    switch: str = ""

    @property
    def narrow(self) -> bool:
        """Whether it takes more than a state and an account."""
        return self != Wanted(state=self.state, account=self.account)

    def matches(self, job: Job) -> bool:
        """Return whether a job meets all conditions."""
        return (
            self.state in (None, job.state)
            and self.account in (None, job.account)
            and self.exchange in (None, job.exchange)
            and self.order in (None, job.order_id, job.client_order_id)
            and self.outcome in (None, job.outcome)
            and (self.since_ms is None or job.created_ms >= self.since_ms)
            and (not self.switch or (job.parent or "").partition(".")[0] == self.switch)
        )


def jobs(
    *,
    state: Annotated[
        State | None, typer.Option("--state", help="Only in this state.", show_default=False)
    ] = None,
    account: OfAccountOption = None,
    exchange: OfExchangeOption = None,
    order: Annotated[
        str | None,
        typer.Option("--order", metavar="ID", help="Only of this order.", show_default=False),
    ] = None,
    outcome: OutcomeOption = None,
    newer_than: Annotated[
        int | None,
        typer.Option(
            "--newer-than",
            metavar="AGE",
            help="Only if accepted within this time, such as 90s or 2h.",
            parser=with_unit,
            show_default=False,
        ),
    ] = None,
    switch: Annotated[
        str | None,
        typer.Option(
            "--switch",
            metavar="SWITCH",
            help="Only those that this switch made when it tripped.",
            autocompletion=switch_ids,
            show_default=False,
        ),
    ] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List jobs: pending ones first, ended ones last.

    Of the pending of an account the first due comes first, of the ended the latest.
    """
    listing = resources.open_listing()
    switch_id = find_switch(resources.open_switches(), switch) if switch else ""
    wanted = Wanted(
        state=state,
        account=account,
        exchange=exchange,
        order=order,
        outcome=outcome,
        since_ms=None if newer_than is None else listing.now_ms() - newer_than,
        switch=switch_id,
    )
    found = _select(listing, wanted, reach=limit + 1)
    listed = list(islice(found, limit + 1))
    print_jobs(listing, listed[:limit], as_json=as_json)
    if len(listed) > limit:
        output.note(f"these are the first {limit}; see more with --limit")


def show(job_id: JobArgument, as_json: JsonOption = False) -> None:
    """Show one job and all its attempts."""
    job = find_job(resources.open_listing(), job_id)
    if job is None:
        raise CliError(f"no job has the id {job_id[:60]!r}, or its record has expired")
    print_described(job.describe(), as_json=as_json)


def print_jobs(listing: Listing, listed: list[Job], *, as_json: bool) -> None:
    """Print a list of jobs."""
    if as_json:
        output.document({"jobs": [job.describe() for job in listed]})
        return
    now_ms = listing.now_ms()
    output.table(
        HEADERS,
        [
            (
                job.id,
                job.state,
                job.account,
                output.target(job),
                job.pair,
                job.side,
                job.outcome,
                job.attempts,
                output.duration(now_ms - job.created_ms),
                job.detail,
            )
            for job in listed
        ],
        nothing="no jobs",
    )


def print_described(described: dict[str, Any], *, as_json: bool) -> None:
    """Print the fields of a job that have a value, and its attempts."""
    if as_json:
        output.document(described)
        return
    history = described.pop("history")
    cells = [(name.removesuffix("_ms"), _cell(name, it)) for name, it in described.items()]
    output.facts([(name, cell) for name, cell in cells if cell != output.EMPTY])
    if history:
        output.say("")
        headers = ("TRY", "AT", "BY", "OUTCOME", "KNOWN")
        names = ("n", "by", "outcome", "detail")
        output.table(
            headers,
            [
                (n, output.moment(line.get("at_ms")), *others)
                for line in history
                for n, *others in [[line.get(name) for name in names]]
            ],
        )


def _cell(name: str, value: Any) -> str:  # noqa: ANN401  any JSON value
    if isinstance(value, dict):
        return output.shown(f"{value.get('outcome', '')}: {value.get('detail', '')}")
    if name == "age_ms":
        return output.duration(value)
    return output.moment(value) if name.endswith("_ms") else output.shown(value)


def _select(listing: Listing, wanted: Wanted, *, reach: int) -> Iterator[Job]:
    seen: set[str] = set()
    reach = REACH_MAX if wanted.narrow else reach
    for job in _candidates(listing, wanted.state, wanted.account or "", reach):
        if wanted.matches(job) and job.id not in seen:  # a job that ends is read twice
            seen.add(job.id)
            yield job


def _candidates(listing: Listing, state: State | None, account: str, reach: int) -> Iterator[Job]:
    if state in (None, State.PENDING):
        yield from listing.pending(limit=reach, account=account)
    if state is State.DEAD:
        yield from every_dead(listing)
    if state in (None, State.DONE):
        yield from _ended(listing)


def _ended(listing: Listing) -> Iterator[Job]:
    from worker.store.listing import RECENT  # noqa: PLC0415  slow

    for skip in range(0, RECENT, JOBS_PAGE):
        yield from listing.recent(limit=JOBS_PAGE, skip=skip)
