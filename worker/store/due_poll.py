"""Polls Redis for the next due lane, as cheaply as possible.

An idle worker does little else. What redis-py does for a call (borrow a connection
and check it, pack, read, return it) costs three times as much as the command itself,
and most of all when nothing else has run.
"""

from __future__ import annotations

import redis
from redis.exceptions import NoScriptError

from worker.store.connection import Store, exchange, unavailable
from worker.store.sharedtime import ALWAYS
from worker.store.timing import Reading


class DuePoll:
    """Polls on one connection of the pool, which it keeps between polls.

    For one thread. A poll is a read, which a server that is no longer the master answers
    too. So the connection is put back before a write: the write uses it, fails if the
    master has changed, and closes it.

    Attributes:
        offset_ms: Shared time less the clock of Redis's host, at the last poll; None before.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pool = store.client.connection_pool
        self._sha = store.sha("first")
        self._connection: redis.Connection | None = None
        self.offset_ms: int | None = None

    def vote_as(self, worker: str) -> None:
        """Have this worker vote on steps of shared time under its name; see `SharedTime`."""
        self._store.time.voter = worker

    @property
    def suspects(self) -> bool:
        """Whether shared time seems to have stepped; the next script settles that."""
        return self._store.time.suspect

    def first_due(self) -> float | None:
        """Return when the first lane is due, in Unix ms; None if no lane waits. One command.

        Raises:
            StoreUnavailable: Redis did not answer. The next poll connects again.
        """
        with unavailable():
            if self._connection is None:
                self._connection = self._pool.get_connection()
            try:
                return self._ask(self._connection)
            except NoScriptError:
                load = ("SCRIPT LOAD", self._store.text("first"))
                exchange(self._connection, [load], certain=True)
                return self._ask(self._connection)

    def _ask(self, connection: redis.Connection) -> float | None:
        sent_ms = self._store.local_ms()
        time = self._store.time
        times = time.earliest(sent_ms), time.latest(sent_ms), ALWAYS[-1]
        connection.send_command("EVALSHA", self._sha, 0, self._store.prefix, *times)  # type: ignore[no-untyped-call]
        now, offset, first = connection.read_response()  # type: ignore[no-untyped-call]
        received_ms = self._store.local_ms()
        self._store.time.observe(Reading(sent_ms, int(now), received_ms, int(offset)))
        self.offset_ms = int(offset)
        return float(first) if first else None

    def put_back(self) -> None:
        """Return the connection to the pool, for the next write."""
        if self._connection is not None:
            self._pool.release(self._connection)
            self._connection = None
