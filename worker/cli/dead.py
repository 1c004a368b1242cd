"""`dead`: the jobs that were given up, and what to do with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import typer

from worker.cli import output, parts
from worker.cli.errors import FAILED, MISUSED, CliError
from worker.cli.jobs import every_dead, print_job, print_jobs, target
from worker.cli.options import (
    AllOption,
    DryRunOption,
    JobArgument,
    JobsArgument,
    JsonOption,
    LimitOption,
    YesOption,
)
from worker.errors import InvalidCommand
from worker.jobs import Job, Kind, State

NOT_DEAD = "no dead letter has this id"
MALFORMED = "a malformed message cannot be replayed: have it sent anew, or discard it"

app = typer.Typer(
    help="The dead letters: jobs that were given up, and messages that were none.",
    rich_markup_mode=None,
)

Fate = dict[str, object]


@app.command("list")
def list_letters(limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """List the dead letters, latest first."""
    ledger = parts.open_ledger()
    listed = ledger.dead(limit=limit)
    print_jobs(ledger, listed, as_json=as_json)
    if (count := ledger.dead_count()) > len(listed):
        output.note(f"these are {len(listed)} of {count}; see more with --limit")


@app.command("show")
def show_letter(job_id: JobArgument, as_json: JsonOption = False) -> None:
    """Show one dead letter and every attempt made for it."""
    print_job(_letter(parts.open_ledger().get(job_id), job_id), as_json=as_json)


@app.command("replay")
def replay(
    job_ids: JobsArgument = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Queue the commands of dead letters again, each as a new job that names its parent."""
    producer = parts.open_producer()

    def act(job: Job) -> Fate:
        if job.kind is Kind.MALFORMED:
            raise InvalidCommand(MALFORMED)
        if dry_run:
            return {"done": "would be replayed", "job": None}
        ticket = producer.replay(job.id)
        done = "replayed" if ticket.fresh else "joined to a pending job"
        return {"done": done, "job": ticket.id}

    _each(_chosen(job_ids, every=every), act, as_json=as_json)


@app.command("discard")
def discard(
    job_ids: JobsArgument = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Forget dead letters. Their orders may still be open."""
    _check_choice(job_ids, every=every)
    if not (yes or dry_run):
        named = "every dead letter" if every else ", ".join(job_ids or ())
        raise CliError(
            f"this would forget {named}, whose orders may still be open; add --yes to do it",
            code=MISUSED,
        )
    ledger = parts.open_ledger()

    def act(job: Job) -> Fate:
        if dry_run:
            return {"done": "would be discarded"}
        ledger.discard(job.id)
        return {"done": "discarded"}

    _each(_chosen(job_ids, every=every), act, as_json=as_json)


def _chosen(job_ids: Sequence[str] | None, *, every: bool) -> list[tuple[str, Job | None]]:
    _check_choice(job_ids, every=every)
    ledger = parts.open_ledger()
    if every:
        return [(job.id, job) for job in every_dead(ledger)]
    ids = list(dict.fromkeys(job_ids or ()))
    return list(zip(ids, ledger.many(ids), strict=True))


def _check_choice(job_ids: Sequence[str] | None, *, every: bool) -> None:
    if bool(job_ids) == every:
        raise CliError("name ids of dead letters, or give --all", code=MISUSED)


def _each(
    chosen: Sequence[tuple[str, Job | None]], act: Callable[[Job], Fate], *, as_json: bool
) -> None:
    """Do it to each; what cannot be done to one does not keep it from the others."""
    fates: list[Fate] = []
    for job_id, found in chosen:
        fate: Fate = {"id": job_id, "ok": True}
        try:
            job = _letter(found, job_id)
            fate |= {"account": job.account or None, "order_id": job.order_id} | act(job)
        except (InvalidCommand, CliError) as error:
            fate |= {"ok": False, "error": str(error)}
            output.note(f"{job_id[:60]}: {error}")
        fates.append(fate)
    if as_json:
        output.document({"letters": fates})
    else:
        for (job_id, found), fate in zip(chosen, fates, strict=True):
            if fate["ok"] and found is not None:
                rest = f" as {fate['job']}" if fate.get("job") else ""
                named = f"{found.account} {target(found)}".strip()
                output.say(output.one_line(f"{job_id} {fate['done']}{rest} ({named})"))
    if not all(fate["ok"] for fate in fates):
        raise typer.Exit(FAILED)


def _letter(job: Job | None, job_id: str) -> Job:
    # A job that is not dead must never be discarded from here.
    if job is None or job.state is not State.DEAD:
        raise CliError(f"{NOT_DEAD}: {job_id[:60]!r}" if job is None else NOT_DEAD)
    return job
