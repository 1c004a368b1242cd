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
    """Masks the secrets of the settings in every field of an event."""

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
