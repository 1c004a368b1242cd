"""Shutdown of a worker process within a bound: jobs in progress are finished or handed back.

Celery waits for its threads as long as they take. Here another thread waits beside
it: when the time is up, or on a second signal, it hands the jobs that are still being
attempted back to the ledger and ends the process.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable

from worker import clock
from worker.dispatch.dispatcher import Dispatcher
from worker.errors import StoreUnavailable
from worker.telemetry import sentry

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
HANDED_BACK, NOT_HANDED_BACK = 0, 1
"""Exit codes when the time is up. With 1 the jobs in progress wait for their leases."""
FLUSH_S = 0.2
RESERVE_SHARE = 0.5
"""Largest part of the bound that may be kept for handing back."""


class Shutdown:
    """Ends this process within a bound once shutdown has begun.

    Args:
        dispatcher: Stops claiming, then hands back.
        bound_ms: From the beginning of shutdown until the process has ended.
        reserve_ms: How long handing back may take with Redis down.
        leave: Ends the process with an exit code, whatever its threads do.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        bound_ms: int,
        reserve_ms: int,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._dispatcher = dispatcher
        self._finish_ms = bound_ms - min(reserve_ms, bound_ms * RESERVE_SHARE)
        self._requeue: Callable[[], object] = lambda: None
        self._leave = leave
        self._begun = threading.Event()
        self._at_once = threading.Event()

    def watch(self, requeue: Callable[[], object]) -> None:
        """Start the thread that waits; a signal handler must not start one.

        Args:
            requeue: Returns messages that were not acknowledged to their queues.
        """
        self._requeue = requeue
        threading.Thread(target=self._wait, name="shutdown", daemon=True).start()

    def begin(self, *, at_once: bool = False) -> None:
        """Begin shutdown; Celery calls this for every cause. Safe in a signal handler.

        Args:
            at_once: Hand back now, without waiting for jobs in progress.
        """
        # Events that are set are left alone: code below this handler may hold their lock.
        self._dispatcher.stop_claiming()
        if at_once and not self._at_once.is_set():
            self._at_once.set()
        if not self._begun.is_set():
            self._begun.set()

    def handle_signals(self, stop: Callable[[], object]) -> None:
        """Handle SIGTERM, SIGINT and SIGQUIT in place of Celery.

        The first begins shutdown; a second one, or SIGQUIT, hands back at once. Celery's
        own second step does not work with threads. Does nothing outside the main thread.

        Args:
            stop: Makes Celery stop; called in the signal handler.
        """

        def handle(number: int, _frame: object) -> None:
            at_once = self._begun.is_set() or number == signal.SIGQUIT
            self.begin(at_once=at_once)
            stop()

        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, handle)

    def _wait(self) -> None:
        self._begun.wait()
        log.info("shutdown: finishing jobs in progress for up to %d ms", self._finish_ms)
        clock.wait_ms(self._at_once, self._finish_ms)
        code = NOT_HANDED_BACK
        try:
            count = self._dispatcher.hand_back()
            code = HANDED_BACK
            log.warning("shutdown: handed back %d jobs in mid-attempt", count)
        except StoreUnavailable as error:
            log.warning("shutdown: Redis is down, jobs wait for their leases: %s", error)
        except Exception:
            log.exception("shutdown: jobs in progress could not be handed back")
        finally:
            try:
                self._requeue()
            except Exception:  # noqa: BLE001  they come back by themselves
                log.warning("shutdown: messages not requeued; they return after a timeout")
            if sdk := sentry.sdk():
                sdk.flush(timeout=FLUSH_S)
            for handler in logging.getLogger().handlers:
                handler.flush()
            self._leave(code)
