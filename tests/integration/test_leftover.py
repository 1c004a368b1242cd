"""Messages that workers of an earlier version had taken when they died."""

from __future__ import annotations

import json
from typing import Any

import redis

from worker import clock
from worker.leftover import put_back

OLD_S = 60.0


def taken(task: object, routing_key: str = "celery") -> str:
    """Return a message as kombu keeps it until it is acknowledged."""
    message = {"body": "", "headers": {"task": task}, "properties": {"delivery_info": {}}}
    return json.dumps([message, "", routing_key])


def test_ours_go_back_and_others_stay(redis_url: str) -> None:
    """Once their worker is dead for sure; whatever else lies there is left alone."""
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    items = {
        "ours": taken("worker.cancel"),
        "of a queue of ours": taken("worker.drain", "everstrike"),
        "foreign": taken("theirs.add"),
        "of another queue": taken("worker.cancel", "theirs"),
        "rubbish": "{",
        "no text": taken(7),
        "no message": "[1, 2, 3]",
        "young": taken("worker.cancel"),
    }
    now_s = clock.now_ms() / 1_000
    for tag, item in items.items():
        client.hset("unacked", tag, item)
        client.zadd("unacked_index", {tag: now_s - (0 if tag == "young" else OLD_S + 1)})
    client.zadd("unacked_index", {"gone": now_s - OLD_S - 1})
    put_back(client.connection_pool, {"celery", "everstrike"}, older_than_s=OLD_S)
    left: Any = client.hkeys("unacked")
    assert set(items) - set(left) == {"ours", "of a queue of ours"}
    marks: Any = client.zrange("unacked_index", 0, -1)
    assert set(marks) == {*left, "gone"}
    for name in ("celery", "everstrike"):
        (item,) = client.lrange(name, 0, -1)  # type: ignore[misc]
        assert json.loads(item)["headers"]["redelivered"] is True
    put_back(client.connection_pool, {"celery", "everstrike"}, older_than_s=OLD_S)
    assert client.llen("celery") == client.llen("everstrike") == 1
    client.close()
