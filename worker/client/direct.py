"""The direct path of a producer: imported only when it is used, as it needs `[worker]`."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from worker.client.ticket import Result, read_result
from worker.config.client_settings import ProducerSettings
from worker.config.settings import Settings, load_settings
from worker.direct.runner import Direct
from worker.exchanges.base import Exchange
from worker.factory import build_direct
from worker.model.jobs import NewJob


class DirectSender:
    """Sends cancels from this process. Safe to use from many threads, and after a fork.

    Args:
        settings: Of the producer; if it read only a part, all are read now.

    Raises:
        SettingsError: A setting is wrong.
    """

    def __init__(self, settings: ProducerSettings) -> None:
        self._settings = settings if isinstance(settings, Settings) else load_settings()
        self._built: tuple[int, Direct] | None = None
        self._lock = threading.Lock()

    def exchange(self, account: str) -> Exchange:
        """Return the exchange of an account in the settings.

        Raises:
            UnknownAccount: The settings have no such account.
        """
        return self._settings.account(account).adapter

    def run(self, jobs: Sequence[NewJob], *, timeout_ms: int) -> list[Result]:
        """Run jobs and return their results, in the order given.

        Raises:
            SettingsError: A secret is missing. Nothing was sent.
        """
        done = self._direct.run(jobs, timeout_ms=timeout_ms).jobs
        return [read_result(job) for job in done[: len(jobs)]]

    @property
    def _direct(self) -> Direct:
        """The sender of this process; a forked child builds its own."""
        with self._lock:
            if self._built is None or self._built[0] != os.getpid():
                self._built = os.getpid(), build_direct(self._settings)
            return self._built[1]
