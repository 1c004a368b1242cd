"""Celery's door: parse, call, record. No decisions."""

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
from worker.model.names import lane_of
from worker.store.doorbell import BELL
from worker.telemetry import metrics

log = logging.getLogger(__name__)

DEFERRED = "left to the sweep"
LATER_MS = 1_000
"""How long a message that is put back is kept from coming round again."""


@app.task(name=CANCEL, bind=True, typing=False, acks_late=True)
def cancel(task: Task[..., str], *args: Any, **kwargs: Any) -> str:  # noqa: ANN401  checked below
    """Run the job of a doorbell, or make one of a plain message and run it."""
    parts, task_id = runtime(), str(task.request.id)
    bell = bool(getattr(task.request, BELL, None))
    try:
        message = read_cancel(args, kwargs)
        if bell and message.job and (answer := _run_named(parts, message)):
            return answer
        job_id, lane = accept_cancel(parts, message, task_id=task_id)
    except LaterFormat as error:
        if bell and kwargs.get("job"):
            return DEFERRED  # recorded: a newer worker's sweep finds it
        raise _left(parts, error) from error
    except UnknownAccount as error:
        return _put_off(parts, CANCEL, message, task_id=task_id, error=error)
    except InvalidCommand as error:
        parts.bury(str(error), shown(CANCEL, args, kwargs))
        return f"dead letter: {error}"
    except StoreUnavailable as error:
        raise _again(parts, error) from error
    try:
        outcome = parts.dispatcher.run_job(job_id, lane=lane)
    except StoreUnavailable:
        return DEFERRED
    return str(outcome) if outcome else DEFERRED


def _run_named(parts: Runtime, message: CancelMessage) -> str:
    """Run the job that a doorbell names; empty if there is none."""
    job_id = message.job or ""
    account = parts.settings.accounts.get(message.account)
    try:
        if account is not None:
            lane = lane_of(account.exchange, message.account)
            if outcome := parts.dispatcher.run_job(job_id, lane=lane):
                return str(outcome)
        return DEFERRED if parts.ledger.known(job_id) else ""
    except StoreUnavailable:
        return DEFERRED


def _put_off(
    parts: Runtime,
    task: str,
    message: CancelMessage | CountdownMessage,
    *,
    task_id: str,
    error: UnknownAccount | SwitchOverlap,
) -> str:
    """Keep a message for later; while Redis does not take it, it stays in its queue."""
    fields = {name: value for name, value in asdict(message).items() if value is not None}
    try:
        return defer(parts, task, fields, task_id=task_id, error=error)
    except StoreUnavailable as away:
        raise _again(parts, away) from away


@app.task(name=DRAIN, typing=False)
def drain(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  checked below
    """Work off what is due of one exchange."""
    exchange = kwargs.get("exchange")
    if is_later(kwargs):
        return  # the sweep of a newer worker does without the bell
    if args or not isinstance(exchange, str):
        runtime().bury(f"{DRAIN}: exchange is missing", shown(DRAIN, args, kwargs))
        return
    try:
        runtime().dispatcher.run_exchange(exchange)
    except StoreUnavailable:
        return  # the sweep goes on with it


@app.task(name=COUNTDOWN, bind=True, typing=False, acks_late=True)
def countdown(task: Task[..., str], *args: Any, **kwargs: Any) -> str:  # noqa: ANN401  checked below
    """Arm, move on or (with a timeout of 0) disarm the switch of these pairs."""
    parts, task_id = runtime(), str(task.request.id)
    try:
        again = bool((task.request.delivery_info or {}).get("redelivered"))
        message = read_countdown(args, kwargs)
        # Those that say when they were sent are put in order by that.
        with countdowns.turn(_tag(task), ordered=message.sent_ms is None):
            said = move_switch(parts, message, task_id=task_id, again=again)
    except LaterFormat as error:
        raise _left(parts, error) from error
    except UnknownAccount as error:
        # It counts from when it was first read, however long it waits.
        timed = replace(message, sent_ms=message.sent_ms or clock.now_ms())
        return _put_off(parts, COUNTDOWN, timed, task_id=task_id, error=error)
    except InvalidCommand as error:
        if isinstance(error, SwitchOverlap) and message.sent_ms is not None:
            return _put_off(parts, COUNTDOWN, message, task_id=task_id, error=error)
        parts.bury(str(error), shown(COUNTDOWN, args, kwargs))
        return f"dead letter: {error}"
    except StoreUnavailable as error:
        raise _again(parts, error) from error
    if said == STALE:
        metrics.expired("stale countdown")
        log.warning("a countdown message came too late and changed nothing: %s", kwargs or args)
    return said


@app.task(name=TICK, typing=False)
def tick() -> None:
    """Look after the switches now: what stands in Redis, not what a message says."""
    parts = runtime()
    with contextlib.suppress(StoreUnavailable):
        parts.ledger.ticked()
    for exchange in {account.exchange for account in parts.settings.accounts.values()}:
        try:
            parts.dispatcher.run_exchange(exchange)
        except StoreUnavailable:
            return  # the sweep goes on with it


def _tag(task: Task[..., str]) -> str:
    """Return the tag that the broker's message of a task was delivered with."""
    return str((getattr(task.request, "properties", None) or {}).get("delivery_tag", ""))


def _again(parts: Runtime, error: StoreUnavailable) -> Reject:
    """Give a message back that Redis would not record, and not at once: it may refuse it again."""
    parts.dispatcher.wait_ms(LATER_MS)
    return Reject(str(error), requeue=True)


def _left(parts: Runtime, error: LaterFormat) -> Reject:
    """Leave a message to a newer worker, and give one the time to take it."""
    log.info("left to a newer worker: %s", error)
    parts.dispatcher.wait_ms(LATER_MS)
    return Reject(str(error), requeue=True)
