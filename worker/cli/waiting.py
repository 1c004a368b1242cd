"""Waiting for many jobs at once, with one deadline."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from worker import clock
from worker.errors import StoreUnavailable
from worker.model.jobs import State
from worker.model.outcomes import Outcome

if TYPE_CHECKING:
    from worker.client.ticket import Result
    from worker.store.listing import Listing

POLL_FIRST_MS = 2.0
POLL_MAX_MS = 100.0
WINDOW = 500
"""Jobs asked after at once: all must end, so the first unended ones tell enough."""

Progress = Callable[[int], None]


def wait_for(
    ledger: Listing, job_ids: Sequence[str], *, timeout_ms: float, progress: Progress
) -> dict[str, Result]:
    """Wait until all jobs have ended, at most `timeout_ms`.

    Redis may be away meanwhile; what it cannot tell at the end is unknown.

    Args:
        ledger: Where the jobs are.
        job_ids: The jobs.
        timeout_ms: Deadline for all of them together.
        progress: Called with how many have ended.

    Returns:
        How each job stands then.
    """
    from worker.client.ticket import read_result  # noqa: PLC0415  slow

    until = clock.monotonic_ms() + timeout_ms
    waiting = list(dict.fromkeys(job_ids))
    known: dict[str, Result] = {}
    pause_ms = POLL_FIRST_MS
    while True:
        late = clock.monotonic_ms() >= until
        asked = waiting if late else waiting[:WINDOW]
        away = ""
        try:
            results = dict(zip(asked, map(read_result, ledger.many(asked)), strict=True))
        except StoreUnavailable as error:
            away, results = str(error), {}
        known |= results
        ended = {job_id for job_id, result in results.items() if result.state is not State.PENDING}
        if ended:
            waiting = [job_id for job_id in waiting if job_id not in ended]
            progress(len(ended))
            pause_ms = POLL_FIRST_MS
        if late or not waiting:
            break
        clock.sleep_ms(max(0.0, min(pause_ms, until - clock.monotonic_ms())))
        pause_ms = min(POLL_MAX_MS, pause_ms * 1.5)
    if away:
        known |= {job_id: _untold(away) for job_id in waiting}
    return known


@contextmanager
def progress_bar(total: int) -> Iterator[Progress]:
    """Show on the terminal, if there is one, how many of several jobs have ended."""
    if total < 2 or not sys.stderr.isatty():  # noqa: PLR2004  one is not many
        yield lambda _ended: None
        return
    from rich import progress  # noqa: PLC0415  slow
    from rich.console import Console  # noqa: PLC0415  slow

    bar = progress.Progress(
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("jobs", total=total)
        yield lambda ended: bar.advance(task, ended)


def _untold(reason: str) -> Result:
    from worker.client.ticket import Result  # noqa: PLC0415  slow

    return Result(Outcome.UNKNOWN, 0, None, f"{reason}; the job goes on", State.PENDING)
