"""Celery's door: parse, call, record. No decisions."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import tenacity
from celery import Task
from celery.exceptions import Reject

from worker import clock, metrics
from worker.celery_app import app
from worker.errors import InvalidCommand, LaterFormat, StoreUnavailable
from worker.gate import check_cancel
from worker.jobs import Kind, NewJob
from worker.messages import (
    CANCEL,
    COUNTDOWN,
    DRAIN,
    TICK,
    CancelMessage,
    is_later,
    read_cancel,
    read_countdown,
)
from worker.names import lane_of
from worker.plain import STALE, move_switch
from worker.runtime import Runtime, runtime

log = logging.getLogger(__name__)

DEFERRED = "left to the sweep"
RECORD_S = 5.0
LATER_MS = 1_000
"""How long a message that a newer worker must read is kept from coming round again."""


@app.task(name=CANCEL, bind=True, typing=False, acks_late=True)
def cancel(task: Task[..., str], *args: Any, **kwargs: Any) -> str:  # noqa: ANN401  checked below
    """Run the job of a doorbell, or make one of a plain message and run it."""
    parts = runtime()
    try:
        message = read_cancel(args, kwargs)
        account = parts.settings.account(message.account)
        lane = lane_of(account.exchange, message.account)
        job_id = message.job
        if job_id is None:
            check_cancel(
                account.adapter, order_id=message.order_id, pair=message.pair, side=message.side
            )
            job_id = _record(parts, message, lane, str(task.request.id))
    except LaterFormat as error:
        if kwargs.get("job"):
            return DEFERRED  # recorded: a newer worker's sweep finds it
        raise _left(parts, error) from error
    except InvalidCommand as error:
        parts.bury(str(error), f"{CANCEL} {args!r} {kwargs!r}")
        return f"dead letter: {error}"
    try:
        outcome = parts.engine.run_job(job_id, lane=lane)
    except StoreUnavailable:
        return DEFERRED
    return str(outcome) if outcome else DEFERRED


@app.task(name=DRAIN, typing=False)
def drain(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  checked below
    """Work off what is due of one exchange."""
    exchange = kwargs.get("exchange")
    if is_later(kwargs):
        return  # the sweep of a newer worker does without the bell
    if args or not isinstance(exchange, str):
        runtime().bury(f"{DRAIN}: exchange is missing", f"{DRAIN} {args!r} {kwargs!r}")
        return
    try:
        runtime().engine.run_exchange(exchange)
    except StoreUnavailable:
        return  # the sweep goes on with it


@app.task(name=COUNTDOWN, bind=True, typing=False, acks_late=True)
def countdown(task: Task[..., str], *args: Any, **kwargs: Any) -> str:  # noqa: ANN401  checked below
    """Arm, move on or (with a timeout of 0) disarm the switch of these pairs."""
    parts = runtime()
    try:
        again = bool((task.request.delivery_info or {}).get("redelivered"))
        message = read_countdown(args, kwargs)
        said = move_switch(parts, message, task_id=str(task.request.id), again=again)
    except LaterFormat as error:
        raise _left(parts, error) from error
    except InvalidCommand as error:
        parts.bury(str(error), f"{COUNTDOWN} {args!r} {kwargs!r}")
        return f"dead letter: {error}"
    except StoreUnavailable as error:
        raise Reject(str(error), requeue=True) from error
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
            parts.engine.run_exchange(exchange)
        except StoreUnavailable:
            return  # the sweep goes on with it


def _left(parts: Runtime, error: LaterFormat) -> Reject:
    """Leave a message to a newer worker, and give one the time to take it."""
    log.info("left to a newer worker: %s", error)
    parts.engine.wait_ms(LATER_MS)
    return Reject(str(error), requeue=True)


def _record(parts: Runtime, message: CancelMessage, lane: str, task_id: str) -> str:
    """Make a job of a plain message; delivered twice, it is the same job.

    Raises:
        Reject: Redis would not take it; the message goes back to its queue.
    """
    job = NewJob(
        id=f"t-{task_id}",
        lane=lane,
        kind=Kind.CANCEL,
        order_id=message.order_id,
        pair=message.pair or "",
        side=message.side or "",
    )
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(StoreUnavailable),
        stop=tenacity.stop_after_delay(RECORD_S),
        wait=tenacity.wait_random_exponential(multiplier=0.05, max=0.5),
        sleep=lambda seconds: clock.sleep_ms(seconds * 1_000),
        reraise=True,
    )
    try:
        accepted: str = retrying(lambda: parts.ledger.accept([job])[0].id)
    except StoreUnavailable as error:
        raise Reject(str(error), requeue=True) from error
    return accepted
