"""Keeping the parts of one machine alive, and stopping them together."""

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

LOOK_MS = 100
BACKOFF_FIRST_MS = 500
BACKOFF_MAX_MS = 30_000
STABLE_MS = 60_000
"""A part that lived so long has not failed at once, and restarts at once."""


class Part(Protocol):
    """One process that is kept alive."""

    name: str

    def start(self) -> None:
        """Start it.

        Raises:
            CancelWorkerError, OSError: It cannot be started now.
        """

    def exit_code(self) -> int | None:
        """Return the code that it ended with; None while it runs."""

    def stop(self) -> bool:
        """Stop it within a bound; return whether it ended by itself."""


@dataclass(slots=True)
class _Kept:
    part: Part
    running: bool = False
    started_ms: float = 0.0
    failures: int = 0
    retry_ms: float = 0.0
    steady: bool = False
    """Whether it has once run for long."""


def backoff_ms(failures: int) -> int:
    """Return how long to wait after so many failures in a row."""
    return min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS << min(max(0, failures - 1), 16))


class Supervisor:
    """Starts parts in order, restarts those that die, stops them in reverse.

    Those of one stage are stopped at the same time, so that many take no longer.

    A part that ends with exit code 2 says that its settings are wrong, which
    no restart mends: all is stopped. Not so once it has run well: then somebody
    has changed them under those that still do, and it waits for their mending.

    Args:
        stages: What is needed first comes first.
        stopping: Set by whoever wants an end.
    """

    def __init__(self, stages: Sequence[Sequence[Part]], stopping: threading.Event) -> None:
        self._stages = [[_Kept(part) for part in stage] for stage in stages]
        self._kept = [kept for stage in self._stages for kept in stage]
        self._stopping = stopping

    def run(self, *, on_started: Callable[[], None] = lambda: None) -> int:
        """Return the exit code once all parts have stopped.

        Args:
            on_started: Called once all parts have been started.

        Raises:
            CancelWorkerError, OSError: A part could not be started at first.
                All that had been started is stopped.
        """
        code = 0
        try:
            for kept in self._kept:
                self._start(kept)
            on_started()
            while not code and not clock.wait_ms(self._stopping, LOOK_MS):
                code = max(self._look(kept) for kept in self._kept)
        finally:
            clean = self._stop()
        return code or (0 if clean else FAILED)

    def _look(self, kept: _Kept) -> int:
        if not kept.running:
            if clock.monotonic_ms() >= kept.retry_ms:
                try:
                    self._start(kept)
                except (CancelWorkerError, OSError) as error:
                    self._failed(kept, str(error))
            return 0
        ended = kept.part.exit_code()
        if ended is None:
            return 0
        kept.running = False
        if ended == MISUSED and not kept.steady:
            log.error("%s ended: its settings are wrong (see above)", kept.part.name)
            return MISUSED
        if clock.monotonic_ms() - kept.started_ms > STABLE_MS:
            kept.failures, kept.steady = 0, True
        self._failed(kept, f"it ended with code {ended}")
        return 0

    def _start(self, kept: _Kept) -> None:
        kept.part.start()
        kept.running = True
        kept.started_ms = clock.monotonic_ms()
        log.info("%s started", kept.part.name)

    def _failed(self, kept: _Kept, reason: str) -> None:
        kept.failures += 1
        pause_ms = backoff_ms(kept.failures)
        kept.retry_ms = clock.monotonic_ms() + pause_ms
        log.error("%s: %s; starting it again in %d ms", kept.part.name, reason, pause_ms)

    def _stop(self) -> bool:
        """Return whether all ended by themselves."""
        clean = True
        for stage in reversed(self._stages):
            running = [kept.part for kept in stage if kept.running]
            with ThreadPoolExecutor(max_workers=len(stage)) as pool:
                clean = all([*pool.map(_stopped, running)]) and clean
        return clean


def _stopped(part: Part) -> bool:
    log.info("stopping %s", part.name)
    return part.stop()
