"""The embedded Redis: its own, on loopback alone, and with its data on disk."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.ledgers import Bench
from tests.support.persistence import until_written
from worker.errors import StoreUnavailable
from worker.store.embedded import EmbeddedRedis


def config(server: EmbeddedRedis, name: str) -> str:
    """Return a setting of a running server."""
    client = redis.Redis(port=server.port, decode_responses=True)
    found: Any = client.config_get(name)
    client.close()
    return str(found[name])


def test_it_keeps_its_data_and_evicts_nothing(own_redis: EmbeddedRedis) -> None:
    """Its settings are those that a ledger needs."""
    assert config(own_redis, "appendonly") == "yes"
    assert config(own_redis, "appendfsync") == "always"
    assert config(own_redis, "maxmemory-policy") == "noeviction"
    assert config(own_redis, "bind").split() == ["127.0.0.1"]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_accepted_jobs_survive_its_end(own_redis: EmbeddedRedis, sign: signal.Signals) -> None:
    """What was accepted is there after a restart, whether it was stopped or killed."""
    bench = Bench(own_redis.url)
    accepted = bench.accept("a1", "a2")
    until_written(own_redis)
    assert own_redis.process is not None
    own_redis.process.send_signal(sign)
    own_redis.process.wait(10)
    own_redis.start()
    again = Bench(own_redis.url)
    assert [again.get(a.id).order_id for a in accepted] == ["a1", "a2"]
    assert {job.id for job in again.claim(limit=5).jobs} == {a.id for a in accepted}


def test_any_folder_will_do(tmp_path: Path) -> None:
    """A path with spaces, quotes and letters of other languages is a path."""
    folder = tmp_path / "a b" / "gr\u00fc\u00df 'dich'"
    with EmbeddedRedis(folder) as server:
        Bench(server.url).one("a1")
    assert any(path.name.startswith("appendonly") for path in folder.iterdir())


def test_another_servers_port_is_not_taken_for_its_own(
    own_redis: EmbeddedRedis, tmp_path: Path
) -> None:
    """A Redis that answers on the port, but is not the one started, is an error."""
    second = EmbeddedRedis(tmp_path / "second", port=own_redis.port)
    with pytest.raises(StoreUnavailable, match="did not start"):
        second.start()
    assert second.process is None
    assert redis.Redis(port=own_redis.port).ping()


def test_it_ends_with_its_context(tmp_path: Path) -> None:
    """Nothing of it runs on."""
    with EmbeddedRedis(tmp_path / "r") as server:
        process = server.process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None
    assert server.process is None
