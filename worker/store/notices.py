"""Notifications in Redis: alerts raised, outages known, messages to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.store.connection import Store, unavailable

LEASE_MS = 15_000
"""How long a sender that died keeps others from sending."""
LEASE, STATE, RAISED = "notify:lease", "notify:state", "notify:raised"
RAISED_MAX = 1_000
MESSAGES_MAX = 1_000
"""Alerts, and messages of one target, that are kept; the oldest are dropped."""


class Notices:
    """The notifications of one Redis. A message stays until it was delivered.

    Every method raises `StoreUnavailable` when Redis does not answer, or refuses this user;
    calling again is safe.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def lease(self, holder: str) -> bool:
        """Take or keep the right to send; return whether `holder` has it."""
        return bool(self._store.run("lease", LEASE, holder, LEASE_MS) == 1)

    def release(self, holder: str) -> None:
        """Give the right to send up, if `holder` has it."""
        self._store.run("lease", LEASE, holder, 0)

    def holder(self) -> str:
        """Return who may send; empty if nobody may."""
        with unavailable():
            return str(self._store.client.get(self._store.key(LEASE)) or "")

    def push_alerts(self, alerts: Sequence[str]) -> None:
        """Append alerts for the sender."""
        if not alerts:
            return
        with unavailable():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.rpush(self._store.key(RAISED), *alerts)
            pipe.ltrim(self._store.key(RAISED), -RAISED_MAX, -1)
            pipe.execute()

    def read(self) -> tuple[str, list[str]]:
        """Return the recorded state, empty for none, and the alerts that are not part of it."""
        with unavailable():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.get(self._store.key(STATE))
            pipe.lrange(self._store.key(RAISED), 0, RAISED_MAX - 1)
            state, raised = pipe.execute()
        return state or "", raised

    def commit(
        self, holder: str, state: str, taken: int, messages: Sequence[tuple[str, str]]
    ) -> bool:
        """Record a state and its messages, each with its target; see `notify_commit.lua`.

        Returns:
            False if `holder` has lost the lease. Nothing was recorded then.
        """
        flat = [part for message in messages for part in message]
        head = (holder, state, taken, MESSAGES_MAX)
        return bool(self._store.run("notify_commit", *head, *flat) == 1)

    def pending(self, target: str, *, limit: int) -> list[str]:
        """Return the oldest messages of a target."""
        with unavailable():
            found: Any = self._store.client.lrange(
                self._store.key(f"notify:to:{target}"), 0, limit - 1
            )
        return list(found)

    def delivered(self, target: str, messages: Sequence[str]) -> None:
        """Remove messages that were read by `pending` and delivered."""
        self._store.run("notify_delivered", target, messages[0], len(messages))
