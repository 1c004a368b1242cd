"""An event that a signal handler may set."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue


class SignalEvent(threading.Event):
    """An event, set once, that the handler of a signal may set.

    `threading.Event.set` takes a lock. A handler that interrupts `wait` or `set` of its own
    thread while that lock is held never returns.
    """

    def __init__(self) -> None:
        super().__init__()
        self._happened = False
        self._wake: SimpleQueue[None] = SimpleQueue()

    def is_set(self) -> bool:
        """Return whether it has been set."""
        return self._happened

    def set(self) -> None:
        """Set it, and wake all who wait."""
        self._happened = True
        self._wake.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most `timeout` seconds; return whether it is set."""
        if not self._happened:
            try:
                self._wake.get(timeout=timeout)
            except Empty:
                return self._happened
            self._wake.put(None)  # for others that wait
        return self._happened
