"""The loop that nothing is lost by: it goes round whatever happens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from worker import clock
from worker.errors import StoreUnavailable
from worker.telemetry.liveness import Liveness

log = logging.getLogger(__name__)

HEARTBEAT_MS = 1_000
AWAY_MS = 200
"""Between two tries while Redis is away."""
CRASH_PAUSE_MS = 1_000


class Sweep:
    """Calls what is to be called again and again, from a thread of its own.

    Args:
        beat: Called every second, and first of all once Redis is back.
        look: Called every `sweep_ms`; returns in how many ms at most to call it again.
        reached: Called once whenever Redis has come within reach.
        sweep_ms: Longest pause.
        stopping: Ends it.
    """

    def __init__(
        self,
        *,
        beat: Callable[[], None],
        look: Callable[[], float],
        reached: Callable[[], None],
        sweep_ms: float,
        stopping: threading.Event,
    ) -> None:
        self._beat = beat
        self._look = look
        self._reached = reached
        self._sweep_ms = sweep_ms
        self._stopping = stopping
        self.pulse = Liveness()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for its end, which `stopping` brings."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        away = reached = False
        beat_at = 0.0
        while not self._stopping.is_set():
            pause_ms = self._sweep_ms
            self.pulse.moved()
            try:
                if clock.monotonic_ms() >= beat_at:
                    self._beat()
                    beat_at = clock.monotonic_ms() + HEARTBEAT_MS
                pause_ms = min(pause_ms, self._look())
                if not reached:
                    self._reached()
                    reached = True
                self.pulse.answered()
                if away:
                    log.warning("Redis is back")
                away = False
            except StoreUnavailable as error:
                if not away:
                    log.warning("Redis is away: %s", error)
                away, reached, beat_at = True, False, 0.0
                pause_ms = AWAY_MS
            except Exception:
                log.exception("the sweep crashed; it goes on")
                pause_ms = CRASH_PAUSE_MS
            clock.wait_ms(self._stopping, pause_ms)
