"""Making sure that a failover will not lose what the master was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis

from worker.errors import StoreUnavailable
from worker.store.connection import Store, unavailable

PROOF_MS = 200
"""How long the replicas are waited for, once the master has answered."""
KEEPS_UP_S = 2
"""A replica says once a second how far it is: one that has not is left out."""


def proven(store: Store, name: str, member: str) -> bool:
    """Whether the master has a member of a sorted set, and each replica that keeps up.

    True as well where no replica keeps up, and where this user may not ask: then
    a failover is not noticed either.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    try:
        with unavailable():
            replication: Any = store.client.info("replication")
            wanted = _keeping_up(replication)
            # On one connection: WAIT is for what the master had been told by then.
            asking = store.client.pipeline(transaction=False)
            asking.zscore(store.key(name), member)
            if wanted:
                asking.wait(wanted, PROOF_MS)
            known, *have = asking.execute()
    except StoreUnavailable as error:
        if isinstance(error.__cause__, redis.exceptions.NoPermissionError):
            return True
        raise
    return known is not None and all(count >= wanted for count in have)


def _keeping_up(replication: Mapping[str, Any]) -> int:
    """Return how many replicas have lately said that they are in step."""
    replicas = [each for each in replication.values() if isinstance(each, dict)]
    return sum(each["state"] == "online" and each["lag"] <= KEEPS_UP_S for each in replicas)
