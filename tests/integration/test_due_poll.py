"""The sweep polls on one connection, and drops it when the master has changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.stepped_time import Stepped
from tests.support.world import World
from worker.errors import StoreUnavailable
from worker.factory import build_dispatcher
from worker.store.connection import Store, connect
from worker.store.due_poll import DuePoll
from worker.store.embedded import EmbeddedRedis


def store_of(server: EmbeddedRedis) -> Store:
    """Return a store with a pool of its own."""
    return Store(connect(server.url, timeout_ms=2_000), prefix="cx:")


def test_polls_keep_one_connection_which_the_next_write_uses(own_redis: EmbeddedRedis) -> None:
    """A write that finds a replica there closes the connection for the polls too."""
    store = store_of(own_redis)
    mine = store.client.client_id()
    poll = DuePoll(store)
    poll.first_due()
    others = store.client.client_id()
    assert others != mine, "the poll shares its connection"
    store.client.zadd("cx:lanes", {"everstrike:ev": 12_345.5})
    assert poll.first_due() == 12_345.5
    poll.put_back()
    assert store.client.client_id() == mine
    poll.put_back()
    connected: Any = store.client.client_list(_type="normal")
    assert len(connected) == 2


def test_a_restart_costs_one_poll(own_redis: EmbeddedRedis) -> None:
    """The poll that finds the connection broken; the next one connects again."""
    store = store_of(own_redis)
    store.client.zadd("cx:lanes", {"everstrike:ev": 5})
    poll = DuePoll(store)
    assert poll.first_due() == 5
    own_redis.stop()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            poll.first_due()
    own_redis.start()
    assert poll.first_due() == 5


def test_a_refused_poll_leaves_the_connection_usable(redis_url: str) -> None:
    """The error is read as the reply to its own command."""
    store = Stepped(redis_url).store()
    poll = DuePoll(store)
    store.client.set("cx:lanes", "no sorted set")
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        poll.first_due()
    store.client.delete("cx:lanes")
    assert poll.first_due() is None


def test_a_worker_sends_heartbeats_on_the_connection_of_its_polls(world: World) -> None:
    """A heartbeat that finds a replica closes the connection for both."""
    engine = build_dispatcher(world.settings())
    store = engine._ledger._store  # noqa: SLF001
    poll = engine._due_poll  # noqa: SLF001
    poll.first_due()
    kept = poll._connection  # noqa: SLF001
    assert kept is not None
    engine._membership.beat()  # noqa: SLF001
    poll.first_due()
    assert poll._connection is kept  # noqa: SLF001
    assert store.client.connection_pool._available_connections == []  # noqa: SLF001
    engine.stop()
    assert poll._connection is None  # noqa: SLF001
