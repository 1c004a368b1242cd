"""Supervisor of the processes of `up`: start, restart, stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from worker import clock
from worker.cli.errors import FAILED, MISUSED
from worker.errors import CancelWorkerError

log = logging.getLogger(__name__)

CHECK_MS = 100
BACKOFF_FIRST_MS = 500
BACKOFF_MAX_MS = 30_000
STABLE_MS = 60_000
"""A process that ran this long restarts without backoff when it ends."""


class Child(Protocol):
    """A supervised process."""

    name: str

    def start(self) -> None:
        """Start it.

        Raises:
            CancelWorkerError, OSError: It could not be started.
        """

    def exit_code(self) -> int | None:
        """Return the exit code; None while it runs."""

    def stop(self) -> bool:
        """Stop it within a bound; return whether it did not have to be killed."""


@dataclass(slots=True)
class _Supervised:
    child: Child
    running: bool = False
    started_ms: float = 0.0
    failures: int = 0
    retry_ms: float = 0.0
    steady: bool = False
    """Whether it has ever run for `STABLE_MS`."""


def backoff_ms(failures: int) -> int:
    """Return the pause before a restart, by the number of failures in a row."""
    return min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS << min(max(0, failures - 1), 16))


class Supervisor:
    """Starts processes in order, restarts those that end, stops them in reverse order.

    The processes of one stage are stopped at the same time.

    Exit code 2 means that the settings are wrong, which a restart cannot fix:
    everything is stopped. A process that has already run for `STABLE_MS` is
    restarted with backoff instead: its settings were changed while the others
    run, and may be corrected.

    Args:
        stages: Processes in order of start, by stage.
        stopping: Set to end the run.
    """

    def __init__(self, stages: Sequence[Sequence[Child]], stopping: threading.Event) -> None:
        self._stages = [[_Supervised(child) for child in stage] for stage in stages]
        self._all = [each for stage in self._stages for each in stage]
        self._stopping = stopping

    def run(self, *, on_started: Callable[[], None] = lambda: None) -> int:
        """Run until stopped; return the exit code once all processes have ended.

        Args:
            on_started: Called once all processes have been started.

        Raises:
            CancelWorkerError, OSError: A process could not be started. The
                started ones have been stopped.
        """
        code = 0
        try:
            for each in self._all:
                self._start(each)
            on_started()
            while not code and not clock.wait_ms(self._stopping, CHECK_MS):
                code = max(self._check(each) for each in self._all)
        finally:
            clean = self._stop()
        return code or (0 if clean else FAILED)

    def _check(self, each: _Supervised) -> int:
        if not each.running:
            if clock.monotonic_ms() >= each.retry_ms:
                try:
                    self._start(each)
                except (CancelWorkerError, OSError) as error:
                    self._failed(each, str(error))
            return 0
        ended = each.child.exit_code()
        if ended is None:
            return 0
        each.running = False
        if ended == MISUSED and not each.steady:
            log.error("%s ended: its settings are wrong (see above)", each.child.name)
            return MISUSED
        if clock.monotonic_ms() - each.started_ms > STABLE_MS:
            each.failures, each.steady = 0, True
        self._failed(each, f"ended with exit code {ended}")
        return 0

    def _start(self, each: _Supervised) -> None:
        each.child.start()
        each.running = True
        each.started_ms = clock.monotonic_ms()
        log.info("%s started", each.child.name)

    def _failed(self, each: _Supervised, reason: str) -> None:
        each.failures += 1
        pause_ms = backoff_ms(each.failures)
        each.retry_ms = clock.monotonic_ms() + pause_ms
        log.error("%s: %s; restarting it in %d ms", each.child.name, reason, pause_ms)

    def _stop(self) -> bool:
        """Stop all; return whether none had to be killed."""
        clean = True
        for stage in reversed(self._stages):
            running = [each.child for each in stage if each.running]
            with ThreadPoolExecutor(max_workers=len(stage)) as pool:
                clean = all([*pool.map(_stopped, running)]) and clean
        return clean


def _stopped(child: Child) -> bool:
    log.info("stopping %s", child.name)
    return child.stop()
