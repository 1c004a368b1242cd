"""The processes that `up` keeps alive."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from worker import clock
from worker.cli.data_folder import forget_port, remember_port
from worker.embedded import EmbeddedRedis

log = logging.getLogger(__name__)

GRACE_MS = 5_000
"""Beyond the worker's own bound, before it is killed."""
LOOK_MS = 20


class WorkerChild:
    """`celery -A worker.celery_app worker` as a child process.

    It has a session of its own, so that Ctrl-C reaches the supervisor alone;
    its output goes to the supervisor's standard error.

    Args:
        environment: Of the child.
        shutdown_ms: How long the worker itself takes to stop at most.
        hurry: Set to have it killed without further waiting.
    """

    name = "worker"

    def __init__(
        self, environment: Mapping[str, str], *, shutdown_ms: int, hurry: threading.Event
    ) -> None:
        self._environment = dict(environment)
        self._bound_ms = shutdown_ms + GRACE_MS
        self._hurry = hurry
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "celery", "-q", "-A", "worker.celery_app", "worker"]
        command += ["--without-gossip", "--without-mingle"]
        self._process = subprocess.Popen(  # noqa: S603  our own arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            env=self._environment,
            start_new_session=True,
        )

    def exit_code(self) -> int | None:
        """Return the code that it ended with; None while it runs."""
        return None if self._process is None else self._process.poll()

    def stop(self) -> bool:
        """Let it end what it is at; kill it if that takes too long."""
        process = self._process
        if process is None:
            return True
        process.terminate()
        until = clock.monotonic_ms() + self._bound_ms
        while process.poll() is None:
            if self._hurry.is_set() or clock.monotonic_ms() > until:
                log.error("the worker did not stop in time; killing it")
                process.kill()
                process.wait()
                return False
            clock.wait_ms(self._hurry, LOOK_MS)
        return True


class RedisChild:
    """The embedded Redis as a part, on the same port whenever it restarts."""

    name = "redis"

    def __init__(self, folder: Path, *, port: int | None) -> None:
        self.folder = folder
        self._server = EmbeddedRedis(folder, port=port)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._server.url

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            StoreUnavailable: It did not start.
        """
        remember_port(self.folder, self._server.port)
        self._server.start()

    def exit_code(self) -> int | None:
        """Return the code that it ended with; None while it runs."""
        process = self._server.process
        return None if process is None else process.poll()

    def stop(self) -> bool:
        """Stop it, its data written."""
        self._server.stop()
        forget_port(self.folder)
        return True
