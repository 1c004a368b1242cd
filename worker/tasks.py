"""The Celery tasks: parse a message, call the dispatcher, record. No decisions."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import asdict, replace
from typing import Any

from celery import Task
from celery.exceptions import Reject

from worker import clock
from worker.celery_app import app
from worker.errors import (
    InvalidCommand,
    LaterFormat,
    StoreUnavailable,
    SwitchOverlap,
    UnknownAccount,
)
from worker.messaging.answers import DEFERRED, lane_named, shown_result
from worker.messaging.deferred import defer
from worker.messaging.ordering import countdowns
from worker.messaging.plain_messages import STALE, accept_cancel, move_switch
from worker.messaging.runtime import Runtime, runtime, shown
from worker.model.messages import (
    CANCEL,
    COUNTDOWN,
    DRAIN,
    TICK,
    CancelMessage,
    CountdownMessage,
    is_later,
    read_cancel,
    read_countdown,
)
from worker.store.doorbell import BELL
from worker.telemetry import metrics

log = logging.getLogger(__name__)

ANSWERED = "worker.messaging.doorbells:answer_doorbells"
LATER_MS = 1_000
"""Delay before a message is requeued."""


@app.task(name=CANCEL, bind=True, typing=False, acks_late=True, Strategy=ANSWERED)
def cancel(task: Task[..., str], *args: Any, **kwargs: Any) -> str:  # noqa: ANN401  checked below
    """Run the job of a doorbell, or create the job of a plain message and run it."""
    parts, task_id = runtime(), str(task.request.id)
    bell = bool(getattr(task.request, BELL, None))
    try:
        message = read_cancel(args, kwargs)
        if bell and message.job and (answer := _run_named(parts, message)):
            return answer
        job_id, lane = accept_cancel(parts, message, task_id=task_id)
    except LaterFormat as error:
        if bell and kwargs.get("job"):
            return DEFERRED  # the job is recorded: a newer worker's sweep finds it
        raise _requeue_for_newer(parts, error) from error
    except UnknownAccount as error:
        return _defer(parts, CANCEL, message, task_id=task_id, error=error)
    except InvalidCommand as error:
        parts.bury(str(error), shown(CANCEL, args, kwargs))
        return f"dead letter: {error}"
    except StoreUnavailable as error:
        raise _requeue(parts, error) from error
    try:
        return shown_result(parts, job_id, parts.dispatcher.run_job(job_id, lane=lane)) or DEFERRED
    except StoreUnavailable:
        return DEFERRED


def _run_named(parts: Runtime, message: CancelMessage) -> str:
    """Run the job that a doorbell names; return an empty string if it does not exist."""
    job_id, lane = message.job or "", lane_named(parts, message)
    try:
        outcome = parts.dispatcher.run_job(job_id, lane=lane) if lane else None
        return shown_result(parts, job_id, outcome)
    except StoreUnavailable:
        return DEFERRED


def _defer(
    parts: Runtime,
    task: str,
    message: CancelMessage | CountdownMessage,
    *,
    task_id: str,
    error: UnknownAccount | SwitchOverlap,
) -> str:
    """Keep a message in Redis for later; while Redis is down it stays in its queue."""
    fields = {name: value for name, value in asdict(message).items() if value is not None}
    try:
        return defer(parts, task, fields, task_id=task_id, error=error)
    except StoreUnavailable as unavailable:
        raise _requeue(parts, unavailable) from unavailable


@app.task(name=DRAIN, typing=False, Strategy=ANSWERED)
def drain(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  checked below
    """Run the due jobs of one exchange."""
    exchange = kwargs.get("exchange")
    if is_later(kwargs):
        return  # the sweep of a newer worker finds the jobs
    if args or not isinstance(exchange, str):
        runtime().bury(f"{DRAIN}: exchange is missing", shown(DRAIN, args, kwargs))
        return
    try:
        runtime().dispatcher.run_exchange(exchange)
    except StoreUnavailable:
        return  # the sweep continues


@app.task(name=COUNTDOWN, bind=True, typing=False, acks_late=True)
def countdown(task: Task[..., str], *args: Any, **kwargs: Any) -> str:  # noqa: ANN401  checked below
    """Arm, renew or, with a timeout of 0, disarm the switch of these pairs."""
    parts, task_id = runtime(), str(task.request.id)
    try:
        again = bool((task.request.delivery_info or {}).get("redelivered"))
        message = read_countdown(args, kwargs)
        # Messages with `sent_ms` need no order of processing: `sent_ms` decides.
        with countdowns.turn(_tag(task), ordered=message.sent_ms is None):
            result = move_switch(parts, message, task_id=task_id, again=again)
    except LaterFormat as error:
        raise _requeue_for_newer(parts, error) from error
    except UnknownAccount as error:
        # The deadline counts from the first read, not from a later retry.
        timed = replace(message, sent_ms=message.sent_ms or clock.now_ms())
        return _defer(parts, COUNTDOWN, timed, task_id=task_id, error=error)
    except InvalidCommand as error:
        if isinstance(error, SwitchOverlap) and message.sent_ms is not None:
            return _defer(parts, COUNTDOWN, message, task_id=task_id, error=error)
        parts.bury(str(error), shown(COUNTDOWN, args, kwargs))
        return f"dead letter: {error}"
    except StoreUnavailable as error:
        raise _requeue(parts, error) from error
    if result == STALE:
        metrics.expired("stale countdown")
        log.warning("ignored a stale countdown message: %s", kwargs or args)
    return result


# Without events: one a second would fill Flower's list of tasks.
@app.task(name=TICK, typing=False, send_events=False)
def tick() -> None:
    """Reconcile the switches with their records in Redis; the message carries no state."""
    parts = runtime()
    with contextlib.suppress(StoreUnavailable):
        parts.ledger.ticked()
    for exchange in {account.exchange for account in parts.settings.accounts.values()}:
        try:
            parts.dispatcher.run_exchange(exchange)
        except StoreUnavailable:
            return  # the sweep continues


def _tag(task: Task[..., str]) -> str:
    """Return the delivery tag of a task's message."""
    return str((getattr(task.request, "properties", None) or {}).get("delivery_tag", ""))


def _requeue(parts: Runtime, error: StoreUnavailable) -> Reject:
    """Return a rejection that requeues a message, after `LATER_MS`: Redis may still be down."""
    parts.dispatcher.wait_ms(LATER_MS)
    return Reject(str(error), requeue=True)


def _requeue_for_newer(parts: Runtime, error: LaterFormat) -> Reject:
    """Return a rejection that requeues a message, after `LATER_MS`, for a newer worker."""
    log.info("left to a newer worker: %s", error)
    parts.dispatcher.wait_ms(LATER_MS)
    return Reject(str(error), requeue=True)
