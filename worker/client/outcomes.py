"""Call back when jobs end: one thread for all tickets of a process."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from worker import clock
from worker.client.ticket import Result, read_result
from worker.errors import StoreUnavailable
from worker.model.jobs import State
from worker.store.listing import Listing

log = logging.getLogger(__name__)

POLL_MS = 50
DOWN_MS = 1_000
"""Pause after Redis did not answer."""
OnOutcome = Callable[[Result], None]
_watchers: WeakKeyDictionary[Listing, OutcomeWatcher] = WeakKeyDictionary()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Waiting:
    job_id: str
    callback: OnOutcome
    until_ms: float


class OutcomeWatcher:
    """Polls the jobs that callbacks wait for; its thread ends when none is left."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._thread: threading.Thread | None = None
        self.pid = os.getpid()

    def add(self, job_id: str, callback: OnOutcome, *, budget_ms: float) -> None:
        """Call `callback` once the job has ended, or after `budget_ms` with its state then."""
        waiting = _Waiting(job_id, callback, clock.monotonic_ms() + budget_ms)
        with self._lock:
            self._waiting.append(waiting)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="cancel-worker outcomes", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                waiting = [*self._waiting]
                if not waiting:
                    self._thread = None
                    break
            clock.sleep_ms(POLL_MS if self._look(waiting) else DOWN_MS)
        with _lock:  # so that the producer can be freed
            if _watchers.get(self._listing) is self:
                del _watchers[self._listing]

    def _look(self, waiting: list[_Waiting]) -> bool:
        """Call what is due; return whether Redis answered."""
        try:
            jobs = self._listing.many([each.job_id for each in waiting])
        except StoreUnavailable as error:
            log.warning("outcomes cannot be read: %s", error)
            return False
        now_ms = clock.monotonic_ms()
        for each, job in zip(waiting, jobs, strict=True):
            result = read_result(job)
            if result.state is State.PENDING and now_ms < each.until_ms:
                continue
            with self._lock:
                self._waiting.remove(each)
            try:
                each.callback(result)
            except Exception:
                log.exception("the callback of job %s failed", each.job_id)
        return True


def watcher_of(listing: Listing) -> OutcomeWatcher:
    """Return the watcher of a producer's ledger; a forked child has its own."""
    with _lock:
        watcher = _watchers.get(listing)
        if watcher is None or watcher.pid != os.getpid():
            watcher = _watchers[listing] = OutcomeWatcher(listing)
        return watcher
