"""Sees when the machine itself stood still, which is no fault of the program's."""

from __future__ import annotations

import threading
from typing import Self

from tests.chaos.history import Fault
from worker import clock

PULSE_MS = 20
STALL_MS = 250
"""A thread that asked for 20 ms and got this has shown that others waited too."""


class Pulse(threading.Thread):
    """A thread that does nothing but notice when it was not let do so."""

    def __init__(self) -> None:
        super().__init__(name="pulse", daemon=True)
        self.stalls: list[Fault] = []
        self._stopping = threading.Event()

    def run(self) -> None:
        """Beat until stopped."""
        last = clock.now_ms()
        while not clock.wait_ms(self._stopping, PULSE_MS):
            now = clock.now_ms()
            if now - last > STALL_MS:
                self.stalls.append(Fault("machine.stall", "machine", last, now))
            last = now

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stopping.set()
        self.join()
