"""`cancel --direct` and `cancel-all --direct`: send from this process, without workers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from worker.cli import output, resources
from worker.cli.errors import FAILED, INTERRUPTED, CliError
from worker.model.jobs import Job, State

if TYPE_CHECKING:
    from worker.direct.runner import DirectRun
    from worker.exchanges.base import Exchange
    from worker.model.jobs import NewJob

WAIT_S = 30.0
WITH_REDIS = (
    "sent from this process: Redis answers, so limits and nonces are shared with the workers; "
    "nothing is queued, and no worker retries what is not proven"
)
WITHOUT_REDIS = (
    "sent from this process without Redis ({why}): limits and nonces are its own. "
    "Running workers do not know of its requests: together they may exceed the exchange's "
    "limit, and their nonces may be refused until they have caught up"
)


def cancel_direct(
    account: str,
    order_ids: Sequence[str],
    *,
    client_order_ids: Sequence[str],
    pair: str | None,
    side: str | None,
    wait_s: float | None,
    as_json: bool,
) -> None:
    """Cancel orders from this process and print what is proven."""
    from worker.client.commands import cancels  # noqa: PLC0415  slow

    unique = list(dict.fromkeys(order_ids))
    by_client = list(dict.fromkeys(client_order_ids))
    jobs = cancels(
        _exchange(account), account, unique, client_order_ids=by_client, pair=pair, side=side
    )
    _run(account, jobs, wait_s=wait_s, as_json=as_json)


def cancel_all_direct(
    account: str,
    *,
    pair: str | None,
    side: str | None,
    client_id_prefix: str | None,
    stops: str,
    wait_s: float | None,
    as_json: bool,
) -> None:
    """Cancel the open orders of a scope from this process and print what is proven."""
    from worker.client.commands import cancel_of_all  # noqa: PLC0415  slow

    job = cancel_of_all(
        _exchange(account),
        account,
        pair=pair,
        side=side,
        client_id_prefix=client_id_prefix,
        stops=stops,
    )
    _run(account, [job], wait_s=wait_s, as_json=as_json)


def _exchange(account: str) -> Exchange:
    return resources.open_settings().account(account).adapter


def _run(account: str, jobs: Sequence[NewJob], *, wait_s: float | None, as_json: bool) -> None:
    from worker.factory import build_direct  # noqa: PLC0415  slow

    # The table shows everything; log lines would break it.
    logging.getLogger("worker").addHandler(logging.NullHandler())
    within_s = WAIT_S if wait_s is None else wait_s
    direct = build_direct(resources.open_settings())
    try:
        run = direct.run(jobs, timeout_ms=round(within_s * 1_000))
    except KeyboardInterrupt:
        raise CliError(
            "interrupted: orders may have been canceled; no worker retries the others",
            code=INTERRUPTED,
        ) from None
    _print(account, run, asked=len(jobs), as_json=as_json)
    output.note(WITHOUT_REDIS.format(why=run.alone) if run.alone else WITH_REDIS)
    unproven = [job for job in run.jobs[: len(jobs)] if not _proven(job)]
    if unproven:
        why, then = f"not proven within {within_s:g} s", "run this again"
        if run.refused:
            why = "not proven, as the exchange refuses this account's credentials"
            then = "correct them and run this again"
        output.note(
            f"{len(unproven)} of {len(jobs)} {why}; no worker retries them, "
            f"and their orders may still be open; {then}"
        )
        raise typer.Exit(FAILED)


def _print(account: str, run: DirectRun, *, asked: int, as_json: bool) -> None:
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
                job.order or "all",
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
        "client_order_id": job.client_order_id,
        "pair": job.pair,
        "side": job.side,
        "proven": _proven(job),
        "outcome": job.outcome,
        "attempts": job.attempts,
        "latency_ms": _latency_ms(job),
        "detail": job.detail,
        "history": list(job.history),
    }
