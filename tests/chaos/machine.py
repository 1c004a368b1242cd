"""Sees when the machine itself was stopped, which is no fault of the program's."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Self

from tests.chaos.history import Fault
from worker import clock

PULSE_MS = 20
STALL_MS = 250
"""A thread that asked for 20 ms and got this has shown that others waited too."""
LOOK_MS = 1_000
STARVED = 0.8
"""Part of the time in which a ready process had to wait for a processor."""
PRESSURE = Path("/proc/pressure/cpu")


class Pulse(threading.Thread):
    """A thread that notices when it was not let run, or when others were not.

    How long others waited is asked of the kernel, where it reports that.
    """

    def __init__(self) -> None:
        super().__init__(name="pulse", daemon=True)
        self.stalls: list[Fault] = []
        self._stopping = threading.Event()

    def run(self) -> None:
        """Beat until stopped."""
        last = looked = clock.now_ms()
        waited_ms = _waited_ms()
        while not clock.wait_ms(self._stopping, PULSE_MS):
            now = clock.now_ms()
            if now - last > STALL_MS:
                self.stalls.append(Fault("machine.stall", "machine", last, now))
            last = now
            if now - looked >= LOOK_MS:
                more_ms = _waited_ms()
                if more_ms - waited_ms > STARVED * (now - looked):
                    self.stalls.append(Fault("machine.starved", "machine", looked, now))
                looked, waited_ms = now, more_ms

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stopping.set()
        self.join()


def _waited_ms() -> float:
    """Return for how long, in all, a process has waited for a processor; 0 if unknown."""
    try:
        some = PRESSURE.read_text().splitlines()[0]
    except (OSError, IndexError):
        return 0.0
    return int(some.rpartition("total=")[2]) / 1_000
