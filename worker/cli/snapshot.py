"""State of workers, lanes, switches and Redis, for `status`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from worker.cli.listings import ListedState
from worker.cli.resources import redis_place
from worker.config.client_settings import ProducerSettings
from worker.model.constants import PRESENCE_MS
from worker.model.names import account_of, exchange_of
from worker.model.switches import SwitchState
from worker.store.connection import Store
from worker.store.durability import RedisFacts, read_facts
from worker.store.listing import LaneStatus, Listing
from worker.store.switch_listing import every_switch
from worker.store.switches import Switches

LOOK_BACK = 400
"""Most ended switches to count, so that reading stays cheap."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of the system at one moment of Redis's clock.

    Attributes:
        workers: Name of each live worker → ms since its last sign of life.
        dead: Number of dead letters.
        switches: State → number of switches; of the ended, only the latest are counted.
        nearest_deadline_ms: Of the armed switches; None without one.
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
        """Return the snapshot as JSON."""
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
        """Return how long the oldest due job of a lane has been due; None without one."""
        return None if lane.oldest_due_ms is None else max(0, self.now_ms - lane.oldest_due_ms)


def take(store: Store, settings: ProducerSettings) -> Snapshot:
    """Read everything once.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    listing = Listing(store)
    lanes = listing.lanes()
    known = list(every_switch(Switches(store), look_back=LOOK_BACK))
    states = Counter(record.state for record in known)
    armed = [record.deadline_ms for record in known if record.live]
    dead, workers, now_ms = listing.dead_count(), live_workers(listing), listing.now_ms()
    return Snapshot(
        where=redis_place(settings),
        now_ms=now_ms,
        redis=read_facts(store),
        workers=workers,
        lanes=sorted(lanes, key=lambda lane: lane.lane),
        dead=dead,
        switches={str(state): states[SwitchState(state)] for state in ListedState},
        nearest_deadline_ms=min(armed, default=None),
    )


def live_workers(listing: Listing) -> dict[str, int]:
    """Return the live workers, each with the ms since its last sign of life.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    seen, now_ms = listing.workers(), listing.now_ms()
    ages = {name: max(0, now_ms - at_ms) for name, at_ms in seen.items()}
    return {name: age for name, age in ages.items() if age <= PRESENCE_MS}
