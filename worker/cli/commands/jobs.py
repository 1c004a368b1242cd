"""`jobs` and `show`: jobs and their attempts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, resources
from worker.cli.errors import CliError
from worker.cli.listings import JOBS_PAGE, every_dead
from worker.cli.options import JobArgument, JsonOption, LimitOption, OfAccountOption
from worker.model.jobs import Job, State

if TYPE_CHECKING:
    from worker.store.listing import Listing

HEADERS = ("ID", "STATE", "ACCOUNT", "ORDER", "PAIR", "SIDE", "OUTCOME", "TRIES", "AGE", "KNOWN")


def jobs(
    state: Annotated[
        State | None, typer.Option("--state", help="Only in this state.", show_default=False)
    ] = None,
    account: OfAccountOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List jobs: the pending of each account, first due first, then the ended, latest first."""
    listing = resources.open_listing()
    found = _select(listing, state, account or "", reach=limit + 1)
    listed = list(islice(found, limit + 1))
    print_jobs(listing, listed[:limit], as_json=as_json)
    if len(listed) > limit:
        output.note(f"these are the first {limit}; see more with --limit")


def show(job_id: JobArgument, as_json: JsonOption = False) -> None:
    """Show one job and all its attempts."""
    job = resources.open_listing().get(job_id)
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
    )


def print_described(described: dict[str, Any], *, as_json: bool) -> None:
    """Print all fields of a job, and its attempts."""
    if as_json:
        output.document(described)
        return
    history = described.pop("history")
    rows = [(name, _cell(name, value)) for name, value in described.items()]
    for line in output.columns(rows):
        output.say(line)
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


def _select(listing: Listing, state: State | None, account: str, *, reach: int) -> Iterator[Job]:
    seen: set[str] = set()
    for job in _candidates(listing, state, account, reach):
        matches = state in (None, job.state) and account in ("", job.account)
        if matches and job.id not in seen:  # a job that ends is read twice
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
