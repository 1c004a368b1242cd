"""`jobs` and `show`: what was asked, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, parts
from worker.cli.errors import CliError
from worker.cli.options import JobArgument, JsonOption, LimitOption, OfAccountOption
from worker.model.jobs import Job, State

if TYPE_CHECKING:
    from worker.store.listing import Listing

PAGE = 500
HEADERS = ("ID", "STATE", "ACCOUNT", "ORDER", "PAIR", "SIDE", "OUTCOME", "TRIES", "AGE", "KNOWN")


def jobs(
    state: Annotated[
        State | None, typer.Option("--state", help="Only jobs that stand so.", show_default=False)
    ] = None,
    account: OfAccountOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List jobs: the pending of each account, first due first, then the ended, latest first."""
    ledger = parts.open_ledger()
    found = _select(ledger, state, account or "", reach=limit + 1)
    listed = list(islice(found, limit + 1))
    print_jobs(ledger, listed[:limit], as_json=as_json)
    if len(listed) > limit:
        output.note(f"these are the first {limit}; see more with --limit")


def show(job_id: JobArgument, as_json: JsonOption = False) -> None:
    """Show one job and every attempt made for it."""
    job = parts.open_ledger().get(job_id)
    if job is None:
        raise CliError(f"no job has the id {job_id[:60]!r}, or it has been forgotten")
    print_described(job.describe(), as_json=as_json)


def print_jobs(ledger: Listing, listed: list[Job], *, as_json: bool) -> None:
    """Print a list of jobs."""
    if as_json:
        output.document({"jobs": [job.describe() for job in listed]})
        return
    now_ms = ledger.now_ms()
    output.table(
        HEADERS,
        [
            (
                job.id,
                job.state,
                job.account,
                target(job),
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
    """Print all that is known of a job."""
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
                (n, output.moment(line.get("at_ms")), *rest)
                for line in history
                for n, *rest in [[line.get(name) for name in names]]
            ],
        )


def _cell(name: str, value: Any) -> str:  # noqa: ANN401  whatever JSON can be
    if isinstance(value, dict):
        return output.shown(f"{value.get('outcome', '')}: {value.get('detail', '')}")
    if name == "age_ms":
        return output.duration(value)
    return output.moment(value) if name.endswith("_ms") else output.shown(value)


def every_dead(ledger: Listing) -> Iterator[Job]:
    """Yield the dead letters, latest first."""
    for skip in range(0, ledger.dead_count(), PAGE):
        yield from ledger.dead(limit=PAGE, skip=skip)


def target(job: Job) -> str:
    """Return what a job takes down."""
    return job.order_id or ("all" if job.account else "")


def _select(ledger: Listing, state: State | None, account: str, *, reach: int) -> Iterator[Job]:
    seen: set[str] = set()
    for job in _candidates(ledger, state, account, reach):
        wanted = state in (None, job.state) and account in ("", job.account)
        if wanted and job.id not in seen:  # one may end while this reads
            seen.add(job.id)
            yield job


def _candidates(ledger: Listing, state: State | None, account: str, reach: int) -> Iterator[Job]:
    if state in (None, State.PENDING):
        yield from ledger.pending(limit=reach, account=account)
    if state is State.DEAD:
        yield from every_dead(ledger)
    if state in (None, State.DONE):
        yield from _ended(ledger)


def _ended(ledger: Listing) -> Iterator[Job]:
    from worker.store.listing import RECENT  # noqa: PLC0415  slow

    for skip in range(0, RECENT, PAGE):
        yield from ledger.recent(limit=PAGE, skip=skip)
