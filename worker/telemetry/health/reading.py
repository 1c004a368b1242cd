"""One look at everything that stands in Redis."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker import clock
from worker.errors import StoreUnavailable
from worker.model.limits import Rule
from worker.model.names import account_of, exchange_of
from worker.store.connection import Store, unavailable
from worker.store.durability import refusal

MOST = 500
"""Lanes, switches of a lane and ended switches looked at, lest Redis be held up."""
FRESH_MS = 1_000
"""Several who ask at once share a look."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One rate limit as it is shared.

    Attributes:
        owner: Alias of the account that it belongs to, or the address.
    """

    exchange: str
    limit: str
    owner: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class LaneReading:
    """One account: jobs not ended and due, and its switches.

    Attributes:
        oldest_ms: For how long the oldest due job has been due; 0 if none is.
        vain_ms: For how long a job has been attempted without a proof, at the most; 0 if
            none has, None if that may not be read.
        untimed: Armed switches whose exchange should keep a timer for them, and for too
            long has had none that fires in time.
        left_ms: Until the nearest deadline of an armed switch, negative once it
            has passed; None without one.
        left_ratio: Least time left of an armed switch, as a part of its timeout.
    """

    exchange: str
    account: str
    pending: int
    due: int
    oldest_ms: int
    vain_ms: int | None
    armed: int
    untimed: int
    disarmed: int
    tripped: int
    left_ms: int | None
    left_ratio: float | None


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """How Redis is set up and does.

    Attributes:
        memory_ratio: Memory used, of what it may use or else of the machine's.
        aof_write_ok: Whether the last write to the append-only file went well.
    """

    version: str
    appendonly: bool
    noeviction: bool
    aof_write_ok: bool
    memory_ratio: float | None


@dataclass(frozen=True, slots=True)
class Reading:
    """How everything stands at one moment of Redis's clock.

    Attributes:
        latency_ms: What one round trip took.
        budgets: Each with the slots used in its window.
        tick_ago_ms: Since a heartbeat of beat was last run; None for never.
        redis: None if Redis does not let us ask.
        refusal: Why Redis takes no new work; empty if it does.
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
    """Looks at Redis, at most once a second however many ask."""

    def __init__(self, store: Store, budgets: Sequence[Budget] = ()) -> None:
        self.store = store
        self._budgets = tuple(budgets)
        self._lock = threading.Lock()
        self._last: tuple[float, Reading] | None = None

    def look(self) -> Reading:
        """Return how everything stands.

        Raises:
            StoreUnavailable: Redis did not answer in time.
        """
        with self._lock:
            now_ms = clock.monotonic_ms()
            if self._last is None or now_ms - self._last[0] > FRESH_MS:
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
            # An empty Lua table is an object in JSON.
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
        vain_ms=row.get("vain_ms"),
        armed=row["armed"],
        untimed=row["untimed"],
        disarmed=row["disarmed"],
        tripped=row["tripped"],
        left_ms=row.get("left_ms"),
        left_ratio=row.get("left_ratio"),
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
