"""What was due in Redis without a record."""

from __future__ import annotations

from collections.abc import Sequence

from worker.store.connection import Store

AGAIN_MS = 30_000
MOST = 100
"""How many strays one alert names at most."""


class Astray:
    """The strays in one Redis.

    Every method raises `StoreUnavailable` when Redis does not answer; asking again is safe.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def due(self) -> list[str]:
        """Return those that a person is to be alerted of, each as its lane and its id.

        Until `reported` they come back after a while.
        """
        return list(self._store.run("next_astray", AGAIN_MS, MOST))

    def reported(self, found: Sequence[str]) -> None:
        """Note that a person was alerted of these."""
        self._store.run("keep", "astray", "inf", *found)
