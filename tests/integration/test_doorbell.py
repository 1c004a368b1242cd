"""The doorbell against Celery's own message: what a worker reads must be the same."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import UUID

import pytest

from tests.support.stepped_time import Stepped
from worker.config.settings import Settings
from worker.model.messages import CANCEL
from worker.store.doorbell import LATER, PRIORITIES, URGENT, queue_key, ring

QUEUE = "everstrike"
KWARGS = {"account": "ev", "order_id": "a1", "pair": "btc_idr", "side": "buy", "job": "j1"}
OURS = {"sent_ms", "bell"}
"""Headers that Celery knows nothing of."""


@pytest.fixture
def celery_message(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What Celery itself puts into Redis for the same task, urgent and later."""
    monkeypatch.setenv("WORKER_CONFIG", "")
    monkeypatch.setenv("WORKER_REDIS_URL", redis_url)
    from worker.celery_app import make_app  # noqa: PLC0415  it reads the settings at import

    app = make_app(Settings())
    try:
        for priority in PRIORITIES:
            app.send_task(CANCEL, kwargs=KWARGS, queue=QUEUE, priority=priority, ignore_result=True)
    finally:
        app.close()
    client = Stepped(redis_url).client
    urgent: Any = client.lindex("cx:" + queue_key(QUEUE, URGENT), 0)
    later: Any = client.lindex("cx:" + queue_key(QUEUE, LATER), 0)
    return json.loads(urgent), json.loads(later)


def shape(value: Any) -> Any:
    """Return a value's structure: its keys and the types under them."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def body(message: dict[str, Any]) -> Any:
    """Return what a message's body holds."""
    return json.loads(base64.b64decode(message["body"]))


@pytest.mark.parametrize("which", [0, 1])
def test_message_has_the_shape_of_celerys(
    celery_message: tuple[dict[str, Any], dict[str, Any]], which: int
) -> None:
    """Every key that Celery writes is there, with a value of the same kind."""
    theirs = celery_message[which]
    key, text = ring(CANCEL, KWARGS, queue=QUEUE, priority=PRIORITIES[which])
    ours = json.loads(text)
    assert key == queue_key(QUEUE, PRIORITIES[which])
    headers = shape(ours["headers"])
    for name in OURS:
        headers.pop(name)
    assert headers == shape(theirs["headers"])
    assert {**shape(ours), "headers": None} == {**shape(theirs), "headers": None}


def test_message_says_what_celerys_says(
    celery_message: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    """What is not an id, an origin or a reply address is equal."""
    theirs = celery_message[0]
    ours = json.loads(ring(CANCEL, KWARGS, queue=QUEUE)[1])
    assert body(ours) == body(theirs)
    own = {"id", "root_id", "origin", *OURS}
    for part, unlike in (("headers", own), ("properties", {"correlation_id", "delivery_tag"})):
        for name, value in theirs[part].items():
            if name not in {*unlike, "reply_to"}:
                assert ours[part][name] == value, name
    assert ours["content-type"] == theirs["content-type"]
    assert ours["content-encoding"] == theirs["content-encoding"]


def test_ids_agree_and_differ_from_message_to_message() -> None:
    """One task is named the same wherever its message names it."""
    messages = [json.loads(ring(CANCEL, KWARGS, queue=QUEUE)[1]) for _ in range(50)]
    ids = {message["headers"]["id"] for message in messages}
    assert len(ids) == 50
    for message in messages:
        task_id = message["headers"]["id"]
        assert UUID(task_id).version == 4
        assert message["headers"]["root_id"] == task_id
        assert message["properties"]["correlation_id"] == task_id
    assert len({message["properties"]["delivery_tag"] for message in messages}) == 50


def test_positional_arguments_travel_too() -> None:
    """A task may be called with positions."""
    message = json.loads(ring("some.task", {}, queue=QUEUE, args=(1, "a"))[1])
    assert body(message)[0] == [1, "a"]
    assert message["headers"]["argsrepr"] == "(1, 'a')"


def test_urgent_work_has_the_plain_queue() -> None:
    """What is read first lies where a client without priorities puts it."""
    assert queue_key("q") == queue_key("q", URGENT) == "q"
    assert queue_key("q", LATER) not in ("q", "q9")
