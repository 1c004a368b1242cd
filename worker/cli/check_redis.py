"""What `check` finds in Redis, and between its clock and ours."""

from __future__ import annotations

from collections.abc import Iterator

from worker import clock
from worker.cli.errors import explain
from worker.cli.findings import Finding, fail, ok, warn
from worker.cli.parts import where
from worker.cli.snapshot import RedisFacts, read_facts
from worker.errors import StoreUnavailable
from worker.factory import build_store
from worker.settings import Settings
from worker.store.ledger import Ledger

OLDEST = (6, 2)
"""The first Redis whose ZADD knows LT."""
SKEW_WARN_MS = 1_000
SKEW_FAIL_MS = 4_000
"""Exchanges refuse timestamps that are some seconds off."""


def look_at_redis(settings: Settings) -> Iterator[Finding]:
    """Look at Redis and at the clocks."""
    address = where(settings)
    store = build_store(settings)
    ledger = Ledger(store)
    try:
        ledger.now_ms()
    except StoreUnavailable as error:
        yield fail("redis", f"{error} at {address}", "start it, or mend redis_url")
        return
    yield ok("redis", f"answers at {address}")
    yield _skew(ledger)
    try:
        facts = read_facts(store)
    except StoreUnavailable as error:
        yield warn("redis", f"its set-up cannot be read: {error}", "allow this user INFO")
        return
    yield from judge(facts)


def judge(facts: RedisFacts) -> Iterator[Finding]:
    """Say how fit for work a Redis is, from how it is set up."""
    wanted = ".".join(map(str, OLDEST))
    if _number(facts.version) < OLDEST:
        yield fail("redis version", facts.version, f"use Redis {wanted} or newer, or Valkey")
    else:
        yield ok("redis version", facts.version)
    if facts.appendonly:
        yield ok("redis appendonly", "yes")
    else:
        yield fail(
            "redis appendonly",
            "no: a restart of Redis loses accepted jobs",
            "redis-cli CONFIG SET appendonly yes, and the same in redis.conf",
        )
    if facts.maxmemory_policy == "noeviction":
        yield ok("redis maxmemory-policy", "noeviction")
    else:
        detail = f"{facts.maxmemory_policy}: Redis may throw accepted jobs away"
        mend = "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"
        # Without a limit nothing is evicted, until somebody sets one.
        judged = fail if facts.maxmemory else warn
        yield judged("redis maxmemory-policy", detail, mend)
    if facts.replica:
        yield fail("redis role", "a replica, which takes no writes", "give the master's address")
    if facts.cluster:
        yield fail("redis cluster", "a cluster, which is not supported", "give a single server")


def _skew(ledger: Ledger) -> Finding:
    before_ms = clock.now_ms()
    try:
        theirs_ms = ledger.now_ms()
    except StoreUnavailable as error:
        return fail("clock", explain(error)[0], "try again")
    ahead_ms = (before_ms + clock.now_ms()) / 2 - theirs_ms
    side = "ahead of" if ahead_ms > 0 else "behind"
    detail = f"{abs(ahead_ms):.0f} ms {side} Redis"
    mend = "set both clocks by NTP (timedatectl set-ntp true): exchanges refuse wrong timestamps"
    if abs(ahead_ms) > SKEW_FAIL_MS:
        return fail("clock", detail, mend)
    if abs(ahead_ms) > SKEW_WARN_MS:
        return warn("clock", detail, mend)
    return ok("clock", detail)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
