"""Plain messages that cannot be processed yet: kept in Redis and retried.

An unknown account: a worker may read a message just before another worker registers
its account. The message waits in Redis until one does, and becomes a dead letter after
`jobs.unknown_account_ms`.

An overlap: a countdown with `sent_ms` may be read before an older one that disarms the
overlapping switch. It waits for that, and becomes a dead letter after `OVERLAP_MS`.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

from worker import clock
from worker.errors import InvalidCommand, StoreUnavailable, SwitchOverlap, UnknownAccount
from worker.messaging.plain_messages import accept_cancel, move_switch
from worker.messaging.runtime import Runtime
from worker.model.messages import CANCEL, read_cancel, read_countdown

log = logging.getLogger(__name__)

POLL_MS = 1_000
OVERLAP_MS = 5_000
WAITS_FOR_ACCOUNT = "waits for a worker that has its account"
WAITS_FOR_DISARM = "waits for an older message that disarms the other switch"


def defer(
    parts: Runtime,
    task: str,
    fields: Mapping[str, object],
    *,
    task_id: str,
    error: UnknownAccount | SwitchOverlap,
) -> str:
    """Keep a message for later, or make a dead letter of it if it may not wait.

    Returns:
        What was done, as the task's result in Flower.

    Raises:
        StoreUnavailable: Redis did not answer. Retrying is safe.
    """
    message = json.dumps({"task": task, "id": task_id, "fields": fields}, sort_keys=True)
    if _wait_max_ms(parts, error) and parts.ledger.defer(message):
        waits = WAITS_FOR_DISARM if isinstance(error, SwitchOverlap) else WAITS_FOR_ACCOUNT
        log.warning("%s; the message %s", error, waits)
        return waits
    parts.bury(str(error), f"{task} {fields!r}", job_id=f"t-{task_id}")
    return f"dead letter: {error}"


def _wait_max_ms(parts: Runtime, error: InvalidCommand) -> int:
    """Return how long in ms a message may wait after this error; 0 for not at all."""
    match error:
        case UnknownAccount():
            return parts.settings.jobs.unknown_account_ms
        case SwitchOverlap():
            return OVERLAP_MS
        case _:
            return 0


class Deferred:
    """Retries deferred messages from a background thread."""

    def __init__(self, parts: Runtime) -> None:
        self._parts = parts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deferred", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; other workers retry the remaining messages."""
        self._stopping.set()

    def retry_all(self) -> None:
        """Process the messages that can be processed now; make dead letters of expired ones.

        Raises:
            StoreUnavailable: Redis did not answer. Calling again is safe.
        """
        for text, age_ms in self._parts.ledger.deferred():
            message: dict[str, Any] = json.loads(text)
            task, fields, task_id = message["task"], message["fields"], message["id"]
            try:
                self._process(task, fields, task_id)
            except InvalidCommand as error:
                if age_ms < _wait_max_ms(self._parts, error):
                    continue
                self._parts.bury(str(error), f"{task} {fields!r}", job_id=f"t-{task_id}")
            self._parts.ledger.forget_deferred(text)

    def _process(self, task: str, fields: Mapping[str, object], task_id: str) -> None:
        if task == CANCEL:
            accept_cancel(self._parts, read_cancel((), fields), task_id=task_id)
        else:
            move_switch(self._parts, read_countdown((), fields), task_id=task_id, again=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.retry_all()
            except StoreUnavailable as error:
                log.debug("deferred messages are retried later: %s", error)
            except Exception:
                log.exception("deferred messages could not be retried")
            clock.wait_ms(self._stopping, POLL_MS)
