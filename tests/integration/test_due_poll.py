"""The sweep's question: asked on a connection that is kept, and left when it is of no use."""

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


def test_it_asks_on_one_connection_and_whoever_writes_next_has_it(own_redis: EmbeddedRedis) -> None:
    """So that a write which finds a replica there closes what the looks go by."""
    store = store_of(own_redis)
    mine = store.client.client_id()
    lookout = DuePoll(store)
    lookout.first_due()
    others = store.client.client_id()
    assert others != mine, "it is kept from others meanwhile"
    store.client.zadd("cx:lanes", {"everstrike:ev": 12_345.5})
    assert lookout.first_due() == 12_345.5
    lookout.put_back()
    assert store.client.client_id() == mine
    lookout.put_back()
    connected: Any = store.client.client_list(_type="normal")
    assert len(connected) == 2


def test_a_restart_costs_one_look(own_redis: EmbeddedRedis) -> None:
    """The look in which it is found out; the next one connects anew."""
    store = store_of(own_redis)
    store.client.zadd("cx:lanes", {"everstrike:ev": 5})
    lookout = DuePoll(store)
    assert lookout.first_due() == 5
    own_redis.stop()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            lookout.first_due()
    own_redis.start()
    assert lookout.first_due() == 5


def test_a_refusal_leaves_the_connection_in_step(redis_url: str) -> None:
    """An error is the answer to its own question and to no other."""
    store = Stepped(redis_url).store()
    lookout = DuePoll(store)
    store.client.set("cx:lanes", "no sorted set")
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        lookout.first_due()
    store.client.delete("cx:lanes")
    assert lookout.first_due() is None


def test_a_worker_beats_on_the_connection_that_its_looks_go_by(world: World) -> None:
    """What beats finds a replica out, and closes the connection for both."""
    engine = build_dispatcher(world.settings())
    store = engine._ledger._store  # noqa: SLF001
    looks = engine._due_poll  # noqa: SLF001
    looks.first_due()
    kept = looks._connection  # noqa: SLF001
    assert kept is not None
    engine._membership.beat()  # noqa: SLF001
    looks.first_due()
    assert looks._connection is kept  # noqa: SLF001
    assert store.client.connection_pool._available_connections == []  # noqa: SLF001
    engine.stop()
    assert looks._connection is None  # noqa: SLF001
