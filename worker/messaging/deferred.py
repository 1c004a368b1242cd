"""Plain messages that cannot be taken yet, and soon may: kept, not buried.

A worker that lacks an account may read its messages while another, started a moment later,
will serve it. They wait in Redis until one has registered it, and become dead letters if
none does within `jobs.unknown_account_ms`.

A countdown that says when it was sent may be read before an older one that ends the switch
in its way. It waits for that, and becomes a dead letter if none comes within `OVERLAP_MS`.
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

LOOK_MS = 1_000
OVERLAP_MS = 5_000
WAITS = "waits for a worker that has its account"
BEHIND = "waits for an older message that ends the other switch"


def defer(
    parts: Runtime,
    task: str,
    fields: Mapping[str, object],
    *,
    task_id: str,
    error: UnknownAccount | SwitchOverlap,
) -> str:
    """Keep a message until what is in its way is over; return what was done, for people.

    Raises:
        StoreUnavailable: Redis did not answer. Asking again is safe.
    """
    message = json.dumps({"task": task, "id": task_id, "fields": fields}, sort_keys=True)
    if _patience_ms(parts, error) and parts.ledger.defer(message):
        waits = BEHIND if isinstance(error, SwitchOverlap) else WAITS
        log.warning("%s; the message %s", error, waits)
        return waits
    parts.bury(str(error), f"{task} {fields!r}", job_id=f"t-{task_id}")
    return f"dead letter: {error}"


def _patience_ms(parts: Runtime, error: InvalidCommand) -> int:
    """Return how long a message may wait for what this error says to be over."""
    match error:
        case UnknownAccount():
            return parts.settings.jobs.unknown_account_ms
        case SwitchOverlap():
            return OVERLAP_MS
        case _:
            return 0


class Deferred:
    """Looks at the messages that wait, from a thread of its own."""

    def __init__(self, parts: Runtime) -> None:
        self._parts = parts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deferred", daemon=True)

    def start(self) -> None:
        """Start to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what waits is left to other workers."""
        self._stopping.set()

    def look(self) -> None:
        """Take what can be taken by now, and bury what has waited for too long.

        Raises:
            StoreUnavailable: Redis did not answer. Looking again is safe.
        """
        for text, age_ms in self._parts.ledger.deferred():
            message: dict[str, Any] = json.loads(text)
            task, fields, task_id = message["task"], message["fields"], message["id"]
            try:
                self._take(task, fields, task_id)
            except InvalidCommand as error:
                if age_ms < _patience_ms(self._parts, error):
                    continue
                self._parts.bury(str(error), f"{task} {fields!r}", job_id=f"t-{task_id}")
            self._parts.ledger.forget_deferred(text)

    def _take(self, task: str, fields: Mapping[str, object], task_id: str) -> None:
        if task == CANCEL:
            accept_cancel(self._parts, read_cancel((), fields), task_id=task_id)
        else:
            move_switch(self._parts, read_countdown((), fields), task_id=task_id, again=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except StoreUnavailable as error:
                log.debug("what waits for its account is looked at later: %s", error)
            except Exception:
                log.exception("what waits for its account could not be looked at")
            clock.wait_ms(self._stopping, LOOK_MS)
