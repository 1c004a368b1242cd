"""What `status` and `check` read of Redis."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from worker.cli.commands.switches import SwitchState, every_switch
from worker.cli.parts import where
from worker.config.settings import Settings
from worker.model.constants import PRESENCE_MS
from worker.model.names import account_of, exchange_of
from worker.store.connection import Store
from worker.store.durability import RedisFacts, read_facts
from worker.store.listing import LaneStatus, Listing
from worker.store.switches import Switches

LOOK_BACK = 400
"""Ended switches that are counted at most, so that a look stays cheap."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How everything stands at one moment of Redis's clock.

    Attributes:
        workers: Name of each worker that lives → ms since its last sign.
        dead: How many dead letters there are.
        switches: State → how many switches stand so; of the ended, only the
            latest are counted.
        nearest_deadline_ms: Of the armed ones; None if there are none.
    """

    where: str
    now_ms: int
    redis: RedisFacts
    workers: dict[str, int]
    lanes: list[LaneStatus]
    dead: int
    switches: dict[str, int]
    nearest_deadline_ms: int | None

    def describe(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        return {
            "now_ms": self.now_ms,
            "redis": {
                "address": self.where,
                "version": self.redis.version,
                "appendonly": self.redis.appendonly,
                "maxmemory_policy": self.redis.maxmemory_policy,
            },
            "workers": [
                {"name": name, "seen_ms_ago": ago} for name, ago in sorted(self.workers.items())
            ],
            "lanes": [
                {
                    "exchange": exchange_of(lane.lane),
                    "account": account_of(lane.lane),
                    "pending": lane.pending,
                    "due": lane.due,
                    "oldest_due_age_ms": self.age_ms(lane),
                    "served": lane.served,
                }
                for lane in self.lanes
            ],
            "dead": self.dead,
            "switches": {**self.switches, "nearest_deadline_ms": self.nearest_deadline_ms},
        }

    def age_ms(self, lane: LaneStatus) -> int | None:
        """Return for how long the oldest due job of a lane has been due."""
        return None if lane.oldest_due_ms is None else max(0, self.now_ms - lane.oldest_due_ms)


def take(store: Store, settings: Settings) -> Snapshot:
    """Look at everything once.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    ledger = Listing(store)
    lanes = ledger.lanes()
    known = list(every_switch(Switches(store), look_back=LOOK_BACK))
    states = Counter(record.state for record in known)
    armed = [record.deadline_ms for record in known if record.live]
    dead, workers, now_ms = ledger.dead_count(), living(ledger), ledger.now_ms()
    return Snapshot(
        where=where(settings),
        now_ms=now_ms,
        redis=read_facts(store),
        workers=workers,
        lanes=sorted(lanes, key=lambda lane: lane.lane),
        dead=dead,
        switches={str(state): states[state] for state in SwitchState},
        nearest_deadline_ms=min(armed, default=None),
    )


def living(ledger: Listing) -> dict[str, int]:
    """Return the workers that live, each with the ms since its last sign.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    seen, now_ms = ledger.workers(), ledger.now_ms()
    ages = {name: max(0, now_ms - at_ms) for name, at_ms in seen.items()}
    return {name: age for name, age in ages.items() if age <= PRESENCE_MS}
