"""Asking over and over when something is due, for as little as it can cost.

An idle worker does little else. What redis-py does about a call (borrow a
connection and see whether it is sound, pack, read, put it back) costs three
times what the question itself does, and mostly when nothing else has run.
"""

from __future__ import annotations

import redis
from redis.exceptions import NoScriptError

from worker.store.connection import Store, unavailable
from worker.store.sharedtime import ALWAYS, exchange
from worker.store.timing import Reading


class DuePoll:
    """Asks on a connection of the pool that it keeps for a while.

    For one thread, of a worker that votes on steps of shared time; see `SharedTime`. What
    it asks is a read, which a server that is no longer the master answers too; so the
    connection is put back whenever something is about to be written, to be what writes
    next, and to be left by what finds that out.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pool = store.client.connection_pool
        self._sha = store.sha("first")
        self._connection: redis.Connection | None = None
        self.offset_ms: int | None = None
        """Shared time less the clock of Redis's host, as it was last seen."""

    def vote_as(self, worker: str) -> None:
        """Have this worker vote on steps of shared time, by the name that it lives under."""
        self._store.time.voter = worker

    @property
    def suspects(self) -> bool:
        """Whether shared time seems to have stepped; the next script settles that."""
        return self._store.time.suspect

    def first_due(self) -> float | None:
        """Return when the first lane must be looked at, in Unix ms; one command.

        Raises:
            StoreUnavailable: Redis did not answer. Asking again connects anew.
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
        times = self._store.time.latest(sent_ms), ALWAYS[1]
        connection.send_command("EVALSHA", self._sha, 0, self._store.prefix, *times)  # type: ignore[no-untyped-call]
        now, offset, first = connection.read_response()  # type: ignore[no-untyped-call]
        received_ms = self._store.local_ms()
        self._store.time.observe(Reading(sent_ms, int(now), received_ms, int(offset)))
        self.offset_ms = int(offset)
        return float(first) if first else None

    def put_back(self) -> None:
        """Put the connection back, for whoever writes next."""
        if self._connection is not None:
            self._pool.release(self._connection)
            self._connection = None
