"""`dead`: the jobs that were given up, and what to do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import typer

from worker.cli import output, parts
from worker.cli.commands.jobs import every_dead, print_described, target
from worker.cli.errors import FAILED, MISUSED, CliError
from worker.cli.letters import Wanted, check_choice, described, print_letters, read_age
from worker.cli.options import (
    AllOption,
    DryRunOption,
    JobArgument,
    JobsArgument,
    JsonOption,
    LimitOption,
    NewerOption,
    OfAccountOption,
    OfExchangeOption,
    OlderOption,
    OutcomeOption,
    ReasonOption,
    YesOption,
)
from worker.errors import InvalidCommand
from worker.model.jobs import Job, Kind, State

if TYPE_CHECKING:
    from worker.store.listing import Listing

NOT_DEAD = "no dead letter has this id"
MALFORMED = "a malformed message cannot be replayed: have it sent anew, or discard it"

app = typer.Typer(
    help="The dead letters: jobs that were given up, and messages that were none.",
    rich_markup_mode=None,
)

Fate = dict[str, object]


@app.command("list")
def list_letters(
    *,
    account: OfAccountOption = None,
    exchange: OfExchangeOption = None,
    outcome: OutcomeOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List the dead letters, latest first."""
    ledger = parts.open_ledger()
    wanted = Wanted(account, exchange, outcome, reason, read_age(older_than), read_age(newer_than))
    now_ms = ledger.now_ms()
    meant = _meant(ledger, wanted, now_ms)
    listed = list(islice(meant, limit))
    print_letters(listed, now_ms=now_ms, as_json=as_json)
    # Only with a filter must all of them be read to be counted.
    count = ledger.dead_count() if wanted.any else len(listed) + sum(1 for _ in meant)
    if count > len(listed):
        output.note(f"these are {len(listed)} of {count}; see more with --limit")


@app.command("show")
def show_letter(job_id: JobArgument, as_json: JsonOption = False) -> None:
    """Show one dead letter and every attempt made for it."""
    ledger = parts.open_ledger()
    job = _letter(ledger.get(job_id), job_id)
    print_described(described(job, now_ms=ledger.now_ms()), as_json=as_json)


@app.command("replay")
def replay(
    *,
    job_ids: JobsArgument = None,
    every: AllOption = False,
    account: OfAccountOption = None,
    exchange: OfExchangeOption = None,
    outcome: OutcomeOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Queue the commands of dead letters again, each as a new job that names its parent."""
    wanted = Wanted(account, exchange, outcome, reason, read_age(older_than), read_age(newer_than))
    check_choice(job_ids, wanted, every=every)
    producer = parts.open_producer()

    def act(job: Job) -> Fate:
        if job.kind is Kind.MALFORMED:
            raise InvalidCommand(MALFORMED)
        if dry_run:
            producer.check_replay(job)
            return {"done": "would be replayed", "job": None}
        ticket = producer.replay(job.id)
        done = "replayed" if ticket.fresh else "joined to a pending job"
        return {"done": done, "job": ticket.id}

    _each(_chosen(job_ids, wanted), act, as_json=as_json)


@app.command("discard")
def discard(
    *,
    job_ids: JobsArgument = None,
    every: AllOption = False,
    account: OfAccountOption = None,
    exchange: OfExchangeOption = None,
    outcome: OutcomeOption = None,
    reason: ReasonOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Forget dead letters. Their orders may still be open."""
    wanted = Wanted(account, exchange, outcome, reason, read_age(older_than), read_age(newer_than))
    check_choice(job_ids, wanted, every=every)
    if not (yes or dry_run):
        named = ", ".join(job_ids) if job_ids else str(wanted)
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

    _each(_chosen(job_ids, wanted), act, as_json=as_json)


def _chosen(job_ids: Sequence[str] | None, wanted: Wanted) -> list[tuple[str, Job | None]]:
    ledger = parts.open_ledger()
    if not job_ids:
        return [(job.id, job) for job in _meant(ledger, wanted, ledger.now_ms())]
    ids = list(dict.fromkeys(job_ids))
    return list(zip(ids, ledger.many(ids), strict=True))


def _meant(ledger: Listing, wanted: Wanted, now_ms: int) -> Iterator[Job]:
    seen: set[str] = set()  # one that comes while this reads moves the others on
    for job in every_dead(ledger):
        if job.id not in seen and wanted.means(job, now_ms=now_ms):
            seen.add(job.id)
            yield job


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
    if not chosen:
        output.note("no dead letter is meant by that")
    if as_json:
        output.document({"letters": fates})
    else:
        for (job_id, found), fate in zip(chosen, fates, strict=True):
            if fate["ok"] and found is not None:
                rest = f" as {fate['job']}" if fate.get("job") else ""
                named = f"{found.account} {target(found)}".strip() or found.kind.value
                output.say(output.one_line(f"{job_id} {fate['done']}{rest} ({named})"))
    if not all(fate["ok"] for fate in fates):
        raise typer.Exit(FAILED)


def _letter(job: Job | None, job_id: str) -> Job:
    # A job that is not dead must never be discarded from here.
    if job is None or job.state is not State.DEAD:
        raise CliError(f"{NOT_DEAD}: {job_id[:60]!r}" if job is None else NOT_DEAD)
    return job
