"""The whole state as JSON, for `/v1/status`, for events and for the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from worker.model.authority import Token
from worker.store.durability import NOEVICTION, RedisFacts
from worker.telemetry.health.reading import LaneReading, Reading
from worker.telemetry.health.verdict import troubles


def status(reading: Reading, token: Token) -> dict[str, Any]:
    """Return the state, of the accounts that a token covers."""
    seen = replace(
        reading, lanes=tuple(lane for lane in reading.lanes if token.covers(lane.account))
    )
    return {
        "now_ms": reading.now_ms,
        "problems": troubles(seen),
        "workers": reading.workers,
        "dead": reading.dead,
        "tick_ago_ms": reading.tick_ago_ms,
        "redis": _redis(reading.redis) if reading.redis else None,
        "lanes": [_lane(lane) for lane in seen.lanes],
    }


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
