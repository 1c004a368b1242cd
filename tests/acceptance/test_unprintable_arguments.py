"""Arguments that can be decoded but hardly printed: each message becomes a dead letter."""

from __future__ import annotations

import base64
import json

import pytest

from tests.support.plain_messages import SOON, envelope
from tests.support.polling import eventually
from tests.support.world import World

DEPTHS = (100, 300, 500, 700, 900, 980, 2_000)


@pytest.mark.parametrize(
    "task", ["worker.cancel", "worker.countdown", "worker.drain", "worker.tick"]
)
def test_nested_or_huge_arguments_become_dead_letters(world: World, task: str) -> None:
    """At every depth, whichever step reaches its limit first; the worker continues."""
    world.tables = SOON
    worker = world.worker()
    redis = world.store().client
    values = ["[" * depth + "]" * depth for depth in DEPTHS] + ["1" * 4_000, "1" * 5_000]
    for value in values:
        body = f'[["ev", {value}], {{"x": {value}}}, {{}}]'.encode()
        headers = {"task": task, "id": "0b0d", "lang": "x"}
        message = envelope([], headers=headers, body=base64.b64encode(body).decode())
        redis.lpush("celery", json.dumps(message))
    eventually(lambda: world.ledger().dead_count() == len(values))
    (order_id,) = world.place("ev")
    assert world.producer().cancel("ev", order_id).wait(timeout_ms=10_000).proven
    assert worker.process is not None
    assert worker.process.poll() is None
    assert all(len(letter.raw) <= 2_000 for letter in world.ledger().dead(limit=99))
