"""Plain reads of many keys that go to Redis together."""

from __future__ import annotations

from typing import Any

import redis

from worker.store.connection import Store, unavailable

CHUNK = 500
"""Maximum reads in one call, so that Redis serves others in between."""


class Reads:
    """Reads that go to Redis together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: list[tuple[str, str, tuple[str | float, ...], dict[str, bool]]] = []
        self._maybe: set[int] = set()

    def ask(
        self,
        command: str,
        key: str,
        *args: str | float,
        maybe: bool = False,
        withscores: bool = False,
    ) -> int:
        """Add a read; return the place of its answer.

        With `maybe` that is None where the user may not read it.
        """
        options = {"withscores": True} if withscores else {}
        self._asked.append((command, self._store.key(key), args, options))
        if maybe:
            self._maybe.add(len(self._asked) - 1)
        return len(self._asked) - 1

    def answers(self) -> list[Any]:
        """Return all answers, in the order of the reads.

        Raises:
            StoreUnavailable: Redis did not answer in time, or does not let this user read
                what was not asked with `maybe`.
        """
        found: list[Any] = []
        for first in range(0, len(self._asked), CHUNK):
            with unavailable():
                pipe = self._store.client.pipeline(transaction=False)
                for command, key, args, options in self._asked[first : first + CHUNK]:
                    getattr(pipe, command)(key, *args, **options)
                for answer in pipe.execute(raise_on_error=False):
                    found.append(self._allowed(len(found), answer))
        return found

    def _allowed(self, place: int, answer: object) -> object:
        if place in self._maybe and isinstance(answer, redis.exceptions.NoPermissionError):
            return None
        if isinstance(answer, Exception):
            raise answer
        return answer
