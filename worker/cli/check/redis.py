"""What `check` finds in Redis, and between its clock and ours."""

from __future__ import annotations

from collections.abc import Iterator

from worker import clock
from worker.cli.check.findings import Finding, fail, ok, warn
from worker.cli.check.queues import look_at_queues
from worker.cli.errors import explain
from worker.cli.parts import where
from worker.config.settings import Settings
from worker.errors import StoreUnavailable
from worker.factory import build_store
from worker.store.connection import Store
from worker.store.durability import RedisFacts, faults, read_facts, refusal
from worker.store.listing import Listing

NOT_TOLD = "could not be checked: CONFIG is refused"
FSYNC = {
    "always": "always",
    "everysec": "everysec: a power loss may lose the last second",
}
SKEW_WARN_MS = 1_000
SKEW_FAIL_MS = 4_000
"""Exchanges refuse timestamps that are some seconds off."""


def look_at_redis(settings: Settings) -> Iterator[Finding]:
    """Look at Redis and at the clocks."""
    address = where(settings)
    store = build_store(settings)
    ledger = Listing(store)
    try:
        ledger.now_ms()
    except StoreUnavailable as error:
        chosen = "redis_url" in settings.model_fields_set or settings.redis_url_file is not None
        mend = "mend redis_url" if chosen else "run `cancel-worker up`, which brings its own"
        yield fail("redis", f"{error} at {address}", f"start it, or {mend}")
        return
    yield ok("redis", f"answers at {address}")
    yield from _clocks(ledger)
    yield from look_at_queues(settings, store)
    try:
        facts = read_facts(store)
    except StoreUnavailable as error:
        yield warn("redis", f"its set-up cannot be read: {error}", "allow this user INFO")
        return
    yield from judge(facts)
    yield judge_writes(store)
    if settings.redis_wait_replicas:
        yield judge_replicas(facts, wanted=settings.redis_wait_replicas)


def judge(facts: RedisFacts) -> Iterator[Finding]:
    """Say how fit for work a Redis is, from how it is set up."""
    fine = {
        "version": facts.version,
        "appendonly": "yes",
        "appendfsync": FSYNC.get(facts.appendfsync or "", NOT_TOLD),
        "maxmemory-policy": "noeviction",
    }
    wrong = {fault.subject: fault for fault in faults(facts)}
    for subject in (*fine, *(subject for subject in wrong if subject not in fine)):
        if fault := wrong.get(subject):
            judged = fail if fault.loses else warn
            yield judged(f"redis {subject}", fault.detail, fault.mend)
        elif subject != "appendfsync" or facts.appendonly:
            yield ok(f"redis {subject}", fine[subject])


def judge_writes(store: Store) -> Finding:
    """Say whether Redis takes new work now."""
    try:
        reason = refusal(store)
    except StoreUnavailable as error:
        reason = str(error)
    if reason:
        return fail(
            "redis writes", reason, "see used_memory, the disk, and whether it is a replica"
        )
    return ok("redis writes", "new work is taken")


def judge_replicas(facts: RedisFacts, *, wanted: int) -> Finding:
    """Say whether as many replicas follow as `redis_wait_replicas` has calls wait for."""
    subject, here = "redis replicas", facts.replicas
    if here is None:
        return warn(subject, "could not be checked: INFO does not tell", "count them")
    detail = f"{here} keep up, redis_wait_replicas = {wanted}"
    mend = "connect more replicas, or lower redis_wait_replicas"
    if here < wanted:
        return fail(subject, f"{detail}: each cancel() and arm() raises NotReplicated", mend)
    if here == wanted:
        return warn(subject, f"{detail}: with one lost, calls raise NotReplicated", mend)
    return ok(subject, detail)


def _clocks(ledger: Listing) -> Iterator[Finding]:
    before_ms = clock.now_ms()
    try:
        theirs_ms, offset_ms = ledger.clocks()
    except StoreUnavailable as error:
        yield fail("clock", explain(error)[0], "try again")
        return
    yield _skew((before_ms + clock.now_ms()) / 2 - theirs_ms)
    if abs(offset_ms) > SKEW_WARN_MS:
        side = "ahead of" if offset_ms > 0 else "behind"
        detail = (
            f"shared time is {abs(offset_ms)} ms {side} the clock of Redis's host, which stepped"
        )
        yield warn("redis clock", detail, "see ops/docs/operations/runbook.md#clockstep")


def _skew(ahead_ms: float) -> Finding:
    side = "ahead of" if ahead_ms > 0 else "behind"
    detail = f"{abs(ahead_ms):.0f} ms {side} Redis"
    mend = "set both clocks by NTP (timedatectl set-ntp true): exchanges refuse wrong timestamps"
    if abs(ahead_ms) > SKEW_FAIL_MS:
        return fail("clock", detail, mend)
    if abs(ahead_ms) > SKEW_WARN_MS:
        return warn("clock", detail, mend)
    return ok("clock", detail)
