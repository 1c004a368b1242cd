"""Process messages in the order in which this process read them, across threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from worker import clock

WAIT_MAX_MS = 1_000
"""Maximum wait for earlier messages; after it they are skipped."""


class Turns:
    """A queue of messages: each waits for the earlier ones. Safe to use from many threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, None] = {}

    def enter(self, tag: str) -> None:
        """Add a message at the end of the queue."""
        with self._changed:
            self._waiting[tag] = None

    def leave(self, tag: str) -> None:
        """Remove a message from the queue, if it is there."""
        if tag not in self._waiting:
            return
        with self._changed:
            self._waiting.pop(tag, None)
            self._changed.notify_all()

    @contextmanager
    def turn(self, tag: str, *, ordered: bool = True) -> Iterator[None]:
        """Wait for earlier messages, at most `WAIT_MAX_MS`; leave the queue on exit.

        With `ordered` false it does not wait.
        """
        until_ms = clock.monotonic_ms() + WAIT_MAX_MS
        try:
            with self._changed:
                while ordered and tag in self._waiting and next(iter(self._waiting)) != tag:
                    left_ms = until_ms - clock.monotonic_ms()
                    if left_ms <= 0:
                        self._drop_before(tag)
                        break
                    self._changed.wait(left_ms / 1_000)
            yield
        finally:
            self.leave(tag)

    def _drop_before(self, tag: str) -> None:
        """Remove earlier messages: their thread is stuck, or their connection was lost."""
        for other in list(self._waiting):
            if other == tag:
                return
            del self._waiting[other]


countdowns = Turns()
"""Countdown messages of this process without `sent_ms`."""
