"""The lists of pairs that workers share: one hash for each site of an exchange."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from worker.model.pairs import Freshness, PairBook
from worker.store.connection import Store, unavailable

AT = "!at"
WANTED = "!wanted"
FIELDS_MAX = 1_000
"""How many fields one command names, so that Redis is not blocked."""


class SharedPairLists:
    """The lists in one Redis.

    Every method raises `StoreUnavailable` when Redis does not answer; asking again is safe.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mark = os.urandom(8).hex()

    def announce(self, lanes: Sequence[str], site: str) -> None:
        """Record which list is that of these lanes' accounts."""
        with unavailable():
            pipe = self._store.client.pipeline(transaction=False)
            for lane in lanes:
                pipe.hset(self._store.key(f"lane:{lane}"), "listed", site)
            pipe.execute()

    def freshness(self, site: str) -> Freshness:
        """Return how old a list is."""
        now, *_ = self._store.run("time")
        with unavailable():
            row: Any = self._store.client.hmget(self._name(site), [AT, WANTED])
        at, wanted = row
        return Freshness(_number(at), _number(wanted), int(now))

    def read(self, site: str) -> PairBook | None:
        """Return a list; None if it was never fetched."""
        with unavailable():
            row: Any = self._store.client.hgetall(self._name(site))
        at = _number(row.get(AT))
        if not at:
            return None
        return PairBook(at, {name: each for name, each in row.items() if name[:1] != "!"})

    def begin(self, site: str, *, lease_ms: int) -> bool:
        """Become the one worker that fetches a list; false if another does."""
        return bool(self._store.run("lease", self._turn(site), self._mark, lease_ms) == 1)

    def end(self, site: str) -> None:
        """Let another worker fetch."""
        self._store.run("lease", self._turn(site), self._mark, 0)

    def put(self, site: str, names: Mapping[str, str], *, fetched_ms: int) -> PairBook:
        """Replace a list.

        After a failure it holds names of both lists, and is as old as before.
        """
        key, client = self._name(site), self._store.client
        with unavailable():
            known: Any = client.hgetall(key)
            gone = [name for name in known if name[:1] != "!" and name not in names]
            new = [(name, row) for name, row in names.items() if known.get(name) != row]
            for first in range(0, len(new), FIELDS_MAX):
                client.hset(key, mapping=dict(new[first : first + FIELDS_MAX]))
            for first in range(0, len(gone), FIELDS_MAX):
                client.hdel(key, *gone[first : first + FIELDS_MAX])
            client.hset(key, AT, str(fetched_ms))
        return PairBook(fetched_ms, names)

    def _name(self, site: str) -> str:
        return self._store.key(f"listed:{site}")

    def _turn(self, site: str) -> str:
        return f"listing:{site}"


def _number(value: Any) -> int:  # noqa: ANN401  redis-py's
    return int(value) if value and str(value).isdigit() else 0
