"""A worker and a Redis at `maxmemory`: the worker runs, starts, and loses no message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery

from tests.support.full_redis import VERSIONS, a_redis, fill
from tests.support.polling import eventually
from tests.support.world import World
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis

SOON_MS = 20_000


@pytest.fixture(params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EmbeddedRedis]:
    """A Redis of each version."""
    with a_redis(request.param, tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def world(server: EmbeddedRedis, sim: Simulator, tmp_path: Path) -> Iterator[World]:
    """Exchanges and settings on it."""
    made = World(sim, server.url, tmp_path, tables={"switches": {"min_timeout_ms": 500}})
    yield made
    made.close()


def test_workers_run_and_start_while_redis_is_full(server: EmbeddedRedis, world: World) -> None:
    """One worker has messages in transit, another one starts while Redis is full."""
    client = redis.Redis(port=server.port)
    stranger = Celery("stranger", broker=world.redis_url)
    worker = world.worker()
    beat = world.beat()
    producer = world.producer()
    orders = world.place("ev", 6)
    watched, later = world.place("ev", 2, pair="eth_idr")

    def send(order: str) -> None:
        stranger.send_task("worker.cancel", kwargs={"account": "ev", "order_id": order})

    producer.arm("ev", order_ids=[watched], timeout_ms=2_000)
    producer.arm("ev", order_ids=[later], timeout_ms=8_000)
    for order in orders[:3]:
        send(order)
    fill(client)
    eventually(
        lambda: {world.status("ev", order) for order in (*orders[:3], watched)} == {"canceled"},
        within_ms=SOON_MS,
        what="it goes on",
    )
    worker.kill()
    client.config_set("maxmemory", 0)
    for order in orders[3:]:
        send(order)
    fill(client)
    second = world.worker(wait=False)
    eventually(
        lambda: {world.status("ev", order) for order in (*orders[3:], later)} == {"canceled"},
        within_ms=SOON_MS,
        what="one that starts goes on",
    )
    for process in (second, beat):
        assert process.process is not None
        assert process.process.poll() is None
