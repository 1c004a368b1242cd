"""What a cancel, a cancel-all or a tripped switch did, order by order."""

from __future__ import annotations

from dataclasses import dataclass

from worker.client.ticket import read_result
from worker.model.jobs import Job, Kind, State
from worker.model.outcomes import Outcome
from worker.store.job_steps import reading_job, reading_made
from worker.store.steps import Steps


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What is known of one order.

    Attributes:
        id: Id of the job that cancels it.
        outcome: The proven outcome; `UNKNOWN` while that job is pending.
        state: Of that job: `pending`, `done` (proven) or `dead` (given up).
        detail: The exchange's reply text, or why nothing is proven yet.
        latency_ms: From the job's acceptance to its end; None while it is pending.
    """

    id: str
    account: str
    order_id: str | None
    client_order_id: str | None
    pair: str | None
    side: str | None
    outcome: Outcome
    state: State
    detail: str
    latency_ms: int | None


def reading_orders(parent: str) -> Steps[list[OrderResult]]:
    """Return the orders of a job or a tripped switch, in the order of their cancels.

    A cancel has one. A cancel-all has those that it found open and canceled one by one:
    what one request for the whole scope canceled, or the exchange's own timer, no reply names.
    """
    job = yield from reading_job(parent)
    if job is not None and job.kind is Kind.CANCEL:
        return [_order(job)]
    made = yield from reading_made(parent)
    found = [_order(each) for each in made if each.kind is Kind.CANCEL]
    for scope in made:
        if scope.kind is Kind.CANCEL_ALL and scope.id != parent:
            below = yield from reading_made(scope.id)
            found += [_order(each) for each in below if each.kind is Kind.CANCEL]
    return found


def _order(job: Job) -> OrderResult:
    result = read_result(job)
    return OrderResult(
        id=job.id,
        account=job.account,
        order_id=job.order_id,
        client_order_id=job.client_order_id,
        pair=job.pair,
        side=job.side,
        outcome=result.outcome,
        state=result.state,
        detail=result.detail,
        latency_ms=result.latency_ms,
    )
