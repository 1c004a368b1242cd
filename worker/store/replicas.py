"""Making sure that a failover will not lose what the master received."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis

from worker import clock
from worker.errors import StoreUnavailable
from worker.store.connection import Store, unavailable

log = logging.getLogger(__name__)

PROOF_MS = 200
"""How long the replicas are waited for, once the master has answered."""
KEEPS_UP_S = 2
"""A replica says once a second how far it is: one that has not is left out."""
GIVE_UP_MS = 3_000
"""How long nothing is done without proof; then a replica is only slow, or far."""


@dataclass(slots=True)
class _Want:
    """Since when there has been no proof, and when that was last so; in ms."""

    since: float
    last: float


class Replicas:
    """The replicas of one Redis."""

    def __init__(self, store: Store) -> None:
        self._store = store
        timeout_s = store.client.get_connection_kwargs().get("socket_timeout")
        self._wait_ms = PROOF_MS if timeout_s is None else round(min(PROOF_MS, timeout_s * 500))
        self._want: _Want | None = None

    def have(self, name: str, member: str) -> bool:
        """Whether the master has a member of a sorted set, and each replica that keeps up.

        True as well where none keeps up, where Redis does not let this user ask, and
        where the replicas have not reported it in all of `GIVE_UP_MS` that it was tried:
        so it is as safe as can be, and never in the way for longer than that.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        now = clock.monotonic_ms()
        try:
            proven = self._proven(self._store.key(name), member)
        except StoreUnavailable as error:
            if not _may_not_ask(error.__cause__):
                raise
            proven = True
        if proven:
            self._want = None
            return True
        want = self._want
        if want is None or now - want.last > GIVE_UP_MS:
            want = _Want(now, now)
        want.last = now
        self._want = want
        if now - want.since < GIVE_UP_MS:
            return False
        log.warning("no word of Redis's replicas within %s ms; continuing without", self._wait_ms)
        return True

    def _proven(self, key: str, member: str) -> bool:
        client = self._store.client
        with unavailable():
            replication: Any = client.info("replication")
            if replication["role"] != "master":
                return False
            wanted = keeping_up(replication)
            # On one connection: WAIT is for what the master had received by then.
            asking = client.pipeline(transaction=False)
            asking.zscore(key, member)
            if wanted:
                asking.wait(wanted, self._wait_ms)
            known, *have = asking.execute()
        return known is not None and all(count >= wanted for count in have)


def keeping_up(replication: Mapping[str, Any]) -> int:
    """Return how many replicas keep up, by what INFO says of replication."""
    replicas = [each for each in replication.values() if isinstance(each, dict)]
    return sum(
        each.get("state") == "online" and each.get("lag", 0) <= KEEPS_UP_S for each in replicas
    )


def _may_not_ask(error: BaseException | None) -> bool:
    return isinstance(error, redis.exceptions.NoPermissionError) or (
        isinstance(error, redis.ResponseError) and "unknown command" in str(error)
    )
