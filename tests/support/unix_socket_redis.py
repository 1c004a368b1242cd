"""A Redis that listens on a Unix socket alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.support.polling import eventually
from worker.store.embedded import server_binary


@contextmanager
def socket_redis(folder: Path, *, password: str = "") -> Iterator[Path]:
    """Run one; yield the path of its socket."""
    path = folder / "redis.sock"
    command = [server_binary(), "--port", "0", "--unixsocket", str(path), "--dir", str(folder)]
    command += ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--save", ""]
    command += ["--requirepass", password] if password else []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        client = redis.Redis(unix_socket_path=str(path), password=password or None)

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        try:
            eventually(answers, what="Redis on a socket")
            yield path
        finally:
            client.close()
            process.terminate()
