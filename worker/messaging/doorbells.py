"""Answer doorbells where they are read.

A doorbell only wakes: its job is in Redis. Celery makes a request of each message, traces it,
and runs it in a pool of threads; that takes longer than the attempt. A task whose `Strategy` is
`answer_doorbells` has the dispatcher's threads answer, and sends the events that Celery would
send of the task. All other messages take Celery's way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from celery.worker.strategy import default

from worker import clock
from worker.dispatch.concurrency import Answered, NamedJob
from worker.errors import CancelWorkerError, InvalidCommand, StoreUnavailable
from worker.messaging.answers import DEFERRED, accept_missing, lane_named, shown_result
from worker.messaging.runtime import Runtime, runtime, shown
from worker.model.messages import CANCEL, DRAIN, CancelMessage, is_later, read_cancel
from worker.model.outcomes import Outcome
from worker.store.doorbell import BELL

Ack: TypeAlias = Callable[[], object]
"""Acknowledges a message; called once, from any thread."""
log = logging.getLogger(__name__)


def answer_doorbells(task: Any, app: Any, consumer: Any) -> Callable[..., Any]:  # noqa: ANN401  Celery's
    """Return what Celery calls with each message of a task; a `Task.Strategy`."""
    by_celery = default(task, app, consumer)

    def received(message: Any, body: Any, ack: Any, *rest: Any, **options: Any) -> Any:  # noqa: ANN401  Celery's
        answer = _answer_to(message, consumer) if BELL in message.headers else None
        if answer is None:
            return by_celery(message, body, ack, *rest, **options)
        return answer(lambda: ack(log, consumer.connection_errors))

    return received


def _answer_to(message: Any, consumer: Any) -> Callable[[Ack], object] | None:  # noqa: ANN401  kombu's
    """Return what answers a doorbell; None if Celery's way has to judge it."""
    headers, (args, kwargs, *_) = message.headers, message.payload
    if headers.get("eta") or headers.get("expires") or args or is_later(kwargs):
        return None
    parts, events = runtime(), Events.of(consumer, headers)
    if headers["task"] == DRAIN and isinstance(kwargs.get("exchange"), str):
        return lambda ack: _drain(parts, kwargs["exchange"], events, ack)
    if headers["task"] != CANCEL:
        return None
    try:
        command = read_cancel(args, kwargs)
    except CancelWorkerError:
        return None
    lane = lane_named(parts, command)
    if lane is None or not command.job:
        return None
    return lambda ack: _cancel(parts, command, lane, events, ack)


def _drain(parts: Runtime, exchange: str, events: Events | None, ack: Ack) -> None:
    ack()
    if events:
        events.begun()
    parts.dispatcher.answer_exchange(exchange)
    if events:
        events.ended(None)


def _cancel(
    parts: Runtime, command: CancelMessage, lane: str, events: Events | None, ack: Ack
) -> None:
    """Answer a single cancel's doorbell.

    While its job waits for a thread the doorbell is not acknowledged, so that this worker
    leaves others to other workers: it counts as prefetched.
    """
    bell = Doorbell(parts, command, events, [ack])
    if events:
        events.begun()
    answered = parts.dispatcher.answer(NamedJob(lane, command.job or "", bell.ended, bell.left))
    if answered is Answered.BEGUN:
        bell.acknowledge()
    elif answered is Answered.LEFT:
        bell.left()


@dataclass(frozen=True, slots=True)
class Doorbell:
    """A single cancel's doorbell until it is answered. Safe to use from any thread.

    Attributes:
        acks: Acknowledges it; empty once that is done.
    """

    parts: Runtime
    command: CancelMessage
    events: Events | None
    acks: list[Ack]

    def acknowledge(self) -> None:
        """Acknowledge the message, unless that has been done."""
        with suppress(IndexError):  # here, or by the thread that had the job
            self.acks.pop()()

    def ended(self, outcome: Outcome | None) -> None:
        """End the task, with the outcome of the attempt; None if none was made."""
        self.acknowledge()
        parts, command, events = self.parts, self.command, self.events
        try:
            if outcome is None:
                accept_missing(parts, command)
            if events:
                events.ended(shown_result(parts, command.job or "", outcome) or DEFERRED)
        except StoreUnavailable:
            if events:
                events.ended(DEFERRED)
        except InvalidCommand as error:
            parts.bury(str(error), shown(CANCEL, (), asdict(command)))

    def left(self) -> None:
        """End the task: a thread that asks Redis for jobs will find its job."""
        self.acknowledge()
        if self.events:
            self.parts.dispatcher.call(lambda: self.ended(None))


@dataclass(frozen=True, slots=True)
class Events:
    """The events of one task, as Celery would send them. Safe to use from any thread.

    Attributes:
        sender: Celery's event dispatcher.
        headers: Of the message.
        since_ms: When it was received, on the local monotonic clock.
    """

    sender: Any
    headers: dict[str, Any]
    since_ms: float

    @classmethod
    def of(cls, consumer: Any, headers: dict[str, Any]) -> Events | None:  # noqa: ANN401  Celery's
        """Return the events of a message; None if no monitor asks for them."""
        sender = consumer.event_dispatcher
        if not (sender and sender.enabled):
            return None
        return cls(sender, headers, clock.monotonic_ms())

    def begun(self) -> None:
        """Send that the task was received, and that it runs."""
        names = ("root_id", "parent_id", "retries", "eta", "expires")
        told = {name: self.headers.get(name) for name in names}
        args, kwargs = self.headers.get("argsrepr"), self.headers.get("kwargsrepr")
        self._send("task-received", name=self.headers["task"], args=args, kwargs=kwargs, **told)
        self._send("task-started")

    def ended(self, result: str | None) -> None:
        """Send that the task has ended."""
        took_s = (clock.monotonic_ms() - self.since_ms) / 1_000
        self._send("task-succeeded", result=repr(result), runtime=took_s, name=self.headers["task"])

    def _send(self, kind: str, **fields: object) -> None:
        self.sender.send(kind, uuid=self.headers["id"], **fields)
