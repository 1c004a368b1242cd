"""What a task list shows of a job that a doorbell or a plain message was for."""

from __future__ import annotations

from worker.messaging.plain_messages import accept_cancel
from worker.messaging.runtime import Runtime
from worker.model.jobs import State
from worker.model.messages import CancelMessage
from worker.model.names import lane_of
from worker.model.outcomes import Outcome

DEFERRED = "pending: the sweep runs it"


def lane_named(parts: Runtime, message: CancelMessage) -> str | None:
    """Return the lane of a doorbell's job; None if this worker does not have its account."""
    account = parts.settings.accounts.get(message.account)
    return None if account is None else lane_of(account.exchange, message.account)


def shown_result(parts: Runtime, job_id: str, outcome: Outcome | None) -> str:
    """Return what a task list shows of a job; an empty string if there is no such job.

    Args:
        parts: The runtime.
        job_id: The job.
        outcome: Outcome of the attempt that this task made; None if it made none, as
            another thread or worker had the job.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    if outcome is not None and outcome.proven:
        return str(outcome)
    job = parts.ledger.get(job_id)
    if job is None:
        return ""
    if job.state is State.DONE:
        return str(job.outcome)
    if job.state is State.DEAD:
        return f"dead letter: {job.detail}"
    return f"pending: {job.outcome}, to be tried again" if job.outcome else DEFERRED


def accept_missing(parts: Runtime, message: CancelMessage) -> None:
    """Record the job of a doorbell again, where Redis has lost it.

    Raises:
        InvalidCommand: It is not a valid cancel.
        StoreUnavailable: Redis did not answer.
    """
    if message.job and parts.ledger.get(message.job) is None:
        accept_cancel(parts, message, task_id=message.job)


__all__ = ["DEFERRED", "accept_missing", "lane_named", "shown_result"]
