"""Check Redis, and its clock against the local clock."""

from __future__ import annotations

from collections.abc import Iterator

from worker import clock
from worker.cli.attending import workers_alive
from worker.cli.check.findings import Finding, fail, ok, warn
from worker.cli.check.queues import check_queues
from worker.cli.errors import explain
from worker.cli.resources import redis_place
from worker.config.settings import Settings
from worker.errors import StoreUnavailable
from worker.model.holders import why_held
from worker.model.names import lane_of
from worker.store.connection import Store
from worker.store.durability import RedisFacts, faults, read_facts, refusal
from worker.store.listing import Listing
from worker.store.opening import build_store
from worker.store.timer_reads import TimerReads

UNCHECKED = "could not be checked: CONFIG is refused"
FSYNC = {
    "always": "always",
    "everysec": "everysec: a power loss may lose the last second",
}
SKEW_WARN_MS = 1_000
SKEW_FAIL_MS = 4_000
"""Exchanges refuse timestamps that are a few seconds off."""


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Check that Redis answers and is durable, and that the clocks agree."""
    address = redis_place(settings)
    store = build_store(settings)
    try:
        store.shared_ms()
    except StoreUnavailable as error:
        chosen = "redis_url" in settings.model_fields_set or settings.redis_url_file is not None
        other = "correct redis_url" if chosen else "run `cancel-worker up`, which embeds one"
        yield fail("redis", f"{error} at {address}", f"start it, or {other}")
        return
    yield ok("redis", f"answers at {address}")
    yield _workers(Listing(store))
    yield from _clocks(store)
    yield from _timers(settings, store)
    yield from check_queues(settings, store)
    try:
        facts = read_facts(store)
    except StoreUnavailable as error:
        yield warn("redis", f"its configuration cannot be read: {error}", "allow this user INFO")
        return
    yield from judge(facts)
    yield judge_writes(store)
    if settings.redis_wait_replicas:
        yield judge_replicas(facts, wanted=settings.redis_wait_replicas)


def judge(facts: RedisFacts) -> Iterator[Finding]:
    """Judge the configuration of a Redis, one finding an option."""
    good = {
        "version": facts.version,
        "appendonly": "yes",
        "appendfsync": FSYNC.get(facts.appendfsync or "", UNCHECKED),
        "maxmemory-policy": "noeviction",
    }
    wrong = {fault.subject: fault for fault in faults(facts)}
    for subject in (*good, *(subject for subject in wrong if subject not in good)):
        if fault := wrong.get(subject):
            judged = fail if fault.loses else warn
            yield judged(f"redis {subject}", fault.detail, fault.mend)
        elif subject != "appendfsync" or facts.appendonly:
            yield ok(f"redis {subject}", good[subject])


def judge_writes(store: Store) -> Finding:
    """Judge whether Redis accepts writes now."""
    try:
        reason = refusal(store)
    except StoreUnavailable as error:
        reason = str(error)
    if reason:
        return fail(
            "redis writes", reason, "check used_memory, the disk, and whether it is a replica"
        )
    return ok("redis writes", "new work is accepted")


def judge_replicas(facts: RedisFacts, *, wanted: int) -> Finding:
    """Judge whether enough replicas are connected for `redis_wait_replicas`."""
    subject, here = "redis replicas", facts.replicas
    if here is None:
        return warn(subject, "could not be checked: INFO does not report them", "count them")
    detail = f"{here} in sync, redis_wait_replicas = {wanted}"
    fix = "connect more replicas, or lower redis_wait_replicas"
    if here < wanted:
        return fail(subject, f"{detail}: each cancel() and arm() raises NotReplicated", fix)
    if here == wanted:
        return warn(subject, f"{detail}: if one is lost, calls raise NotReplicated", fix)
    return ok(subject, detail)


def _workers(listing: Listing) -> Finding:
    try:
        alive = workers_alive(listing)
    except StoreUnavailable as error:
        return warn("workers", f"could not be checked: {error}", "allow this user ZRANGE")
    if not alive:
        return warn(
            "workers", "none is alive: nothing is canceled", "start one: `cancel-worker up`"
        )
    return ok("workers", f"{alive} alive")


def _timers(settings: Settings, store: Store) -> Iterator[Finding]:
    """Say which accounts have no timer at their exchange, as workers have found."""
    reads = TimerReads(store)
    for alias, account in settings.accounts.items():
        timer = account.adapter.capabilities.timer
        if timer is None or not timer.conditional:
            continue
        try:
            why = reads.unused(lane_of(account.exchange, alias))
        except StoreUnavailable as error:
            yield warn(f"accounts.{alias} timer", f"could not be read: {error}", "allow HMGET")
            return
        if why:
            words = f"workers hold its switches: {why_held(why, native=False)}"
            yield warn(f"accounts.{alias} timer", words, "keep two workers running")
        else:
            yield ok(
                f"accounts.{alias} timer", "kept by the exchange, as far as workers have found"
            )


def _clocks(store: Store) -> Iterator[Finding]:
    before_ms = clock.now_ms()
    try:
        theirs_ms, offset_ms = store.clocks()
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
    fix = "set both clocks by NTP (timedatectl set-ntp true): exchanges refuse wrong timestamps"
    if abs(ahead_ms) > SKEW_FAIL_MS:
        return fail("clock", detail, fix)
    if abs(ahead_ms) > SKEW_WARN_MS:
        return warn("clock", detail, fix)
    return ok("clock", detail)
