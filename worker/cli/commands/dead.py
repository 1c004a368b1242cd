"""`dead`: list, show, replay and discard dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import typer

from worker.cli import output, resources
from worker.cli.commands.dead_letters import (
    Selection,
    check_choice,
    described,
    print_letters,
    with_selection,
)
from worker.cli.commands.jobs import print_described
from worker.cli.errors import FAILED, MISUSED, CliError
from worker.cli.listings import every_dead, find_job
from worker.cli.options import (
    AllOption,
    DryRunOption,
    JobArgument,
    JobsArgument,
    JsonOption,
    LimitOption,
    YesOption,
)
from worker.cli.parameters import PlainCommand
from worker.errors import InvalidCommand
from worker.model.jobs import Job, Kind, State
from worker.model.text import one_line

if TYPE_CHECKING:
    from worker.store.listing import Listing

NOT_DEAD = "no dead letter has this id"
MALFORMED = "a malformed message cannot be replayed: have it sent again, or discard it"

app = typer.Typer(
    help="Dead letters: jobs that were given up, and malformed messages.",
    rich_markup_mode=None,
)

Report = dict[str, object]


@app.command("list", cls=PlainCommand)
@with_selection
def list_letters(
    *, selection: Selection, limit: LimitOption = 50, as_json: JsonOption = False
) -> None:
    """List the dead letters, latest first."""
    listing = resources.open_listing()
    now_ms = listing.now_ms()
    matching = _matching(listing, selection, now_ms)
    listed = list(islice(matching, limit))
    print_letters(listed, now_ms=now_ms, as_json=as_json)
    # With a condition, all must be read to be counted.
    everything = selection.everything
    count = listing.dead_count() if everything else len(listed) + sum(1 for _ in matching)
    if count > len(listed):
        output.note(f"these are {len(listed)} of {count}; see more with --limit")


@app.command("show", cls=PlainCommand)
def show_letter(job_id: JobArgument, as_json: JsonOption = False) -> None:
    """Show one dead letter and all its attempts."""
    listing = resources.open_listing()
    job = _letter(find_job(listing, job_id), job_id)
    print_described(described(job, now_ms=listing.now_ms()), as_json=as_json)


@app.command("replay", cls=PlainCommand)
@with_selection
def replay(
    *,
    job_ids: JobsArgument = None,
    every: AllOption = False,
    selection: Selection,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Queue the commands of dead letters again.

    Each becomes a new job that names the old one.
    """
    check_choice(job_ids, selection, every=every)
    producer = resources.open_producer()

    def act(job: Job) -> Report:
        if job.kind is Kind.MALFORMED:
            raise InvalidCommand(MALFORMED)
        if dry_run:
            producer.check_replay(job)
            return {"done": "would be replayed", "job": None}
        ticket = producer.replay(job.id)
        done = "replayed" if ticket.fresh else "joined to a pending job"
        return {"done": done, "job": ticket.id}

    _for_each(_chosen(job_ids, selection), act, as_json=as_json)


@app.command("discard", cls=PlainCommand)
@with_selection
def discard(
    *,
    job_ids: JobsArgument = None,
    every: AllOption = False,
    selection: Selection,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete dead letters. Their orders may still be open."""
    check_choice(job_ids, selection, every=every)
    if not (yes or dry_run):
        named = ", ".join(job_ids) if job_ids else str(selection)
        raise CliError(
            f"this would delete {named}, whose orders may still be open; add --yes to do it",
            code=MISUSED,
        )
    ledger = resources.open_ledger()

    def act(job: Job) -> Report:
        if dry_run:
            return {"done": "would be discarded"}
        ledger.discard(job.id)
        return {"done": "discarded"}

    _for_each(_chosen(job_ids, selection), act, as_json=as_json)


def _chosen(job_ids: Sequence[str] | None, selection: Selection) -> list[tuple[str, Job | None]]:
    listing = resources.open_listing()
    if not job_ids:
        return [(job.id, job) for job in _matching(listing, selection, listing.now_ms())]
    found = [(each, find_job(listing, each)) for each in dict.fromkeys(job_ids)]
    return [(job.id if job else each, job) for each, job in found]


def _matching(listing: Listing, selection: Selection, now_ms: int) -> Iterator[Job]:
    seen: set[str] = set()  # a new dead letter shifts the pages
    for job in every_dead(listing):
        if job.id not in seen and selection.matches(job, now_ms=now_ms):
            seen.add(job.id)
            yield job


def _for_each(
    chosen: Sequence[tuple[str, Job | None]], act: Callable[[Job], Report], *, as_json: bool
) -> None:
    """Act on each dead letter and report; continue after a failure.

    Raises:
        Exit: With code 1, if one failed.
    """
    reports: list[Report] = []
    for job_id, found in chosen:
        report: Report = {"id": job_id, "ok": True}
        try:
            job = _letter(found, job_id)
            report |= {"account": job.account or None, "order_id": job.order_id} | act(job)
        except (InvalidCommand, CliError) as error:
            report |= {"ok": False, "error": str(error)}
            output.note(f"{job_id[:60]}: {error}")
        reports.append(report)
    if not chosen:
        output.note("no dead letter matches")
    if as_json:
        output.document({"letters": reports})
    else:
        for (job_id, found), report in zip(chosen, reports, strict=True):
            if report["ok"] and found is not None:
                new = f" as {report['job']}" if report.get("job") else ""
                named = f"{found.account} {output.target(found)}".strip() or found.kind.value
                output.say(one_line(f"{job_id} {report['done']}{new} ({named})"))
    if not all(report["ok"] for report in reports):
        raise typer.Exit(FAILED)


def _letter(job: Job | None, job_id: str) -> Job:
    # Never discard a job that is not dead.
    if job is None or job.state is not State.DEAD:
        raise CliError(f"{NOT_DEAD}: {job_id[:60]!r}" if job is None else NOT_DEAD)
    return job
