"""Celery beat with a lease in Redis: of several instances only one ticks."""

from __future__ import annotations

import logging
import signal
from typing import Any

from celery.beat import Scheduler

from worker.config.settings import load_settings
from worker.errors import StoreUnavailable
from worker.net.process import process_name
from worker.store.connection import Store, unavailable
from worker.store.doorbell import LATER, queue_key
from worker.store.opening import build_store
from worker.telemetry.liveness import Liveness
from worker.telemetry.sentry import CheckIns

log = logging.getLogger(__name__)

LEASE_MS = 3_000
LOOK_S = 0.5
KEY = "beat"
QUEUE = queue_key("celery", LATER)
TICKS_MAX = 3
"""Maximum queued ticks. A running worker keeps the queue empty."""


class LeaseScheduler(Scheduler):
    """A scheduler that ticks only while it holds a lease in Redis.

    If the holder dies, another instance takes the lease within `LEASE_MS`. After a
    lost lease two instances may tick until the first one notices. An extra tick is
    harmless: ticks carry no state.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Celery's signature
        self._store: Store = build_store(load_settings())
        self._name = process_name()
        self._held: bool | None = None
        self._down = False
        self._stopping = False
        self._check_ins = CheckIns()
        self.liveness = Liveness()
        super().__init__(*args, **kwargs)

    def handle_signals(self) -> None:
        """Have SIGTERM and SIGINT end the process at its next tick, `LOOK_S` later at most.

        Celery's own handler raises `SystemExit`. Python discards an exception raised while a
        finalizer or a weak reference's callback runs, and that signal would be lost.
        """

        def stop(_number: int, _frame: object) -> None:
            self._stopping = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)

    def tick(self, *args: Any, **kwargs: Any) -> float:  # noqa: ANN401  Celery's signature
        """Send due ticks if this instance holds the lease; return seconds to the next call.

        Raises:
            SystemExit: A signal asked this process to end.
        """
        if self._stopping:
            raise SystemExit
        self.liveness.moved()
        try:
            held = self._store.run("lease", KEY, self._name, LEASE_MS) == 1
        except StoreUnavailable as error:
            if not self._down:
                log.warning("Redis is down: %s", error)
            self._held, self._down = None, True
            return LOOK_S
        self._down = False
        self.liveness.answered()
        if held is not self._held:
            log.info("beat: %s", "ticking" if held else "standby; another instance ticks")
        self._held = held
        if not held:
            return LOOK_S
        next_s = float(super().tick(*args, **kwargs))
        self._check_ins.beat()
        return min(LOOK_S, next_s)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:  # noqa: ANN401  Celery's signature
        """Send a tick, unless `TICKS_MAX` are queued: without a worker they would pile up."""
        try:
            with unavailable():
                waiting = int(self._store.client.llen(self._store.key(QUEUE)))  # type: ignore[arg-type]
        except StoreUnavailable as error:
            log.warning("Redis is down: %s", error)
            return
        if waiting < TICKS_MAX:
            super().apply_entry(entry, producer)

    def close(self) -> None:
        """Release the lease, so that another instance takes over at once."""
        self.liveness.stopping()
        if self._held:
            try:
                # Releases our own lease only: another instance may hold it by now.
                self._store.run("lease", KEY, self._name, 0)
            except StoreUnavailable:
                log.warning("Redis is down; the lease will expire")
        super().close()
