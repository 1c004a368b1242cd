"""Nothing accepted is lost; no outcome contradicts the book."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos import windows
from tests.chaos.history import CancelCall, History, Violation
from tests.support.world import KEYS
from worker.model.jobs import Job, Kind, State
from worker.model.outcomes import Outcome

LOST = "an accepted job was lost"
UNALERTED = "a dead letter without an alert"
WRONG = "an outcome contradicts the book"
SLACK_MS = 5
"""Redis cuts its times to the ms, and the exchange does not."""
TAKEN_MS = 2_000
"""By when a plain message has been taken from its queue while workers are whole."""


def check(history: History) -> list[Violation]:
    """Judge every ticket, and every outcome."""
    return [*_lost(history), *_wrong(history)]


def _lost(history: History) -> Iterator[Violation]:
    for call in history.cancels:
        for ticket in call.tickets:
            job = history.jobs.get(ticket)
            if job is None:
                yield Violation(LOST, f"{ticket} is not known any more", (call,))
            elif job.state is State.PENDING:
                yield Violation(LOST, f"{ticket} has not ended", (call, job))
    for call, excused in unrecorded(history):
        if not excused:
            yield Violation(LOST, f"a plain message for {call.order_ids} became no job", (call,))
    told = {ticket for call in history.cancels for ticket in call.tickets}
    for job in history.jobs.values():
        ours = job.id not in told and job.created_ms <= history.end_ms
        if ours and job.state is State.PENDING:
            yield Violation(
                LOST, f"{job.id}, which nobody holds a ticket of, has not ended", (job,)
            )
        given_up = job.state is State.DEAD and job.kind is not Kind.MALFORMED
        if given_up and job.id not in history.dead_alerts:
            yield Violation(UNALERTED, f"{job.id}: {job.detail}", (job,))


def unrecorded(history: History) -> Iterator[tuple[CancelCall, bool]]:
    """Return plain messages that became no job, and whether a fault accounts for it.

    Celery's transport takes a message out of its list before it is noted as
    under way: who is cut off in between, or was frozen or unreachable while it
    waited for one, loses it. So only a ticket is a promise; but where nothing
    was cut off, no message may be lost either.
    """
    gaps = windows.union(windows.of(history.faults, "worker", "worker-link", "redis"))
    for call in history.cancels:
        key = KEYS[call.account][0], call.order_ids[0] if call.order_ids else ""
        sent = call.kind == "plain" and call.said == "ok"
        if sent and not history.jobs_by_order.get(key):
            yield call, windows.overlap_ms(gaps, call.sent_ms, call.told_ms + TAKEN_MS) > 0


def _wrong(history: History) -> Iterator[Violation]:
    asked: dict[str, float] = defaultdict(float)
    for call in history.cancels:
        for ticket in call.tickets:
            asked[ticket] = max(asked[ticket], call.sent_ms)
    for job in history.jobs.values():
        if job.state is not State.DONE:
            continue
        reason = (
            _of_order(history, job)
            if job.kind is Kind.CANCEL
            else _of_scope(history, job, max(asked[job.id], job.created_ms - SLACK_MS))
        )
        if reason:
            yield Violation(WRONG, f"{job.id} is {job.outcome}, but {reason}", (job,))


def _of_order(history: History, job: Job) -> str:
    """Say why the outcome of one order's job is wrong; nothing if it is not."""
    order = history.book.get((job.exchange, job.order_id or ""))
    if order is None:
        return "the exchange never had that order"
    truth = {"canceled": Outcome.CANCELED, "filled": Outcome.GONE}.get(order.status)
    if job.outcome is not truth:
        return f"the order is {order.status}"
    assert order.closed_ms is not None
    assert job.finished_ms is not None
    if order.closed_ms > job.finished_ms + SLACK_MS + history.apart_ms:
        return f"the order was open for another {order.closed_ms - job.finished_ms:.0f} ms"
    return ""


def _of_scope(history: History, job: Job, asked_ms: float) -> str:
    """Say which order was open when a scope was reported empty; nothing if none was."""
    assert job.finished_ms is not None
    pairs = [job.pair] if job.pair else [pair for _, pair in history.scopes]
    for pair in pairs:
        for order in history.scopes.get((job.account, pair), ()):
            mine = order.api_key == KEYS[job.account][1] and job.side in (None, order.side)
            seen_ms = job.finished_ms + SLACK_MS + history.apart_ms
            open_then = order.closed_ms is None or order.closed_ms > seen_ms
            if mine and order.placed_ms < asked_ms and open_then:
                return f"order {order.order_id} of its scope was open"
    return ""
