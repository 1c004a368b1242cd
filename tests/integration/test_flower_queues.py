"""Flower's broker page, whatever way leads to Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.flower import FlowerProcess
from tests.support.polling import eventually
from tests.support.sentinels import SentinelRedis
from tests.support.unix_socket_redis import socket_redis
from tests.support.world import World
from worker.celery_app import FORMER_QUEUES
from worker.simulator import Simulator
from worker.store.connection import connect
from worker.store.doorbell import PLAIN_PRIORITIES, queue_key
from worker.store.embedded import EmbeddedRedis

WAITING = 12


@contextmanager
def by_sentinels(folder: Path) -> Iterator[str]:
    """Several, of which the first named is dead."""
    with SentinelRedis(folder / "redis") as servers:
        servers.sentinels[0].kill()
        yield servers.url()


@contextmanager
def by_socket(folder: Path) -> Iterator[str]:
    """A socket, with a database of its own."""
    with socket_redis(folder, password="a#b") as path:
        yield f"unix://:a#b@{path}?db=2"


@contextmanager
def by_port(folder: Path) -> Iterator[str]:
    """One server, with a database of its own."""
    with EmbeddedRedis(folder / "redis") as server:
        yield server.url.removesuffix("/0") + "/3"


@pytest.mark.parametrize("way", [by_sentinels, by_socket, by_port])
def test_the_broker_page_shows_what_waits(
    way: Callable[[Path], AbstractContextManager[str]], tmp_path: Path, sim: Simulator
) -> None:
    """Each queue that a worker reads, with its messages of all priorities."""
    with way(tmp_path) as url:
        world = World(sim, url, tmp_path)
        flower = FlowerProcess(world.config(), tmp_path)
        try:
            worker, own = world.worker(), world.settings().accounts
            flower.wait_ready()
            names = {"celery", *FORMER_QUEUES, *(account.exchange for account in own.values())}

            def shown() -> dict[str, int]:
                flower.ask("/api/workers?refresh=1")
                queues = flower.json("/api/queues/length")["active_queues"]
                return {queue["name"]: queue["messages"] for queue in queues}

            eventually(lambda: set(shown()) == names, within_ms=30_000, what="all queues shown")
            worker.kill()
            client = connect(url, timeout_ms=5_000)
            for priority in PLAIN_PRIORITIES:
                for _ in range(WAITING // 4):
                    client.lpush(queue_key("cx:indodax", priority), "x")
                client.lpush(queue_key("celery", priority), "x")
            client.close()
            counts = shown()
            assert counts["indodax"] >= WAITING
            assert counts["celery"] >= 4
            status, page = flower.ask("/broker")
            assert status == 200
            assert "indodax" in page
        finally:
            world.close()
            flower.stop()
