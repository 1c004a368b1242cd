"""Clean up messages without the key prefix, written by older versions.

Plain messages that a worker had taken when it died: kombu kept them under `unacked`,
where it no longer looks for messages to restore. They return to the list that they
came from.

Doorbells and ticks in lists that no worker of these settings reads: they are dropped
once they are too old to matter.
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
"""Prefix of the names of this program's tasks."""
TASKS = (CANCEL, COUNTDOWN, DRAIN, TICK)
"""Other names with the prefix may belong to another application's module `worker`."""
LOOK_MAX = 1_000
LOOKS = 20
"""Maximum reads of one list in a call: the event loop is blocked during them."""
BELL_MAX_MS = 60_000
"""Age after which a doorbell is dropped. The sweep finds its job long before."""


def put_back(pool: redis.ConnectionPool, lists: Collection[str], *, older_than_s: float) -> int:
    """Requeue this program's messages that dead workers had taken; return how many.

    Each is moved in one transaction: of several workers only one moves it, and none is
    lost. Messages of other applications under the same keys are not touched.

    Args:
        pool: Connections to the broker.
        lists: Names of the lists without a prefix that are read.
        older_than_s: Age in seconds from which a taken message belongs to a dead worker.

    Raises:
        RedisError: Redis did not answer, or refused. Retrying is safe.
    """
    client = redis.Redis(connection_pool=pool)
    until_s = clock.now_ms() / 1_000 - older_than_s
    tags: Any = client.zrangebyscore(INDEX, "-inf", until_s, start=0, num=LOOK_MAX)
    moves: list[Any] = [client.transaction(_mover(tag, lists), UNACKED) for tag in tags]
    return sum(bool(done) for done in moves)


def drop_old_bells(pool: redis.ConnectionPool, keys: Iterable[str]) -> int:
    """Drop old doorbells and ticks of this program; return how many.

    They carry no state that is not in Redis, for any deployment. All other messages in
    these lists are kept.

    Args:
        pool: Connections to the broker.
        keys: Lists without a prefix that are not read. Lists that this Redis user may
            not access are skipped.

    Raises:
        RedisError: Redis did not answer. Retrying is safe.
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
    """Return the items that are old doorbells or ticks."""
    before_ms = clock.now_ms() - BELL_MAX_MS
    return [item for item in items if (end_ms := _end_ms(item)) is not None and end_ms < before_ms]


def _end_ms(item: Any) -> float | None:  # noqa: ANN401  Redis's
    """Return when a doorbell was sent or a tick expired, in Unix ms; None for other items."""
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
    """Return list and text of a message of this program; None for other messages."""
    try:
        message, _, routing_key = json.loads(item)
        if routing_key not in lists or message["headers"]["task"] not in TASKS:
            return None
        message["headers"]["redelivered"] = True
        message["properties"]["delivery_info"]["redelivered"] = True
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return str(routing_key), json.dumps(message)
