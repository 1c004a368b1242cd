"""The child processes of `up`."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from worker import clock
from worker.cli.launch import celery_command
from worker.cli.up.data_folder import forget_port, remember_port
from worker.config.accounts import CREDENTIALS
from worker.store.embedded import EmbeddedRedis

log = logging.getLogger(__name__)

GRACE_MS = 5_000
"""Time after a child's own shutdown bound before it is killed."""
HURRY_MS = 2_000
"""Time before it is killed after a second SIGTERM, on which it returns its jobs at once."""
WEB_STOP_MS = 3_000
"""How long requests under way may take in the web process: its `STOP_S`."""
POLL_MS = 20
SECRET = re.compile(rf"WORKER_ACCOUNTS__.*__({'|'.join(CREDENTIALS)})(_FILE)?", re.IGNORECASE)
"""Variables that only workers need."""


class ProcessChild:
    """A worker, Celery beat or the web process as a child process.

    It runs in a session of its own, so that Ctrl-C reaches only the supervisor.
    Its output goes to the supervisor's standard error.

    Args:
        name: Name in the log.
        command: Program and arguments.
        environment: Environment of the child.
        stop_ms: Longest time that the child's own shutdown takes.
        hurry: When set, `stop` sends a second SIGTERM and soon kills the child.
    """

    def __init__(
        self,
        name: str,
        *command: str,
        environment: Mapping[str, str],
        stop_ms: int,
        hurry: threading.Event,
    ) -> None:
        self.name = name
        self._command = [*command]
        self._environment = dict(environment)
        self._bound_ms = stop_ms + GRACE_MS
        self._hurry = hurry
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(  # noqa: S603  our own arguments
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            env=self._environment,
            start_new_session=True,
        )

    def exit_code(self) -> int | None:
        """Return the exit code; None while it runs."""
        return None if self._process is None else self._process.poll()

    def stop(self) -> bool:
        """Stop it gracefully; kill it after the bound. Return whether it stopped by itself."""
        process = self._process
        if process is None:
            return True
        process.terminate()
        until = clock.monotonic_ms() + self._bound_ms
        hurried = False
        while process.poll() is None:
            if self._hurry.is_set() and not hurried:
                hurried = True
                until = clock.monotonic_ms() + HURRY_MS
                process.terminate()
            if clock.monotonic_ms() > until:
                log.error("the %s did not stop in time; killing it", self.name)
                process.kill()
                process.wait()
                return False
            clock.sleep_ms(POLL_MS)
        return True


def worker_child(
    number: int, environment: Mapping[str, str], *, shutdown_ms: int, hurry: threading.Event
) -> ProcessChild:
    """Return one `celery -A worker.celery_app worker`, with a node name of its own."""
    return ProcessChild(
        f"worker {number}",
        *celery_command(),
        *("worker", f"--hostname=worker{number}@%h"),
        environment=environment,
        stop_ms=shutdown_ms,
        hurry=hurry,
    )


def beat_child(environment: Mapping[str, str], *, hurry: threading.Event) -> ProcessChild:
    """Return `celery -A worker.celery_app beat`, which keeps its state in Redis only."""
    return ProcessChild(
        "beat", *celery_command(), "beat", environment=environment, stop_ms=0, hurry=hurry
    )


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are not credentials of an account."""
    return {name: value for name, value in environment.items() if not SECRET.fullmatch(name)}


def web_child(environment: Mapping[str, str], *, hurry: threading.Event) -> ProcessChild:
    """Return `cancel-worker web`, without the secrets of the environment."""
    command = (sys.executable, "-P", "-m", "worker", "web")
    given = without_secrets(environment)
    return ProcessChild("web", *command, environment=given, stop_ms=WEB_STOP_MS, hurry=hurry)


class RedisChild:
    """The embedded Redis. It keeps its port over restarts."""

    name = "redis"

    def __init__(self, folder: Path, *, port: int | None) -> None:
        self.folder = folder
        self._server = EmbeddedRedis(folder, port=port)

    @property
    def url(self) -> str:
        """Its address."""
        return self._server.url

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            StoreUnavailable: It did not start.
        """
        remember_port(self.folder, self._server.port)
        self._server.start()

    def exit_code(self) -> int | None:
        """Return the exit code; None while it runs."""
        process = self._server.process
        return None if process is None else process.poll()

    def stop(self) -> bool:
        """Stop it after it has written its data."""
        self._server.stop()
        forget_port(self.folder)
        return True
