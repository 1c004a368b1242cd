"""Asking over and over when something is due, for as little as it can cost.

An idle worker does little else. What redis-py does about a call (borrow a
connection and see whether it is sound, pack, read, put it back) costs three
times what the question itself does, and mostly when nothing else has run.
"""

from __future__ import annotations

from typing import Any

import redis

from worker.store.connection import Store, unavailable


class Lookout:
    """Asks on a connection of the pool that it keeps for a while.

    For one thread. What it asks is a read, which a server that is no longer the
    master answers too; so the connection is put back whenever something is about
    to be written, to be what writes next, and to be left by what finds that out.
    """

    def __init__(self, store: Store) -> None:
        self._pool = store.client.connection_pool
        self._question = (b"ZRANGE", store.key("lanes"), 0, 0, b"WITHSCORES")
        self._packed: Any = None
        self._connection: redis.Connection | None = None

    def first_due(self) -> float | None:
        """Return when the first lane must be looked at, in Unix ms; one command.

        Raises:
            StoreUnavailable: Redis did not answer. Asking again connects anew.
        """
        with unavailable():
            if self._connection is None:
                self._connection = self._pool.get_connection()
                self._packed = self._connection.pack_command(*self._question)  # type: ignore[no-untyped-call]
            self._connection.send_packed_command(self._packed)  # type: ignore[no-untyped-call]
            first: Any = self._connection.read_response()  # type: ignore[no-untyped-call]
        return float(first[1]) if first else None

    def put_back(self) -> None:
        """Put the connection back, for whoever writes next."""
        if self._connection is not None:
            self._pool.release(self._connection)
            self._connection = None
