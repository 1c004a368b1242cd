"""Processes that start with the program's imports done: half of what a start costs.

One server per test process imports what a Celery worker or beat imports, except the
application itself, which reads settings. For each start it forks, and the fork runs
`python -m celery …` with its own arguments, environment and output.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

IMPORTS = (
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.thread",
    "celery.worker.consumer",
    "kombu.transport.redis",
    "worker.factory",
)
REQUEST_MAX = 1 << 20


class ForkedProcess:
    """A fork of the server, as `subprocess.Popen` shows a process.

    Args:
        arguments: Of `python -m celery`.
        environment: All of its environment.
        output: Where its standard output and errors go.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], output: BinaryIO
    ) -> None:
        request = {"args": list(arguments), "env": dict(environment), "cwd": str(Path.cwd())}
        self._server = _server()
        self.pid = int(self._server.ask(request, output.fileno()))
        self._ended = os.pidfd_open(self.pid)
        self._lock = threading.Lock()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code once it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not, after `timeout` seconds.
        """
        with self._lock:
            if self.returncode is None:
                if not select.select([self._ended], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
                self.returncode = int(self._server.ask({"reap": self.pid}))
                os.close(self._ended)
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._ended, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class _Server:
    """The process that forks, as its owner sees it. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])

    def ask(self, request: dict[str, Any], *fds: int) -> str:
        """Return its answer."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], fds)
            return self._socket.recv(REQUEST_MAX).decode()


_servers: dict[int, _Server] = {}
_starting = threading.Lock()


def _server() -> _Server:
    """Return the server of this process."""
    with _starting:
        if os.getpid() not in _servers:
            _servers[os.getpid()] = _Server()
        return _servers[os.getpid()]


def _serve(owner: socket.socket) -> list[str]:
    """Fork on request until the owner ends; in a fork, return its arguments."""
    while True:
        text, fds, _, _ = socket.recv_fds(owner, REQUEST_MAX, 1)
        if not text:
            sys.exit()
        request = json.loads(text)
        if "reap" in request:
            _, status = os.waitpid(request["reap"], 0)
            owner.send(str(os.waitstatus_to_exitcode(status)).encode())
        elif pid := os.fork():
            os.close(fds[0])
            owner.send(str(pid).encode())
        else:
            owner.close()
            os.dup2(fds[0], 1)
            os.dup2(fds[0], 2)
            os.close(fds[0])
            os.chdir(request["cwd"])
            os.environ.clear()
            os.environ.update(request["env"])
            return list(request["args"])


def main() -> None:
    """Import, serve, and become what was asked for."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in IMPORTS:
        importlib.import_module(name)
    with socket.socket(fileno=int(sys.argv[1])) as owner:
        arguments = _serve(owner)
    sys.argv[1:] = arguments
    runpy.run_module("celery", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
