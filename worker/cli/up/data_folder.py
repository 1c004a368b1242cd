"""The folder with the data of the embedded Redis."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker import clock
from worker.cli import output
from worker.cli.errors import CliError

PORT_FILE = "redis.port"
LOCK_FILE = "lock"
STOP_MS = 10_000
POLL_MS = 20


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder: two Redis on the same files would corrupt them.

    Raises:
        CliError: Another `up` has locked it, or it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CliError(f"{folder}: {error.strerror}; give another --data-dir") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CliError(
            f"{folder}: another `cancel-worker up` is using it; stop that one, or give "
            "another --data-dir"
        ) from None
    try:
        yield
    finally:
        os.close(lock)


def remember_port(folder: Path, port: int) -> None:
    """Record the port of the Redis of this folder."""
    (folder / PORT_FILE).write_text(f"{port}\n", encoding="ascii")


def forget_port(folder: Path) -> None:
    """Record that the Redis of this folder has stopped."""
    (folder / PORT_FILE).unlink(missing_ok=True)


def stop_leftover(folder: Path) -> None:
    """Stop a Redis that still runs on this folder after its supervisor was killed.

    Call it while the folder is locked.

    Raises:
        CliError: It still runs. A second one on its files would corrupt them.
    """
    try:
        port = int((folder / PORT_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    until = clock.monotonic_ms() + STOP_MS
    with contextlib.closing(_client(port)) as client:
        while clock.monotonic_ms() < until:
            try:
                answer: Any = client.config_get("dir")
                if Path(answer["dir"]).resolve() != folder.resolve():
                    return
                output.note(f"{folder}: stopping the Redis of an earlier run")
                client.shutdown()
            except (redis.BusyLoadingError, redis.TimeoutError):
                pass  # it may be ours: try again
            except redis.RedisError:
                return  # nothing listens, or another service does
            clock.sleep_ms(POLL_MS)
    raise CliError(
        f"{folder}: the Redis of an earlier run still runs on port {port}; "
        f"stop it with `redis-cli -p {port} shutdown`"
    )


def _client(port: int) -> redis.Redis:
    once = Retry(NoBackoff(), 0)
    return redis.Redis(port=port, socket_timeout=1, retry=once, decode_responses=True)
