"""`cancel --direct` and `cancel-all --direct`: sent from here, without the workers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from worker.cli import output, parts
from worker.cli.errors import FAILED, CliError
from worker.model.jobs import Job, State

if TYPE_CHECKING:
    from worker.direct.runner import DirectRun
    from worker.exchanges.base import Exchange
    from worker.model.jobs import NewJob

WAIT_S = 30.0
TOGETHER = (
    "sent from here: Redis answers, so limits and nonces are shared with the workers; "
    "nothing is queued, and nobody goes on with what is not proven"
)
ALONE = (
    "sent from here without Redis ({why}): limits and nonces are this process's own. "
    "Workers that still run do not know of them: together they may send more than the exchange "
    "allows, and their nonces, left behind, mend themselves"
)


def cancel_direct(
    account: str,
    order_ids: Sequence[str],
    *,
    pair: str | None,
    side: str | None,
    wait_s: float | None,
    as_json: bool,
) -> None:
    """Take orders off the book from this process, and tell what is proven."""
    from worker.client.commands import cancels  # noqa: PLC0415  slow

    unique = list(dict.fromkeys(order_ids))
    jobs = cancels(_exchange(account), account, unique, pair=pair, side=side)
    _run(account, jobs, wait_s=wait_s, as_json=as_json)


def cancel_all_direct(
    account: str, *, pair: str | None, side: str | None, wait_s: float | None, as_json: bool
) -> None:
    """Take a scope's open orders off the book from this process."""
    from worker.client.commands import cancel_of_all  # noqa: PLC0415  slow

    job = cancel_of_all(_exchange(account), account, pair=pair, side=side)
    _run(account, [job], wait_s=wait_s, as_json=as_json)


def _exchange(account: str) -> Exchange:
    return parts.open_settings().account(account).adapter


def _run(account: str, jobs: Sequence[NewJob], *, wait_s: float | None, as_json: bool) -> None:
    from worker.factory import build_direct  # noqa: PLC0415  slow

    # What there is to say is in the table; a line of the log between would break it.
    logging.getLogger("worker").addHandler(logging.NullHandler())
    within_s = WAIT_S if wait_s is None else wait_s
    direct = build_direct(parts.open_settings())
    try:
        run = direct.run(jobs, timeout_ms=round(within_s * 1_000))
    except KeyboardInterrupt:
        raise CliError(
            "interrupted: what was sent may have been done, and nobody goes on with the rest"
        ) from None
    _tell(account, run, asked=len(jobs), as_json=as_json)
    output.note(ALONE.format(why=run.alone) if run.alone else TOGETHER)
    unproven = [job for job in run.jobs[: len(jobs)] if not _proven(job)]
    if unproven:
        why, then = f"not proven within {within_s:g} s", "run this again"
        if run.refused:
            why = "not proven, as the exchange refuses this account's credentials"
            then = "correct them and run this again"
        output.note(
            f"{len(unproven)} of {len(jobs)} {why}, and nobody goes on "
            f"with them: their orders may still be open; {then}"
        )
        raise typer.Exit(FAILED)


def _tell(account: str, run: DirectRun, *, asked: int, as_json: bool) -> None:
    if as_json:
        proven = all(_proven(job) for job in run.jobs[:asked])
        output.document(
            {
                "account": account,
                "direct": True,
                "shared_with_workers": not run.alone,
                "proven": proven,
                "jobs": [_described(job) for job in run.jobs],
            }
        )
        return
    output.table(
        ("ORDER", "PROVEN", "OUTCOME", "TRIES", "TOOK", "KNOWN"),
        [
            (
                job.order_id or "all",
                _proven(job),
                job.outcome,
                job.attempts,
                output.duration(_latency_ms(job)),
                job.detail,
            )
            for job in run.jobs
        ],
    )


def _proven(job: Job) -> bool:
    return job.state is State.DONE and job.outcome is not None and job.outcome.proven


def _latency_ms(job: Job) -> int | None:
    return None if job.finished_ms is None else job.finished_ms - job.created_ms


def _described(job: Job) -> dict[str, Any]:
    return {
        "order_id": job.order_id,
        "pair": job.pair,
        "side": job.side,
        "proven": _proven(job),
        "outcome": job.outcome,
        "attempts": job.attempts,
        "latency_ms": _latency_ms(job),
        "detail": job.detail,
        "history": list(job.history),
    }
