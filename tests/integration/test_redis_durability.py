"""A worker that starts on a Redis that may lose jobs says so, each thing once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.polling import eventually
from tests.support.sentinels import Node, redis_node
from worker.config.settings import Settings
from worker.factory import build_dispatcher
from worker.store.connection import Store, connect
from worker.store.embedded import EmbeddedRedis
from worker.store.opening import build_store
from worker.telemetry.redis_durability import RedisDurability

ACCOUNT = {"exchange": "everstrike", "api_key": "k" * 20, "api_secret": "s" * 20}


@pytest.fixture
def client(own_redis: EmbeddedRedis) -> redis.Redis:
    """A Redis whose set-up the test may spoil."""
    return redis.Redis(port=own_redis.port)


def warned(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what was logged at a level, by what it is about."""
    found = [record.getMessage() for record in caplog.records if record.levelno == level]
    return [text.partition(";")[0] for text in found if text.startswith("redis ")]


def test_a_worker_warns_when_it_starts(
    own_redis: EmbeddedRedis, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log with the fix, and as an alert, since jobs may be lost by it."""
    client.config_set("appendonly", "no")
    engine = build_dispatcher(Settings(redis_url=own_redis.url, accounts={"ev": ACCOUNT}))
    engine.start()
    try:
        eventually(lambda: warned(caplog, logging.ERROR), what="the alert")
    finally:
        engine.stop()
    said = "redis appendonly: no: a restart of Redis loses accepted jobs"
    assert warned(caplog, logging.WARNING) == [said]
    assert warned(caplog, logging.ERROR) == [said]
    assert "CONFIG SET appendonly yes" in caplog.text


def test_each_fault_is_reported_once_until_it_is_fixed(
    own_redis: EmbeddedRedis, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a limit of memory the wrong policy loses nothing yet: no alert."""
    durability = RedisDurability(build_store(Settings(redis_url=own_redis.url)))
    durability.check()
    assert not caplog.records
    client.config_set("maxmemory-policy", "allkeys-lru")
    durability.check()
    durability.check()
    assert len(warned(caplog, logging.WARNING)) == 1
    assert not warned(caplog, logging.ERROR)
    client.config_set("maxmemory", "1gb")
    durability.check()
    assert len(warned(caplog, logging.ERROR)) == 1
    client.config_set("maxmemory-policy", "noeviction")
    durability.check()
    client.config_set("maxmemory-policy", "allkeys-lru")
    durability.check()
    assert len(warned(caplog, logging.ERROR)) == 2


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A Redis with narrow users."""
    with redis_node(tmp_path / "redis") as made:
        yield made


def test_what_may_not_be_asked_is_reported(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    """CONFIG refused is no fault; INFO refused is a warning, no alert."""
    for user, said in (("worker", []), ("producer", ["redis configuration: could not be checked"])):
        caplog.clear()
        RedisDurability(Store(connect(node.url(user), timeout_ms=800), prefix="cx:")).check()
        assert [
            text[: len("redis configuration: could not be checked")] for text in warned(caplog, 30)
        ] == said
        assert not warned(caplog, logging.ERROR)
