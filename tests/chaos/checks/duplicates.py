"""Every cancel that was sent again for the same order, and why."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

from tests.chaos import windows
from tests.chaos.history import History, Violation
from worker.model.jobs import Job
from worker.simulator import Arrival

UNEXPLAINED = "an order was sent for again without a cause"
NAMED_REFUSALS = ("rate", "nonce", "timestamp", "token")
TWICE = "an order had two jobs at once"
AROUND_MS = 50
OF_ONE_WORKER = ("worker", "worker-link", "exchange-link")
"""Parts whose failing explains what the worker concerned did, and nothing else."""
CAUSES = {
    "worker": "its worker was killed or stopped",
    "worker-link": "its worker lost Redis",
    "exchange-link": "the link to the exchange failed",
    "redis": "Redis was away when it was to be recorded",
    "machine": "the machine stalled",
}


def check(history: History) -> list[Violation]:
    """Return the duplicates that nothing explains."""
    return [*_twice(history), *_unexplained(history)]


def _twice(history: History) -> Iterator[Violation]:
    """Find jobs that were made for an order whose job had not ended."""
    for (exchange, order_id), jobs in history.jobs_by_order.items():
        ranked = sorted(jobs, key=lambda job: job.created_ms)
        for former, later in itertools.pairwise(ranked):
            ended_ms = former.finished_ms or float("inf")
            if former.lane == later.lane and ended_ms > later.created_ms:
                yield Violation(TWICE, f"order {order_id} of {exchange}", (former, later))


def _unexplained(history: History) -> list[Violation]:
    return [
        Violation(
            UNEXPLAINED,
            f"order {order_id} of {exchange}",
            (former, later, *history.jobs_by_order[exchange, order_id]),
        )
        for (exchange, order_id), former, later, cause in _judged(history)
        if not cause
    ]


def counted(history: History) -> Counter[str]:
    """Return how many duplicates each cause accounts for."""
    return Counter(cause or UNEXPLAINED for *_, cause in _judged(history))


def _judged(
    history: History,
) -> list[tuple[tuple[str, str], Arrival, Arrival, str]]:
    return [
        (name, former, later, _cause(history, name, former, later))
        for name, sends in history.sends_by_order.items()
        for former, later in itertools.pairwise(sends)
    ]


def _cause(history: History, name: tuple[str, str], former: Arrival, later: Arrival) -> str:
    """Return why an order was sent for again; nothing if nothing accounts for it."""
    if former.fault:
        return f"the exchange failed: {former.fault}"
    if former.refusal in NAMED_REFUSALS:
        return f"it was refused: {former.refusal}"
    jobs = history.jobs_by_order[name]
    clocks = history.ahead_ms(former.at_ms) | history.ahead_ms(later.at_ms)
    if any(_sender(jobs, former, ms) is not _sender(jobs, later, ms) for ms in clocks):
        return "another job was for the same order"
    if former.refusal == "order":
        return "retry rule: the exchange knew no such open order"
    if _left_out(history, name, former) and _asked_in_vain(history, name, former, later):
        return "left out of a request for several, and the question about it failed"
    slots = _slots(history, jobs)
    for part, cause in CAUSES.items():
        faults = [f for f in history.faults if part not in OF_ONE_WORKER or f.target in slots]
        spans = windows.of(faults, part, after_ms=AROUND_MS)
        start, end = former.at_ms - history.bounds.http_ms, later.at_ms
        if any(a < end and b > start for a, b in spans):
            return cause
    return ""


def _left_out(history: History, name: tuple[str, str], send: Arrival) -> bool:
    """Whether a request for several orders came when this one was closed: no reply names it."""
    order = history.book.get(name)
    closed_ms = order.closed_ms if order else None
    return send.operation == "bulk" and closed_ms is not None and closed_ms < send.at_ms


def _asked_in_vain(
    history: History, name: tuple[str, str], former: Arrival, later: Arrival
) -> bool:
    """Whether the exchange failed each question about an order between two sends; one at least."""
    exchange, order_id = name
    asked = [
        arrival
        for arrival in history.journal
        if arrival.exchange == exchange
        and arrival.operation == "query"
        and order_id in arrival.order_ids
        and former.at_ms < arrival.at_ms < later.at_ms
    ]
    return bool(asked) and all(arrival.fault for arrival in asked)


def _slots(history: History, jobs: list[Job]) -> set[str]:
    """Return the places of the workers that ever held one of these jobs."""
    holders = {str(row.get("by", "")) for job in jobs for row in job.history}
    holders |= {job.claimed_by or "" for job in jobs}
    pids = {by.split(":")[1] for by in holders if by.count(":") > 1}
    return {f"w{life.slot}" for life in history.lives if str(life.pid) in pids}


def _sender(jobs: list[Job], send: Arrival, ahead_ms: float) -> Job | None:
    """Return the job whose attempt a send was; the last claimed before it arrived.

    `ahead_ms` is how far shared time, which claims are in, was ahead of the exchange's clock.
    """
    claims = [(float(row.get("at_ms") or 0), job) for job in jobs for row in job.history]
    for apart_ms in (1, 5):  # to the millisecond, if it can be: shared time is measured
        before = [claim for claim in claims if claim[0] <= send.at_ms + ahead_ms + apart_ms]
        if before:
            return max(before, key=lambda claim: claim[0])[1]
    return None
