"""How a Redis is set up, and what of it may lose what was accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis

from worker.errors import StoreUnavailable
from worker.store.connection import Store, unavailable
from worker.store.replicas import keeping_up

NOEVICTION = "noeviction"
SHORT_RATIO = 0.8
"""Part of its memory from which Redis is short of it; as in `ops/prometheus`."""
OLDEST = (6, 2)
"""The first Redis whose ZADD knows LT."""


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """How a Redis is set up. What it does not report is None.

    Attributes:
        appendfsync: As `CONFIG GET` has it, which narrow users and managed
            services refuse.
        writes_fail: Whether its last write to the append-only file failed.
        replicas: How many keep up with it.
        used_memory: Bytes, of `maxmemory` if that is not 0.
        system_memory: Bytes that its machine has; 0 if it does not say.
    """

    version: str
    appendonly: bool | None
    maxmemory_policy: str | None
    maxmemory: int
    replica: bool
    cluster: bool
    appendfsync: str | None = None
    writes_fail: bool = False
    replicas: int | None = None
    used_memory: int = 0
    system_memory: int = 0

    @property
    def memory_ratio(self) -> float | None:
        """Used share of `maxmemory` or, without one, of the machine's memory."""
        most = self.maxmemory or self.system_memory
        return self.used_memory / most if most else None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a Redis, in words for a person.

    Attributes:
        subject: The option or field.
        loses: Whether what was accepted may be lost by it, or nothing works.
        unknown: Redis does not say whether there is a fault.
    """

    subject: str
    detail: str
    mend: str
    loses: bool = True
    unknown: bool = False


def read_facts(store: Store, *, config: bool = True) -> RedisFacts:
    """Ask Redis how it is set up.

    Args:
        store: The Redis.
        config: Whether to ask for what `INFO` does not report.

    Raises:
        StoreUnavailable: Redis did not answer, or does not let us ask.
    """
    with unavailable():
        info: Any = store.client.info()
        options: Any = {}
        if config:
            with suppress(redis.ResponseError):
                options = store.client.config_get("appendfsync")
    appendonly = info.get("aof_enabled")
    return RedisFacts(
        version=str(info.get("redis_version", "unknown")),
        appendonly=None if appendonly is None else str(appendonly) == "1",
        maxmemory_policy=info.get("maxmemory_policy"),
        maxmemory=int(info.get("maxmemory", 0)),
        replica=info.get("role") == "slave",
        cluster=str(info.get("cluster_enabled", 0)) == "1",
        appendfsync=options.get("appendfsync"),
        writes_fail=info.get("aof_last_write_status", "ok") != "ok",
        replicas=_replicas(info),
        used_memory=int(info.get("used_memory", 0)),
        system_memory=int(info.get("total_system_memory", 0)),
    )


def refusal(store: Store) -> str:
    """Return why Redis takes no new work: it is full, read-only, or has a full disk.

    Empty if it takes it, or does not let this user find out.

    Raises:
        StoreUnavailable: It did not answer.
    """
    try:
        store.run("probe")
    except StoreUnavailable as error:
        if not isinstance(error.__cause__, redis.ResponseError):
            raise
        forbidden = ("NOPERM", "can't run this command", "can't access")
        return "" if any(word in str(error.__cause__) for word in forbidden) else str(error)
    return ""


def faults(facts: RedisFacts) -> Iterator[Fault]:
    """Say what is wrong with a Redis, worst first by subject."""
    if _number(facts.version) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        yield Fault("version", facts.version, f"use Redis {wanted} or newer, or Valkey")
    if facts.appendonly is None:
        yield Fault(
            "appendonly",
            "could not be checked: INFO does not report it",
            "make sure that it is on",
            loses=False,
            unknown=True,
        )
    elif not facts.appendonly:
        yield Fault(
            "appendonly",
            "no: a restart of Redis loses accepted jobs",
            "redis-cli CONFIG SET appendonly yes, and the same in redis.conf",
        )
    elif facts.writes_fail:
        yield Fault(
            "appendonly",
            "its last write failed: Redis accepts nothing, or keeps nothing",
            "see Redis's log; the disk may be full",
        )
    if facts.appendfsync == "no":
        yield Fault(
            "appendfsync",
            "no: a power loss loses what was accepted in the last half minute",
            "redis-cli CONFIG SET appendfsync always, and the same in redis.conf",
        )
    if facts.maxmemory_policy is None:
        yield Fault(
            "maxmemory-policy",
            "could not be checked: INFO does not report it",
            "make sure that it is noeviction",
            loses=False,
            unknown=True,
        )
    elif facts.maxmemory_policy != NOEVICTION:
        yield Fault(
            "maxmemory-policy",
            f"{facts.maxmemory_policy}: Redis may throw accepted jobs away",
            "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf",
            # Without a limit nothing is evicted, until a limit is set.
            loses=facts.maxmemory > 0,
        )
    if facts.memory_ratio is not None and facts.memory_ratio > SHORT_RATIO:
        most = "maxmemory" if facts.maxmemory else "the machine's memory"
        yield Fault(
            "memory",
            f"{facts.memory_ratio:.0%} of {most} is used; once it is full, no new work is taken",
            "raise maxmemory, or lower jobs.retention_ms",
            loses=False,
        )
    if facts.replica:
        yield Fault("role", "a replica, which takes no writes", "give the master's address")
    if facts.cluster:
        yield Fault("cluster", "a cluster, which is not supported", "give a single server")


def _replicas(info: Mapping[str, Any]) -> int | None:
    rows = {name: row for name, row in info.items() if re.fullmatch("slave[0-9]+", name)}
    return keeping_up(rows) if "connected_slaves" in info else None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
