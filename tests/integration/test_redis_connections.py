"""Connections to Redis that nobody uses any more."""

from __future__ import annotations

import gc
import warnings
import weakref
from typing import Any

from worker.store.embedded import EmbeddedRedis
from worker.store.guarded import GuardedConnection


def test_a_connection_in_a_reference_cycle_closes_its_socket(redis_server: EmbeddedRedis) -> None:
    """In whatever order the garbage collector finds the two."""
    for _ in range(20):
        cycle: list[Any] = []
        connection: Any = GuardedConnection(host="127.0.0.1", port=redis_server.port)
        connection.connect()
        cycle += [connection._sock, connection, cycle]  # noqa: SLF001
        connection.cycle = cycle
        freed = weakref.ref(connection)
        del connection, cycle
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            gc.collect()
        assert freed() is None
        assert not [each for each in seen if each.category is ResourceWarning]
