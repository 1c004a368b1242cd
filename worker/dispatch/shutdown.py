"""The end of a worker process, within a bound: what is in hand is finished or handed back.

Celery waits for its threads for as long as they take. Here a thread waits
beside it: when the time is up, or the worker is told a second time, what is
still being attempted goes back to the ledger, and the process ends.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable

import sentry_sdk

from worker import clock
from worker.dispatch.dispatcher import Dispatcher
from worker.errors import StoreUnavailable

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
HANDED_BACK, NOT_TOLD = 0, 1
"""Exit codes of a process whose time was up: whether Redis knows what was in hand.
If not, leases run out."""
FLUSH_S = 0.2
RESERVE_SHARE = 0.5
"""Most of the bound that may be kept for handing back."""


class Shutdown:
    """Ends this process, once told to, within a bound.

    Args:
        dispatcher: What is to be stopped.
        bound_ms: From being told until the process has ended.
        reserve_ms: How long handing back may take, Redis being away.
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
        self._left_ms = bound_ms - min(reserve_ms, bound_ms * RESERVE_SHARE)
        self._give_back: Callable[[], object] = lambda: None
        self._leave = leave
        self._told = threading.Event()
        self._at_once = threading.Event()

    def watch(self, give_back: Callable[[], object]) -> None:
        """Be ready: signals must not start threads.

        Args:
            give_back: Puts messages that were not acknowledged back to their queues.
        """
        self._give_back = give_back
        threading.Thread(target=self._wait, name="shutdown", daemon=True).start()

    def begin(self, *, at_once: bool = False) -> None:
        """Take nothing more; with `at_once`, hand back now. For signal handlers, too."""
        # An event that is set already is left alone: its lock may be held below us.
        self._dispatcher.stop_taking()
        if at_once and not self._at_once.is_set():
            self._at_once.set()
        if not self._told.is_set():
            self._told.set()

    def hear(self, stop: Callable[[], object]) -> None:
        """Take the signals: the first begins the end, the next means at once, as SIGQUIT does.

        In place of Celery's own handlers, whose second step does not work with
        threads. Does nothing in a thread that may not.

        Args:
            stop: Has Celery begin its own end; called in the signal's handler.
        """

        def handle(number: int, _frame: object) -> None:
            at_once = self._told.is_set() or number == signal.SIGQUIT
            self.begin(at_once=at_once)
            stop()

        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, handle)

    def _wait(self) -> None:
        self._told.wait()
        log.info("told to stop: finishing what is in hand, for %d ms at most", self._left_ms)
        clock.wait_ms(self._at_once, self._left_ms)
        code = NOT_TOLD
        try:
            count = self._dispatcher.hand_back()
            code = HANDED_BACK
            log.warning("time is up: %d jobs in mid-attempt handed back", count)
        except StoreUnavailable as error:
            log.warning("time is up, and Redis is away: leases run out by themselves: %s", error)
        except Exception:
            log.exception("time is up, and what is in hand cannot be handed back")
        finally:
            try:
                self._give_back()
            except Exception:  # noqa: BLE001  other workers find them after a while
                log.warning("messages could not be given back; they come back by themselves")
            sentry_sdk.flush(timeout=FLUSH_S)
            for handler in logging.getLogger().handlers:
                handler.flush()
            self._leave(code)
