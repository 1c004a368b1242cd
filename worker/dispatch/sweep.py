"""Background loop that finds due jobs without a doorbell."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from worker import clock
from worker.errors import StoreUnavailable
from worker.telemetry.liveness import Liveness

log = logging.getLogger(__name__)

HEARTBEAT_MS = 1_000
REDIS_DOWN_MS = 200
"""Pause between two tries while Redis is down."""
CRASH_PAUSE_MS = 1_000


class Sweep:
    """A thread that sends heartbeats and polls for due jobs until `stopping` is set.

    An error never ends it. Redis going down and coming back is logged once each.

    Args:
        beat: Called every second, and first of all once Redis is back.
        poll: Called at least every `sweep_ms`; returns in how many ms to call it again.
        connected: Called once each time Redis has become reachable.
        sweep_ms: Longest pause.
        stopping: Ends the loop.
    """

    def __init__(
        self,
        *,
        beat: Callable[[], None],
        poll: Callable[[], float],
        connected: Callable[[], None],
        sweep_ms: float,
        stopping: threading.Event,
    ) -> None:
        self._beat = beat
        self._poll = poll
        self._connected = connected
        self._sweep_ms = sweep_ms
        self._stopping = stopping
        self.liveness = Liveness()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread has ended; set `stopping` first."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        down = connected = False
        beat_at = 0.0
        while not self._stopping.is_set():
            pause_ms = self._sweep_ms
            self.liveness.moved()
            try:
                if clock.monotonic_ms() >= beat_at:
                    self._beat()
                    beat_at = clock.monotonic_ms() + HEARTBEAT_MS
                pause_ms = min(pause_ms, self._poll())
                if not connected:
                    self._connected()
                    connected = True
                self.liveness.answered()
                if down:
                    log.warning("Redis is back")
                down = False
            except StoreUnavailable as error:
                if not down:
                    log.warning("Redis is down: %s", error)
                down, connected, beat_at = True, False, 0.0
                pause_ms = REDIS_DOWN_MS
            except Exception:
                log.exception("the sweep crashed; it continues")
                pause_ms = CRASH_PAUSE_MS
            clock.wait_ms(self._stopping, pause_ms)
