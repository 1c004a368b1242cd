"""What versions from before the key prefix left, or still write, without the prefix.

Plain messages that their workers had taken when they died: kombu kept them under `unacked`,
where none of its own restores looks now. They go back into the list that they came from.

Doorbells and ticks of their producers and beats, in lists that no worker of these settings
reads: they are dropped once they are too old to wake a worker.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import redis

from worker import clock
from worker.model.messages import CANCEL, COUNTDOWN, DRAIN, TICK
from worker.store.doorbell import BELL

UNACKED, INDEX = "unacked", "unacked_index"
NAMESPACE = "worker."
"""Begins the names of this program's tasks."""
TASKS = (CANCEL, COUNTDOWN, DRAIN, TICK)
"""What else begins so may be another application's, of a module of that name."""
LOOK_MAX = 1_000
LOOKS = 20
"""How often a list is looked at in one go: the event loop waits meanwhile."""
BELL_MAX_MS = 60_000
"""How old a doorbell gets. Every sweep has found its job long before."""


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


def drop_old_bells(pool: redis.ConnectionPool, keys: Iterable[str]) -> int:
    """Drop doorbells and ticks of this program that are old; return how many.

    They say nothing that is not in Redis, whichever deployment they are of. Everything
    else in these lists stays.

    Args:
        pool: Connections to the broker.
        keys: Lists without a prefix that are not read. Those that this user of Redis may
            not look at are left alone.

    Raises:
        RedisError: Redis did not answer. Asking again is safe.
    """
    client = redis.Redis(connection_pool=pool)
    count = 0
    for key in keys:
        with contextlib.suppress(redis.ResponseError):
            for _ in range(LOOKS):
                old = _old(client.lrange(key, -LOOK_MAX, -1))
                with client.pipeline(transaction=False) as pipe:
                    for item in old:
                        pipe.lrem(key, -1, item)
                    dropped = sum(pipe.execute())
                count += dropped
                if dropped < LOOK_MAX:
                    break
    return count


def _old(items: Any) -> list[Any]:  # noqa: ANN401  Redis's
    """Return those of the items that are old doorbells or ticks."""
    before_ms = clock.now_ms() - BELL_MAX_MS
    return [item for item in items if (end_ms := _end_ms(item)) is not None and end_ms < before_ms]


def _end_ms(item: Any) -> float | None:  # noqa: ANN401  Redis's
    """Return when a doorbell rang or a tick expired; None if it is neither."""
    try:
        headers = json.loads(item)["headers"]
        if headers["task"] not in TASKS:
            return None
        if BELL in headers:
            return float(headers["sent_ms"])
        if headers["task"] == TICK:
            return datetime.fromisoformat(headers["expires"]).timestamp() * 1_000
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return None


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
