"""State of workers, lanes, switches and Redis as JSON, for `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.store.reading import Reading


def described(reading: Reading, *, where: str) -> dict[str, Any]:
    """Return a reading as JSON.

    Args:
        reading: Of the Redis.
        where: Its address.
    """
    redis, left_ms = reading.redis, nearest_ms(reading)
    return {
        "now_ms": reading.now_ms,
        "redis": {
            "address": where,
            "version": redis and redis.version,
            "appendonly": redis and redis.appendonly,
            "maxmemory_policy": redis and redis.maxmemory_policy,
        },
        "workers": [
            {"name": name, "seen_ms_ago": ago} for name, ago in sorted(reading.seen_ms.items())
        ],
        "lanes": [
            {
                "exchange": lane.exchange,
                "account": lane.account,
                "pending": lane.pending,
                "due": lane.due,
                "oldest_due_age_ms": lane.oldest_ms if lane.due else None,
                "served": lane.served,
            }
            for lane in reading.lanes
        ],
        "dead": reading.dead,
        "switches": {
            **switch_counts(reading),
            "nearest_deadline_ms": None if left_ms is None else reading.now_ms + left_ms,
        },
    }


def switch_counts(reading: Reading) -> dict[str, int]:
    """Return how many switches are in each state; of the ended, only the latest are counted."""
    return {
        "armed": sum(lane.armed for lane in reading.lanes),
        "tripped": sum(lane.tripped for lane in reading.lanes),
        "disarmed": reading.disarmed,
    }


def nearest_ms(reading: Reading) -> int | None:
    """Return the time until the nearest deadline of an armed switch; None without one."""
    return min((lane.left_ms for lane in reading.lanes if lane.left_ms is not None), default=None)
