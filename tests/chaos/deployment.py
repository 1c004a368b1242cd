"""Redis as a nemesis meets it: one way of running it, and the harm that can be done to it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import redis

from tests.support.polling import eventually
from worker.store.embedded import EmbeddedRedis

BALLAST = "chaos:ballast"
ROOM_BYTES = 262_144
EMPTIED = ("CONFIG SET maxmemory 0", f"DEL {BALLAST}")
ALIVE = "SET chaos:alive 1"
FAULTS = ("kill", "stop", "full", "readonly", "no-replicas")


class Deployment(Protocol):
    """One way of running Redis."""

    ports: tuple[int, ...]
    """Where its servers listen."""
    faults: tuple[str, ...]
    """What can be done to it that it is over with at once."""
    failovers: tuple[str, ...]
    """What makes another server the master; none, where there is no other."""
    freezes: tuple[str, ...]
    """What stops its server for seconds, and has it go on with what it was sent by then."""
    death: str
    """The fault that kills the server of now."""
    settings: Mapping[str, Any]
    """The settings of all its clients."""
    bulk: Collection[str]
    """Accounts that have several orders canceled in one request."""

    def url(self, user: str, doors: Sequence[int]) -> str:
        """Return the `redis_url` of who reaches its `ports` by these."""

    def broker(self, doors: Sequence[int]) -> tuple[str, dict[str, Any]]:
        """Return URL and transport options for another Celery client."""

    def client(self) -> redis.Redis:
        """Return a client of the Redis of now, for looking."""

    def harm(self, fault: str) -> None:
        """Do one of `faults`; it is done when this returns."""

    def mend(self, fault: str) -> bool:
        """Undo it, or continue to undo it; return whether Redis takes writes again."""

    def close(self) -> None:
        """End it."""


class Standalone:
    """One server that writes every command to its disk before it answers."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedRedis(folder).start()
        self.ports: tuple[int, ...] = (self._server.port,)
        self.faults: tuple[str, ...] = FAULTS
        self.failovers: tuple[str, ...] = ()
        self.freezes: tuple[str, ...] = ("stop",)
        self.death = "kill"
        self.settings: Mapping[str, Any] = {}
        self.bulk: Collection[str] = ()

    def url(self, user: str, doors: Sequence[int]) -> str:  # noqa: ARG002  it has none
        """Return the URL of the proxy before it."""
        return f"redis://127.0.0.1:{doors[0]}/0"

    def broker(self, doors: Sequence[int]) -> tuple[str, dict[str, Any]]:
        """Return the same, which needs no options."""
        return self.url("", doors), {}

    def client(self) -> redis.Redis:
        """Return a client past every proxy."""
        return redis.Redis(port=self._server.port, decode_responses=True, socket_timeout=30)

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
                fill(self.client())
            case "readonly":
                told(self.client(), "REPLICAOF 127.0.0.1 1")
            case "no-replicas":
                told(self.client(), "CONFIG SET min-replicas-to-write 1")
            case _:
                raise ValueError(fault)

    def mend(self, fault: str) -> bool:
        """Undo one of `FAULTS`."""
        match fault:
            case "kill":
                self._server.start()
            case "stop":
                self._signal(signal.SIGCONT)
            case "full":
                told(self.client(), *EMPTIED)
            case "readonly":
                told(self.client(), "REPLICAOF NO ONE")
            case "no-replicas":
                told(self.client(), "CONFIG SET min-replicas-to-write 0")
            case _:
                raise ValueError(fault)
        told(self.client(), ALIVE)
        return True

    def close(self) -> None:
        """End it."""
        if self._server.process is not None and self._server.process.poll() is None:
            self._signal(signal.SIGCONT)
        self._server.stop()

    def _signal(self, number: signal.Signals) -> None:
        process = self._server.process
        assert process is not None
        os.kill(process.pid, number)
        if number is signal.SIGSTOP:
            stat = Path(f"/proc/{process.pid}/stat")
            eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")


def told(client: redis.Redis, *commands: str) -> None:
    """Run commands, and close the client."""
    with contextlib.closing(client):
        for command in commands:
            client.execute_command(*command.split())  # type: ignore[no-untyped-call]


def fill(client: redis.Redis) -> None:
    """Fill a server up to a `maxmemory` that is not far away."""
    with contextlib.closing(client):
        info: Any = client.info("memory")
        client.config_set("maxmemory", info["used_memory"] + ROOM_BYTES)
        with contextlib.suppress(redis.OutOfMemoryError):
            while True:
                client.append(BALLAST, "x" * (ROOM_BYTES // 4))
