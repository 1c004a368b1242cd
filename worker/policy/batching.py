"""Several cancels in one request: which go together, and what the reply says of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from worker.model.jobs import Job, Kind
from worker.model.outcomes import Answer, Closed, ClosedMany, Outcome, Unproven


def together(jobs: Sequence[Job], most: int) -> Iterator[tuple[Job, ...]]:
    """Group jobs of one account by the request that they go in, at most `most` in one.

    Only what has never been attempted shares one: whatever comes of that, each
    continues by itself.
    """
    fresh: dict[str | None, Job] = {}
    alone: list[Job] = []
    for job in jobs:
        if _is_fresh(job) and job.order_id not in fresh:
            fresh[job.order_id] = job
        else:
            alone.append(job)
    shared = list(fresh.values())
    for start in range(0, len(shared), max(1, most)):
        yield tuple(shared[start : start + max(1, most)])
    for job in alone:
        yield (job,)


def answer_to(job: Job, answer: Answer) -> Answer:
    """Return what the answer to a request for several orders says of one.

    What its reply does not name is not proven; and a request that is refused as a
    whole says nothing of one of them.
    """
    match answer:
        case ClosedMany(outcomes) if outcome := outcomes.get(job.order_id or ""):
            return Closed(outcome)
        case ClosedMany():
            return Unproven(Outcome.UNKNOWN, "not named in the reply for several orders")
        case Unproven(outcome=Outcome.REJECTED, detail=detail):
            return Unproven(Outcome.UNKNOWN, f"several orders in one request refused: {detail}")
        case _:
            return answer


def _is_fresh(job: Job) -> bool:
    untried = job.attempts <= 1 and job.phase is None and not job.lost
    # `CancelOrders` names orders by the exchange's ids.
    named = job.client_order_id is None and not job.stop
    return job.kind is Kind.CANCEL and named and untried and not job.foreign
