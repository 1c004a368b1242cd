"""Redis as a nemesis meets it: one way of running it, and the harm that can be done to it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Protocol

import redis

from tests.support.polling import eventually
from worker.embedded import EmbeddedRedis

BALLAST = "chaos:ballast"
ROOM_BYTES = 262_144
FAULTS = ("kill", "stop", "full", "readonly", "no-replicas")


class Deployment(Protocol):
    """One way of running Redis.

    Another, such as a master with replicas under sentinels, names what else can
    be done to it (`failover`) in `faults` and does it in `harm` and `mend`.
    """

    @property
    def port(self) -> int:
        """Where the Redis of now listens."""

    @property
    def faults(self) -> tuple[str, ...]:
        """What can be done to it."""

    def url(self, through: int) -> str:
        """Return the `redis_url` of who reaches it by this port of loopback."""

    def client(self) -> redis.Redis:
        """Return a client of the Redis of now, for looking."""

    def harm(self, fault: str) -> None:
        """Do one of `faults`; it is done when this returns."""

    def mend(self, fault: str) -> None:
        """Undo it; Redis takes writes again when this returns, its data as it was."""

    def close(self) -> None:
        """End it."""


class Standalone:
    """One server that writes every command to its disk before it answers."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedRedis(folder).start()
        self.port = self._server.port
        self.faults = FAULTS

    def url(self, through: int) -> str:
        """Return the URL of the server, or of a proxy before it."""
        return f"redis://127.0.0.1:{through}/0"

    def client(self) -> redis.Redis:
        """Return a client past every proxy."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=30)

    def harm(self, fault: str) -> None:
        """Do one of `FAULTS`."""
        match fault:
            case "kill":
                assert self._server.process is not None
                self._server.process.kill()
                self._server.process.wait()
            case "stop":
                self._signal(signal.SIGSTOP)
            case "full":
                self._fill()
            case "readonly":
                self._set(lambda client: client.replicaof("127.0.0.1", "1"))
            case "no-replicas":
                self._set(lambda client: client.config_set("min-replicas-to-write", 1))
            case _:
                raise ValueError(fault)

    def mend(self, fault: str) -> None:
        """Undo one of `FAULTS`."""
        match fault:
            case "kill":
                self._server.start()
            case "stop":
                self._signal(signal.SIGCONT)
            case "full":
                self._set(lambda client: client.config_set("maxmemory", 0))
                self._set(lambda client: client.delete(BALLAST))
            case "readonly":
                self._set(lambda client: client.replicaof("NO", "ONE"))
            case "no-replicas":
                self._set(lambda client: client.config_set("min-replicas-to-write", 0))
            case _:
                raise ValueError(fault)
        self._set(lambda client: client.set("chaos:alive", 1))

    def close(self) -> None:
        """End it."""
        if self._server.process is not None and self._server.process.poll() is None:
            self._signal(signal.SIGCONT)
        self._server.stop()

    def _fill(self) -> None:
        client = self.client()
        info: Any = client.info("memory")
        client.config_set("maxmemory", info["used_memory"] + ROOM_BYTES)
        try:
            while True:
                client.append(BALLAST, "x" * (ROOM_BYTES // 4))
        except redis.OutOfMemoryError:
            pass
        client.close()

    def _signal(self, number: signal.Signals) -> None:
        process = self._server.process
        assert process is not None
        os.kill(process.pid, number)
        if number is signal.SIGSTOP:
            stat = Path(f"/proc/{process.pid}/stat")
            eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")

    def _set(self, do: Any) -> None:
        client = self.client()
        try:
            do(client)
        finally:
            client.close()
