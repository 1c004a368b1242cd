"""Messages that workers of an earlier version had taken when they died."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from worker import clock
from worker.celery_app import FORMER_QUEUES, former_lists, make_app
from worker.config.settings import Settings
from worker.messaging.unprefixed import BELL_MAX_MS, drop_old_bells, put_back
from worker.store.doorbell import BELL, LATER, PRIORITIES, URGENT, queue_key, ring

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


def lying(task: object, **headers: object) -> str:
    """Return a message as it lies in a list."""
    return json.dumps({"body": "", "headers": {"task": task, **headers}, "properties": {}})


def bell(ago_ms: int) -> str:
    """Return a doorbell that rang so long ago."""
    message = json.loads(ring("worker.cancel", {"account": "ev"}, queue="everstrike")[1])
    message["headers"]["sent_ms"] -= ago_ms
    return json.dumps(message)


def tick(ago_ms: int) -> str:
    """Return a tick that expired so long ago."""
    at = datetime.fromtimestamp((clock.now_ms() - ago_ms) / 1_000, UTC)
    return lying("worker.tick", expires=at.isoformat())


def test_old_doorbells_that_no_worker_reads_are_dropped(redis_url: str) -> None:
    """A deployment of another prefix does not let a former version's bells pile up."""
    settings = Settings(redis_url=redis_url, key_prefix="staging:")
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    old_ms = BELL_MAX_MS + 1_000
    kept = [
        bell(0),
        tick(0),
        lying("worker.cancel"),
        lying("worker.tick"),
        lying("worker.tick", expires=7),
        lying("theirs.add", sent_ms=0, **{BELL: 1}),
        "{",
        "[1]",
    ]
    for key in ("everstrike", queue_key("indodax", LATER), queue_key("celery", LATER)):
        client.lpush(key, *(bell(old_ms) for _ in range(1_500)), *kept, tick(old_ms), bell(old_ms))
    app = make_app(settings)
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        channel.qos.restore_visible()
    for key in ("everstrike", queue_key("indodax", LATER), queue_key("celery", LATER)):
        assert client.lrange(key, 0, -1) == kept[::-1]
    client.close()


@pytest.mark.parametrize(
    ("top", "names"),
    [
        ({}, []),
        ({"plain_queue": "ours"}, ["celery"]),
        ({"key_prefix": "s:"}, ["celery", *FORMER_QUEUES]),
        ({"key_prefix": "s:", "plain_queue": "celery"}, [*FORMER_QUEUES]),
    ],
)
def test_lists_that_are_read_are_left_to_who_reads_them(
    top: dict[str, str], names: list[str]
) -> None:
    """The default prefix reads those of former versions itself."""
    lists = {queue_key(name, priority) for name in names for priority in PRIORITIES}
    assert set(former_lists(Settings(**top))) == lists  # type: ignore[arg-type]


def test_a_user_who_may_not_look_drops_nothing(redis_url: str) -> None:
    """What cannot be read as a list is passed over; the others are looked at."""
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    client.set("everstrike", "no list")
    client.lpush(queue_key("indodax", URGENT), bell(BELL_MAX_MS + 1_000))
    assert drop_old_bells(client.connection_pool, ["everstrike", "indodax", "bitmart"]) == 1
    client.close()
