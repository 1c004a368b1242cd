"""What strategies ask of the ledger, as procedures; see `Ledger`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from worker.model.jobs import Job, NewJob
from worker.model.names import exchange_name
from worker.model.settlements import Accepted
from worker.store.steps import Key, Steps, ask, fields_of, run

CHUNK = 500
"""Jobs of one call at most, so that Redis serves others in between."""


def accepting(
    jobs: Sequence[NewJob],
    bells: Iterable[tuple[str, str]] = (),
    *,
    follows: bool = False,
) -> Steps[list[Accepted]]:
    """Record jobs as due now, and ring once if any is fresh; in the order given.

    A job whose order is pending already is that job. What `follows` from accepted
    work, or takes the place of a message that lies in Redis, is recorded also by a
    Redis at `maxmemory`.
    """
    rung = [part for bell in bells for part in bell]
    accepted: list[Accepted] = []
    remaining = iter(jobs)
    while chunk := list(islice(remaining, CHUNK)):
        parts: list[str | int] = []
        for job in chunk:
            parts += (
                job.id,
                job.lane,
                job.kind,
                job.order_id,
                job.pair,
                job.side,
                job.parent,
                int(job.urgent),
                job.client_order_id,
                job.client_id_prefix,
                int(job.stop),
                job.stops,
                job.hold_ms,
            )
        answer = yield run(
            "accept",
            int(follows),
            len(rung) // 2,
            *rung,
            *parts,
            promised=True,
        )
        added = [Accepted(id=answer[i], fresh=answer[i + 1] == 1) for i in range(0, len(answer), 2)]
        if any(each.fresh for each in added):
            rung = []
        accepted += added
    return accepted


def retiring(job_id: str, *, keep_ms: int) -> Steps[bool]:
    """Take a replayed dead letter off their list; return whether it was on it.

    Its record stays for `keep_ms`, so that the new job's parent can be seen.
    """
    return bool((yield run("discard", job_id, keep_ms)))


def ending_hold(job_id: str) -> Steps[bool]:
    """End the hold of a pending cancel-all; return whether it had one.

    The job ends once its scope is listed as empty.
    """
    return bool((yield run("end_hold", job_id)))


def reading_time() -> Steps[int]:
    """Return shared time, Unix ms."""
    return int((yield run("time"))[0])


def reading_job(job_id: str) -> Steps[Job | None]:
    """Return a job, or None if there is none or it has been forgotten."""
    (job,) = yield from reading_jobs([job_id])
    return job


def reading_jobs(job_ids: Sequence[str]) -> Steps[list[Job | None]]:
    """Return jobs by id, in order; None for what is unknown or forgotten."""
    found: list[Job | None] = []
    for start in range(0, len(job_ids), CHUNK):
        part = job_ids[start : start + CHUNK]
        answers = yield ask(*(("HGETALL", Key(f"job:{job_id}")) for job_id in part))
        found += [Job.read(fields_of(fields)) if fields else None for fields in answers]
    return found


def reading_made(parent: str) -> Steps[list[Job]]:
    """Return the jobs that a cancel-all or a tripped switch has made, oldest first."""
    (ids,) = yield ask(("ZRANGE", Key(f"job:{parent}:made"), 0, -1))
    found = yield from reading_jobs([str(each) for each in ids])
    return [job for job in found if job is not None]


def reading_accounts() -> Steps[dict[str, str]]:
    """Return the exchange of each account that workers have registered, by alias.

    Several, separated by commas, where workers of several have an account of that alias.
    """
    (fields,) = yield ask(("HGETALL", Key("accounts")))
    return {alias: exchange_name(written) for alias, written in fields_of(fields).items()}


def reading_states(job_ids: Sequence[str]) -> Steps[list[str | None]]:
    """Return the states of jobs by id, in order; None for what is unknown or forgotten."""
    answers: list[str | None] = yield ask(
        *(("HGET", Key(f"job:{job_id}"), "state") for job_id in job_ids)
    )
    return answers
