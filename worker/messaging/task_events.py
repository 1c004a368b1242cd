"""What workers tell Flower of their tasks, without the secrets they hold.

A worker sends events only while somebody asks for them, as Flower does every
5 s. This program's own messages hold no secret; one that another Celery client
sends may, and an error may repeat it.
"""

from __future__ import annotations

from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher

from worker.messaging.runtime import runtime


class MaskingDispatcher(EventDispatcher):
    """Masks the secrets of the settings in every field of an event."""

    def send(self, type: str, *args: Any, **fields: Any) -> Any:  # noqa: A002, ANN401  Celery's signature
        """Send one event; nothing is masked, as nothing is sent, while none are wanted."""
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
