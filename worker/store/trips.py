"""Switches that have tripped and that no person has acknowledged yet.

Their records expire a day after the trip; what is kept here stays until it is acknowledged.
"""

from __future__ import annotations

import json
from typing import Any

from worker.model.names import exchange_of
from worker.model.switches import SwitchRecord
from worker.store.connection import Store, unavailable
from worker.store.steps import Key, Steps, ask, carried

KEY = "trips"
KEPT = 1_000
"""Trips kept; the oldest ones beyond them are dropped."""
ORDERS_SHOWN = 20


def reading_trips() -> Steps[list[dict[str, Any]]]:
    """Return the trips that are not acknowledged, latest first."""
    return [json.loads(text) for text in (yield from _reading_texts())]


def acknowledging(switch_id: str) -> Steps[bool]:
    """Drop the trips of a switch; return whether there was one."""
    texts = yield from _reading_texts()
    theirs = [text for text in texts if json.loads(text)["id"] == switch_id]
    if theirs:
        yield ask(("ZREM", Key(KEY), *theirs))
    return bool(theirs)


def _reading_texts() -> Steps[list[str]]:
    (texts,) = yield ask(("ZREVRANGE", Key(KEY), 0, -1))
    return [*texts]


class Trips:
    """The trips in one Redis. Methods raise `StoreUnavailable`; repeating one is safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = store.key(KEY)

    def add(self, record: SwitchRecord) -> None:
        """Keep a tripped switch until it is acknowledged; adding it twice keeps it once."""
        at_ms = record.tripped_ms or record.deadline_ms
        with unavailable():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.zadd(self._key, {json.dumps(_described(record)): at_ms})
            pipe.zremrangebyrank(self._key, 0, -KEPT - 1)
            pipe.execute()

    every = carried(reading_trips)
    acknowledge = carried(acknowledging)


def _described(record: SwitchRecord) -> dict[str, Any]:
    """Return what is shown of a trip; the same for the same trip."""
    return {
        "id": record.id,
        "name": record.name or None,
        "account": record.account,
        "exchange": exchange_of(record.lane),
        "pairs": list(record.pairs),
        "order_ids": list(record.order_ids[:ORDERS_SHOWN]),
        "orders": len(record.order_ids),
        "client_order_ids": list(record.client_order_ids[:ORDERS_SHOWN]),
        "client_id_prefix": record.client_id_prefix or None,
        "everything": record.everything,
        "deadline_ms": record.deadline_ms,
        "tripped_ms": record.tripped_ms,
    }
