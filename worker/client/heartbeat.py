"""Heartbeats from a thread, as long as the strategy makes progress."""

from __future__ import annotations

import math
import os
import threading
from types import TracebackType
from typing import Self

from worker import clock
from worker.client.beating import Beating, OnError, timeout_of
from worker.client.pulse import Pulse
from worker.client.switch import Switch

JOIN_MS = 2_000
"""Longest wait for a heartbeat under way when stopping."""


class Heartbeat(Beating[Switch]):
    """Sends a switch's heartbeats from a thread while the strategy reports progress.

    A heartbeat is sent every third of the timeout. Each moves the deadline to the latest
    `progress()` plus one timeout, never further: if the loop is stuck, the switch trips
    one timeout after its last progress, however well this thread runs.

        with Heartbeat(switch) as heart:
            while trading():
                heart.progress()

    Redis outages are ridden out up to the deadline. Leaving the block stops the
    heartbeats and nothing else: `switch.disarm()` ends the switch. A forked child sends
    none unless `start` is called there. Under gevent's patched threads it runs as a
    greenlet, under asyncio as a thread; `AsyncHeartbeat` is a task of the event loop.

    Args:
        switch: An armed switch.
        on_error: Called from the thread, once, when the switch has ended for this holder
            (`SwitchTripped`, `SwitchReplaced`, ...), or when no heartbeat has reached
            Redis by the deadline (`StoreUnavailable`).
    """

    def __init__(self, switch: Switch, *, on_error: OnError | None = None) -> None:
        super().__init__(switch, on_error=on_error)
        if not switch.timeout_ms:
            self._pulse.timeout_ms = timeout_of(switch, switch.record())
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._stopping = False

    def progress(self) -> None:
        """Report that the strategy's loop makes progress. Takes about a microsecond.

        Raises:
            SwitchTripped: The deadline has passed; the orders are being canceled.
            SwitchReplaced: The same scope or name was armed again, elsewhere.
            SwitchError: The switch has ended otherwise.
            StoreUnavailable: No heartbeat has reached Redis by the deadline.
        """
        pulse = self._pulse
        pulse.progress_ms = now_ms = clock.monotonic_ms()
        if pulse.error is not None:
            raise pulse.error.with_traceback(None)
        if now_ms >= pulse.prompt_ms and self._pid == os.getpid():
            pulse.prompt_ms = math.inf
            self._wake.set()

    def start(self) -> None:
        """Start the heartbeats, which counts as progress. Starting twice is no error.

        In a forked child this starts heartbeats of its own.
        """
        if self._pid == os.getpid() and self._thread is not None and self._thread.is_alive():
            return
        self._begin()
        self._wake = threading.Event()  # that of a forked parent may be held
        self._pid, self._stopping = os.getpid(), False
        self._thread = threading.Thread(
            target=self._run, name=f"heartbeat {self.switch.id}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop the heartbeats. The switch stays armed, and trips unless it is disarmed."""
        if self._pid != os.getpid() or self._thread is None:
            return
        self._stopping = True
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_MS / 1_000)
        self._thread = None

    def __enter__(self) -> Self:
        """Start the heartbeats."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the heartbeats."""
        self.stop()

    def _run(self) -> None:
        pulse, wake = self._pulse, self._wake
        due_ms = 0.0
        while self._runs(pulse) and not pulse.ended:
            clock.wait_ms(wake, due_ms - clock.monotonic_ms())
            wake.clear()
            if self._runs(pulse):
                due_ms = self._beat(pulse)

    def _runs(self, pulse: Pulse) -> bool:
        """Return whether the start that made this pulse is still in force.

        A thread that `stop` could not wait for may meet a later start.
        """
        return pulse is self._pulse and not self._stopping

    def _beat(self, pulse: Pulse) -> float:
        """Send one heartbeat; return when the next one is due."""
        sent_ms, since_ms = clock.monotonic_ms(), pulse.progress_ms
        try:
            self.switch.beat(since_ms=since_ms)
        except Exception as error:  # noqa: BLE001  the strategy learns of it by the deadline
            return self._failed(error)
        return pulse.beaten(since_ms, sent_ms=sent_ms)
