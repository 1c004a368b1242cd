"""Rate limits, kept across all workers in exact sliding windows on Redis time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from worker.store.connection import Store


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `max_requests` in any `window_ms` under one key."""

    key: str
    max_requests: int
    window_ms: int


class Limiter:
    """Grants slots; every grant counts, used or not."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def reserve(self, rules: Iterable[Rule]) -> int:
        """Take one slot under every rule, or under none.

        Returns:
            0: go now. Else the ms until there may be room.

        Raises:
            StoreUnavailable: Redis did not answer. A slot may be spent.
        """
        args = [part for rule in rules for part in (rule.key, rule.max_requests, rule.window_ms)]
        if not args:
            return 0
        return int(self._store.run("reserve", os.urandom(8).hex(), *args))
