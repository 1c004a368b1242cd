"""The worker's Celery application, which notes when an order passes each stage.

For `stages.py`: `celery -A tests.benchmarks.traced worker`. The file that `TRACE` names gets a
line a stage, `stage ns` by the monotonic clock, which all processes of a host share.
"""

from __future__ import annotations

import atexit
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker import tasks
from worker.celery_app import app
from worker.dispatch.dispatcher import Dispatcher
from worker.gateway.http.transport import Transport
from worker.gateway.sender import Sender
from worker.messaging.broker import Channel
from worker.store.ledger import Ledger
from worker.store.limiter import Limiter

TRACE = "BENCH_TRACE"
_noted: list[tuple[str, int]] = []


def note(owner: Any, name: str, *, before: str = "", after: str = "") -> None:
    """Have a method note a stage when it begins, or when it has returned."""
    method: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(method)
    def noting(*args: Any, **options: Any) -> Any:
        if before:
            _noted.append((before, time.monotonic_ns()))
        answer = method(*args, **options)
        if after:
            _noted.append((after, time.monotonic_ns()))
        return answer

    setattr(owner, name, noting)


def _write() -> None:
    lines = [f"{stage} {at_ns}\n" for stage, at_ns in _noted]
    Path(os.environ[TRACE]).write_text("".join(lines))


note(Channel, "_brpop_read", before="read", after="received")
note(Dispatcher, "answer", before="task")
note(Dispatcher, "_run_one", before="thread")
note(Ledger, "claim", before="claim", after="claimed")
note(Limiter, "reserve", after="slot")
note(Sender, "send", before="sign")
note(Transport, "send", before="send", after="reply")
note(Ledger, "settle", before="settle", after="settled")
if TRACE in os.environ:
    atexit.register(_write)

__all__ = ["app", "tasks"]
