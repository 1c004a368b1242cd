"""Redis servers of both versions that scripts must run on, and filling one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.support.debian import library_path, unpacked
from worker.store.embedded import EmbeddedRedis

VERSIONS = ["6.2", "7"]


def use_redis(version: str, patched: pytest.MonkeyPatch) -> None:
    """Have servers that are started from now on be of a version."""
    if version != "6.2":
        unpack = unpacked("redis-server")
        patched.setenv("PATH", f"{unpack / 'usr/bin'}:{os.environ['PATH']}")
        patched.setenv("LD_LIBRARY_PATH", library_path(unpack))


@contextmanager
def a_redis(version: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedRedis]:
    """Start a Redis: the embedded one, or Debian's, which is newer."""
    with monkeypatch.context() as patched:
        use_redis(version, patched)
        server = EmbeddedRedis(folder / "redis").start()
    try:
        yield server
    finally:
        server.stop()


def fill(client: redis.Redis) -> None:
    """Let a Redis be full: what it uses is more than it may."""
    used = int(client.info("memory")["used_memory"])  # type: ignore[index]
    client.config_set("maxmemory", used - 100_000)
