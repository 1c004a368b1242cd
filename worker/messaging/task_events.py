"""Task events for Flower, with secrets masked.

A worker sends events only while a monitor requests them; Flower does so every 5 s.
This program's own messages contain no secret. A message of another Celery client may,
and an error may repeat it.
"""

from __future__ import annotations

from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher

from worker.messaging.runtime import runtime


class MaskingDispatcher(EventDispatcher):
    """Masks the secrets of the settings in every field of an event, and loses no event.

    Celery buffers task events for its event loop. It clears that buffer while the threads
    of the pool append to it, so events are lost and ended tasks look unfinished. Here each
    thread publishes its own events, one at a time over one connection.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  Celery's signature
        super().__init__(*args, **{**options, "buffer_group": None, "on_send_buffered": None})

    def send(self, type: str, *args: Any, **fields: Any) -> Any:  # noqa: A002, ANN401  Celery's signature
        """Send one event, masked; does nothing while events are disabled."""
        if self.enabled:
            mask = runtime().mask
            fields = {
                name: mask(value) if isinstance(value, str) else value
                for name, value in fields.items()
            }
        return super().send(type, *args, **fields)


class Events(CeleryEvents):
    """Celery's events, sent by `MaskingDispatcher`."""

    dispatcher_cls = "worker.messaging.task_events:MaskingDispatcher"
