"""Real worker processes, for tests to start, freeze and kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.forks import ForkedProcess
from tests.support.polling import eventually

READY = "celery@"
START_MS = 90_000


class WorkerProcess:
    """`celery -A worker.celery_app worker`, on a settings file.

    Args:
        config: The settings file.
        log: Where its output goes.
        app: Another Celery application.
        options: More arguments of the command.
        command: `worker` or `beat`.
        fresh: Start a new interpreter, as a user does, not a fork with the imports done.
    """

    def __init__(
        self,
        config: Path,
        log: Path,
        *,
        app: str = "worker.celery_app",
        options: tuple[str, ...] = (),
        command: str = "worker",
        environment: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> None:
        self.log = log
        self.config = config
        self._command = ["-A", app, command, *options]
        self._environment = {**os.environ, "WORKER_CONFIG": str(config), **(environment or {})}
        self._fresh = fresh
        self.process: subprocess.Popen[bytes] | ForkedProcess | None = None

    def start(self, *, wait: bool = True) -> WorkerProcess:
        """Start it; by default, wait until it takes messages."""
        with self.log.open("ab") as out:
            begin = out.tell()
            if self._fresh:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "celery", *self._command],
                    stdout=out,
                    stderr=out,
                    env=self._environment,
                )
            else:
                self.process = ForkedProcess(self._command, self._environment, out)
        if wait:
            self.wait_ready(begin)
        return self

    def wait_ready(self, begin: int = 0) -> None:
        """Wait until it takes messages."""

        def ready() -> bool:
            assert self.process is not None
            text = self.text(begin)
            assert self.process.poll() is None, text[-3000:]
            return " ready." in text

        eventually(ready, within_ms=START_MS, what="worker ready")

    def text(self, begin: int = 0) -> str:
        """Return its output."""
        return self.log.read_bytes()[begin:].decode(errors="replace")

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
