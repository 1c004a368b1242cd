"""Read the whole state in Redis in one call, for metrics and the status page."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker import clock
from worker.errors import StoreUnavailable
from worker.model.limits import Rule
from worker.model.names import account_of, exchange_of
from worker.store.connection import Store, unavailable
from worker.store.durability import refusal

MOST = 500
"""Maximum lanes, switches of a lane and ended switches read, so that Redis is not blocked."""
FRESH_MS = 1_000
"""Maximum age of a reading that several callers share."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One shared rate limit.

    Attributes:
        owner: Alias of the account, or the address, that the limit belongs to.
    """

    exchange: str
    limit: str
    owner: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class LaneReading:
    """State of one account: its jobs and switches.

    Attributes:
        oldest_ms: Time since the oldest due job became due; 0 without one.
        unproven_ms: Time since the first attempt of the job that has been unproven the
            longest; 0 without one, None if the Redis user may not read it.
        without_timer: Armed switches that need a timer at the exchange and have had none
            that fires in time for too long.
        left_ms: Time until the nearest deadline of an armed switch, negative after it;
            None without one.
        left_ratio: Minimum remaining time of an armed switch as a share of its timeout.
        named: Time until the deadline of armed switches with a name, by name; of all
            accounts at most 100.
    """

    exchange: str
    account: str
    pending: int
    due: int
    oldest_ms: int
    unproven_ms: int | None
    armed: int
    without_timer: int
    disarmed: int
    tripped: int
    left_ms: int | None
    left_ratio: float | None
    named: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """Configuration and state of Redis.

    Attributes:
        memory_ratio: Used share of maxmemory or, if unset, of the machine's memory.
        aof_write_ok: Whether the last write to the append-only file succeeded.
    """

    version: str
    appendonly: bool
    noeviction: bool
    aof_write_ok: bool
    memory_ratio: float | None


@dataclass(frozen=True, slots=True)
class Reading:
    """The state at one moment of Redis's clock.

    Attributes:
        latency_ms: Duration of one round trip.
        budgets: Rate limits, each with the requests counted in its window.
        tick_ago_ms: Time since a worker last ran a tick of Celery beat; None for never.
        redis: None if the Redis user may not read it.
        refusal: Why Redis accepts no new work; empty if it does.
    """

    now_ms: int
    latency_ms: float
    lanes: tuple[LaneReading, ...]
    budgets: tuple[tuple[Budget, int], ...]
    dead: int
    workers: int
    beats: int
    tick_ago_ms: int | None
    redis: RedisFacts | None
    refusal: str = ""


class Watch:
    """Reads the state, at most once in `fresh_ms` for any number of callers."""

    def __init__(
        self, store: Store, budgets: Sequence[Budget] = (), *, fresh_ms: int = FRESH_MS
    ) -> None:
        self.store = store
        self._fresh_ms = fresh_ms
        self._budgets = tuple(budgets)
        self._lock = threading.Lock()
        self._last: tuple[float, Reading] | None = None

    def look(self) -> Reading:
        """Return the current state.

        Raises:
            StoreUnavailable: Redis did not answer in time.
        """
        with self._lock:
            now_ms = clock.monotonic_ms()
            if self._last is None or now_ms - self._last[0] > self._fresh_ms:
                self._last = None
                self._last = (now_ms, self._read())
            return self._last[1]

    def _read(self) -> Reading:
        rules = [part for b in self._budgets for part in (b.rule.key, b.rule.window_ms)]
        begun = clock.monotonic_ms()
        found: dict[str, Any] = json.loads(self.store.run("look", MOST, *rules))
        latency_ms = clock.monotonic_ms() - begun
        return Reading(
            now_ms=int(found["now_ms"]),
            latency_ms=latency_ms,
            # Lua encodes an empty table as a JSON object.
            lanes=tuple(_lane(row) for row in sorted(found["lanes"], key=lambda row: row["lane"])),
            budgets=tuple(zip(self._budgets, map(int, found["used"]), strict=True)),
            dead=int(found["dead"]),
            workers=int(found["workers"]),
            beats=int(found["beats"]),
            tick_ago_ms=found.get("tick_ago_ms"),
            redis=_facts(self.store),
            refusal=refusal(self.store),
        )


def _lane(row: Mapping[str, Any]) -> LaneReading:
    return LaneReading(
        exchange=exchange_of(row["lane"]),
        account=account_of(row["lane"]),
        pending=row["pending"],
        due=row["due"],
        oldest_ms=row.get("oldest_ms", 0),
        unproven_ms=row.get("vain_ms"),
        armed=row["armed"],
        without_timer=row["untimed"],
        disarmed=row["disarmed"],
        tripped=row["tripped"],
        left_ms=row.get("left_ms"),
        left_ratio=row.get("left_ratio"),
        named=row.get("named", {}),
    )


def _facts(store: Store) -> RedisFacts | None:
    try:
        with unavailable():
            pipe = store.client.pipeline(transaction=False)
            for section in ("server", "memory", "persistence"):
                pipe.info(section)
            info: dict[str, Any] = {}
            for part in pipe.execute():
                info |= part
    except StoreUnavailable:
        return None
    whole = int(info.get("maxmemory", 0)) or int(info.get("total_system_memory", 0))
    return RedisFacts(
        version=str(info.get("redis_version", "unknown")),
        appendonly=str(info.get("aof_enabled")) == "1",
        noeviction=info.get("maxmemory_policy") == "noeviction",
        aof_write_ok=info.get("aof_last_write_status", "ok") == "ok",
        memory_ratio=int(info.get("used_memory", 0)) / whole if whole else None,
    )
