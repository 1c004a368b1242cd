"""The whole state as JSON, for `/v1/status`, for events and for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from worker.model.authority import Token
from worker.model.constants import PRESENCE_MS
from worker.store.durability import NOEVICTION, RedisFacts
from worker.telemetry.health.reading import LaneReading, Reading
from worker.telemetry.health.verdict import troubles
from worker.web.parts import Parts


@dataclass(frozen=True, slots=True)
class Known:
    """What was read at one moment.

    Attributes:
        workers: Name of each worker, with its last sign of life in Unix ms.
        trips: Tripped switches that are not acknowledged, latest first.
    """

    reading: Reading
    workers: Mapping[str, int]
    trips: Sequence[Mapping[str, Any]]


def look(parts: Parts) -> Known:
    """Read the state.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    return Known(parts.watch.look(), parts.listing.workers(), parts.trips.every())


def status(known: Known, token: Token) -> dict[str, Any]:
    """Return the state, of the accounts that a token covers."""
    reading = known.reading
    lanes = tuple(lane for lane in reading.lanes if token.covers(lane.account))
    trips = [trip for trip in known.trips if token.covers(trip["account"])]
    ages = {name: max(0, reading.now_ms - at_ms) for name, at_ms in known.workers.items()}
    return {
        "now_ms": reading.now_ms,
        "problems": [*_unseen(trips), *troubles(replace(reading, lanes=lanes))],
        "workers": [
            {"name": name, "seen_ms_ago": ago}
            for name, ago in sorted(ages.items())
            if ago <= PRESENCE_MS
        ],
        "trips": trips,
        "dead": reading.dead,
        "tick_ago_ms": reading.tick_ago_ms,
        "redis": _redis(reading.redis) if reading.redis else None,
        "lanes": [_lane(lane) for lane in lanes],
    }


def _unseen(trips: Sequence[Mapping[str, Any]]) -> list[str]:
    match len(trips):
        case 0:
            return []
        case 1:
            return ["1 switch has tripped and is not acknowledged."]
        case count:
            return [f"{count} switches have tripped and are not acknowledged."]


def _redis(facts: RedisFacts) -> dict[str, Any]:
    return {
        "version": facts.version,
        "appendonly": facts.appendonly is True,
        "noeviction": facts.maxmemory_policy == NOEVICTION,
        "aof_write_ok": not facts.writes_fail,
        "memory_ratio": facts.memory_ratio,
    }


def _lane(lane: LaneReading) -> dict[str, Any]:
    return {
        "exchange": lane.exchange,
        "account": lane.account,
        "pending": lane.pending,
        "due": lane.due,
        "oldest_due_age_ms": lane.oldest_ms if lane.due else 0,
        "armed": lane.armed,
        "tripped": lane.tripped,
    }
