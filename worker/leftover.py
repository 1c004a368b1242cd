"""Plain messages that workers from before the key prefix had taken when they died.

kombu kept them under `unacked`, without the prefix that its keys have now, so that none of
its own restores looks there. They go back into the list that they came from.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import redis

from worker import clock
from worker.messages import CANCEL, COUNTDOWN, DRAIN, TICK

UNACKED, INDEX = "unacked", "unacked_index"
NAMESPACE = "worker."
"""Begins the names of this program's tasks."""
TASKS = (CANCEL, COUNTDOWN, DRAIN, TICK)
"""What else begins so may be another application's, of a module of that name."""
LOOK_MAX = 1_000


def put_back(pool: redis.ConnectionPool, lists: Collection[str], *, older_than_s: float) -> int:
    """Put messages of this program back; return how many.

    Each is moved in one step, so that of several workers one does, and none is lost.
    Another application's, under the same keys, are left alone.

    Args:
        pool: Connections to the broker.
        lists: Names of the lists without a prefix that are read.
        older_than_s: How long ago a message was taken, for its worker to be dead.

    Raises:
        RedisError: Redis did not answer, or refused. Asking again is safe.
    """
    client = redis.Redis(connection_pool=pool)
    until_s = clock.now_ms() / 1_000 - older_than_s
    tags: Any = client.zrangebyscore(INDEX, "-inf", until_s, start=0, num=LOOK_MAX)
    moves: list[Any] = [client.transaction(_mover(tag, lists), UNACKED) for tag in tags]
    return sum(bool(done) for done in moves)


def _mover(tag: bytes, lists: Collection[str]) -> Any:  # noqa: ANN401  what `transaction` takes
    def move(pipe: redis.client.Pipeline) -> None:
        found = _read(pipe.hget(UNACKED, tag), lists)  # type: ignore[arg-type]
        pipe.multi()
        if found is not None:
            name, message = found
            pipe.rpush(name, message)
            pipe.hdel(UNACKED, tag)  # type: ignore[arg-type]
            pipe.zrem(INDEX, tag)

    return move


def _read(item: Any, lists: Collection[str]) -> tuple[str, str] | None:  # noqa: ANN401  Redis's
    """Return list and text of a message that is ours; None if it is not."""
    try:
        message, _, routing_key = json.loads(item)
        if routing_key not in lists or message["headers"]["task"] not in TASKS:
            return None
        message["headers"]["redelivered"] = True
        message["properties"]["delivery_info"]["redelivered"] = True
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return str(routing_key), json.dumps(message)
