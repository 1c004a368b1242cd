"""What a Redis at `maxmemory` refuses, and how it says so."""

from __future__ import annotations

import redis

NEW_WORK = frozenset({"accept", "accept_admitted", "arm", "probe", "track"})
"""Scripts that it refuses. All others continue, so that what has been accepted is brought to
its end; see `lib/memory.lua`."""
FULL = (
    "Redis refused: it is full (OOM, at its maxmemory) and takes no new work; nothing was recorded"
)


def is_full(error: BaseException) -> bool:
    """Return whether Redis refused a write for lack of memory."""
    # Of a script on Redis 6 Lua wraps it in a text of its own.
    return isinstance(error, redis.exceptions.OutOfMemoryError) or (
        isinstance(error, redis.ResponseError) and "OOM command not allowed" in str(error)
    )
