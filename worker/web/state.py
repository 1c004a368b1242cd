"""The whole state as JSON, for `/v1/status`, for events and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from worker.model.authority import Token
from worker.model.constants import PRESENCE_MS
from worker.model.names import lane_of
from worker.store.budgets import Ban, Pause, Used, read_budgets, read_pauses
from worker.store.durability import NOEVICTION, RedisFacts
from worker.telemetry.health.reading import LaneReading, Reading
from worker.telemetry.health.verdict import troubles
from worker.web.parts import Parts

PAUSED_MS = 5_000
"""Pause of an account from which it is a problem."""
NAMED_MAX = 3
"""Tripped switches that the first line names."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was read at one moment.

    Attributes:
        workers: Name of each worker, with its last sign of life in Unix ms.
        trips: Tripped switches that are not acknowledged, latest first.
        pauses: Why nothing is sent for each account of the reading.
    """

    reading: Reading
    workers: Mapping[str, int]
    trips: Sequence[Mapping[str, Any]]
    limits: Sequence[Used]
    bans: Sequence[Ban]
    pauses: Sequence[Pause]


def look(parts: Parts) -> Known:
    """Read the state.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    reading = parts.watch.look()
    store, now_ms = parts.watch.store, reading.now_ms
    limits, bans = read_budgets(store, now_ms)
    names = [lane_of(lane.exchange, lane.account) for lane in reading.lanes]
    pauses = read_pauses(store, names, now_ms)
    return Known(reading, parts.listing.workers(), parts.trips.every(), limits, bans, pauses)


def status(known: Known, token: Token) -> dict[str, Any]:
    """Return the state, of the accounts that a token covers."""
    reading = known.reading
    now_ms = reading.now_ms
    lanes = tuple(lane for lane in reading.lanes if token.covers(lane.account))
    pauses = [
        (lane, pause)
        for lane, pause in zip(reading.lanes, known.pauses, strict=True)
        if token.covers(lane.account)
    ]
    # A limit belongs to an account, or to an address, which the exchange's accounts share.
    theirs = {lane.exchange for lane in lanes}
    others = {lane.account for lane in reading.lanes} - {lane.account for lane in lanes}
    bans = [it for it in known.bans if it.exchange in theirs and it.owner not in others]
    limits = [it for it in known.limits if it.exchange in theirs and it.owner not in others]
    trips = [trip for trip in known.trips if token.covers(trip["account"])]
    ages = {name: max(0, reading.now_ms - at_ms) for name, at_ms in known.workers.items()}
    return {
        "now_ms": reading.now_ms,
        "problems": [
            *_unseen(trips),
            *map(_banned, bans),
            *(line for lane, pause in pauses for line in _paused(lane, pause, now_ms)),
            *troubles(replace(reading, lanes=lanes)),
        ],
        "workers": [
            {"name": name, "seen_ms_ago": ago}
            for name, ago in sorted(ages.items())
            if ago <= PRESENCE_MS
        ],
        "trips": trips,
        "dead": reading.dead,
        "tick_ago_ms": reading.tick_ago_ms,
        "redis": _redis(reading.redis) if reading.redis else None,
        "lanes": [_lane(lane, pause) for lane, pause in pauses],
        "limits": [asdict(it) for it in limits],
        "bans": [asdict(it) for it in bans],
    }


def _unseen(trips: Sequence[Mapping[str, Any]]) -> list[str]:
    if not trips:
        return []
    named = [f"{trip['name'] or trip['id']} on {trip['account']}" for trip in trips[:NAMED_MAX]]
    if more := len(trips) - len(named):
        named.append(f"{more} more")
    switches = " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
    have, are = ("have", "are") if len(trips) > 1 else ("has", "is")
    return [f"{switches} {have} tripped and {are} not acknowledged."]


def _banned(it: Ban) -> str:
    until = _utc(it.until_ms)
    return f"{it.exchange} refuses all requests of {it.owner}: nothing is sent until {until}."


def _paused(lane: LaneReading, pause: Pause, now_ms: int) -> Iterator[str]:
    if pause.refused:
        waiting = _waiting(lane.pending)
        yield f"{lane.exchange} refuses the {pause.refused} of {lane.account}: {waiting}."
    elif lane.due and pause.until_ms - now_ms > PAUSED_MS:
        waiting, until = _waiting(lane.due), _utc(pause.until_ms)
        yield f"{lane.exchange} asked for a pause of {lane.account}: {waiting} until {until}."


def _waiting(jobs: int) -> str:
    return "1 job waits" if jobs == 1 else f"{jobs} jobs wait"


def _utc(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1_000, UTC):%H:%M:%S} UTC"


def _redis(facts: RedisFacts) -> dict[str, Any]:
    return {
        "version": facts.version,
        "appendonly": facts.appendonly is True,
        "noeviction": facts.maxmemory_policy == NOEVICTION,
        "aof_write_ok": not facts.writes_fail,
        "memory_ratio": facts.memory_ratio,
    }


def _lane(lane: LaneReading, pause: Pause) -> dict[str, Any]:
    return {
        "exchange": lane.exchange,
        "account": lane.account,
        "pending": lane.pending,
        "due": lane.due,
        "oldest_due_age_ms": lane.oldest_ms if lane.due else 0,
        "armed": lane.armed,
        "tripped": lane.tripped,
        "refused": pause.refused or None,
        "paused_until_ms": pause.until_ms or None,
    }
