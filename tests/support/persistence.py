"""Knowing when Redis has handed its data to the operating system."""

from __future__ import annotations

from typing import Any

import redis

from tests.support.polling import eventually
from worker.store.embedded import EmbeddedRedis


def until_written(server: EmbeddedRedis) -> None:
    """Wait until a kill of the server loses nothing.

    With `everysec` Redis puts off writing, for up to two seconds, while the
    disk is still busy with the last flush.
    """
    client = redis.Redis(port=server.port, decode_responses=True)

    def written() -> bool:
        found: Any = client.info("persistence")
        return not found["aof_buffer_length"] and not found["aof_pending_bio_fsync"]

    eventually(written, what="the append-only file is written")
    client.close()
