"""Messages of one process in the order in which they were read, whatever threads do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from worker import clock

WAIT_MAX_MS = 1_000
"""What is not done by then keeps those behind it no longer."""


class Turns:
    """Lets what was read first be done first. Safe to use from many threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, None] = {}

    def enter(self, tag: str) -> None:
        """Take the next place for a message."""
        with self._changed:
            self._waiting[tag] = None

    def leave(self, tag: str) -> None:
        """Give a place up, if the message has one."""
        if tag not in self._waiting:
            return
        with self._changed:
            self._waiting.pop(tag, None)
            self._changed.notify_all()

    @contextmanager
    def turn(self, tag: str, *, ordered: bool = True) -> Iterator[None]:
        """Wait until all that was read before is done, for a while at most; then leave.

        Without `ordered` there is nothing to wait for.
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
        """Forget what was read before: its thread is stuck, or its connection was lost."""
        for other in list(self._waiting):
            if other == tag:
                return
            del self._waiting[other]


countdowns = Turns()
"""The countdown messages of this process that say not when they were sent."""
