"""What is read of Redis, to the digit, on a stepped clock."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.ledgers import Verb, settlement
from tests.support.polling import eventually
from tests.support.stepped_time import Stepped
from tests.support.world import World
from worker.factory import build_sessions
from worker.gateway.budgets import budgets_of
from worker.model.constants import PRESENCE_MS
from worker.model.jobs import Kind, NewJob
from worker.model.outcomes import Outcome
from worker.model.switches import AT_ONCE, Armed, Report, Timers
from worker.store.ledger import Ledger
from worker.store.limiter import Limiter
from worker.store.switches import Switches
from worker.telemetry.health.reading import LaneReading, Reading, Watch
from worker.telemetry.health.verdict import troubles

BELL = ("queue", "bell")
LANE = "everstrike:ev"


@pytest.fixture
def stepped(redis_url: str) -> Stepped:
    """An empty Redis whose time is stopped."""
    return Stepped(redis_url)


def job(number: int, **fields: Any) -> NewJob:
    """Return a cancel on Everstrike."""
    return NewJob(id=f"j{number}", lane=LANE, kind=Kind.CANCEL, order_id=str(number), **fields)


def arm(switches: Switches, name: str, timeout_ms: int) -> int:
    """Arm a switch; return its epoch."""
    armed = switches.arm(
        switch_id=name,
        lane=LANE,
        account="ev",
        native=False,
        pairs=[],
        order_ids=[name],
        timeout_ms=timeout_ms,
        bell=BELL,
    )
    return armed.epoch


def lane(reading: Reading, account: str = "ev") -> LaneReading:
    """Return what is read of an account."""
    (found,) = [it for it in reading.lanes if it.account == account]
    return found


def test_an_empty_redis_is_read_too(stepped: Stepped) -> None:
    """Nothing lives, and the words for it are there."""
    reading = Watch(stepped.store()).look()
    assert (reading.lanes, reading.budgets, reading.dead, reading.workers) == ((), (), 0, 0)
    assert (reading.tick_ago_ms, reading.beats, reading.now_ms) == (None, 0, stepped.now_ms)
    assert reading.redis is not None
    assert (reading.redis.appendonly, reading.redis.maxmemory_policy) == (True, "noeviction")
    assert 0 < (reading.redis.memory_ratio or 0) < 1
    assert any("No worker is running" in line for line in troubles(reading))


def test_jobs_are_counted_and_aged(stepped: Stepped) -> None:
    """Urgent jobs, whose due time is in seconds, among the others; one under way is not due."""
    ledger = Ledger(stepped.store(), digest="d")
    ledger.register([("ev", "everstrike", 0), ("bm", "bitmart", 0)])
    ledger.accept([job(1)])
    stepped.advance(4_000)
    ledger.accept([job(2, urgent=True), job(3)])
    stepped.advance(3_000)
    reading = Watch(stepped.store()).look()
    assert (lane(reading).pending, lane(reading).due, lane(reading).oldest_ms) == (3, 3, 7_000)
    assert lane(reading, "bm") == LaneReading(
        exchange="bitmart",
        account="bm",
        pending=0,
        due=0,
        served=False,
        oldest_ms=0,
        unproven_ms=0,
        armed=0,
        without_timer=0,
        disarmed=0,
        tripped=0,
        left_ms=None,
        left_ratio=None,
    )
    # The urgent one has its turn first.
    ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000, lane=LANE, job_id="j1")
    ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000, lane=LANE, job_id="j1")
    reading = Watch(stepped.store()).look()
    assert (lane(reading).pending, lane(reading).due, lane(reading).oldest_ms) == (3, 1, 3_000)
    ledger.bury(reason="no task", raw="x")
    assert Watch(stepped.store()).look().dead == 1


def test_switches_are_counted_and_the_nearest_is_known(stepped: Stepped) -> None:
    """By state; the least time left by itself and as a part of its timeout."""
    ledger, switches = Ledger(stepped.store(), digest="d"), Switches(stepped.store())
    ledger.register([("ev", "everstrike", 0)])
    arm(switches, "short", 4_000)
    arm(switches, "long", 60_000)
    stepped.advance(1_000)
    reading = Watch(stepped.store()).look()
    assert (lane(reading).armed, lane(reading).left_ms, lane(reading).left_ratio) == (
        2,
        3_000,
        0.75,
    )
    stepped.advance(6_500)
    late = Watch(stepped.store()).look()
    assert (lane(late).armed, lane(late).left_ms) == (2, -3_500)
    assert "A switch of ev is past its deadline and has not tripped." in troubles(late)
    ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000, lane=f"{LANE}:switch")
    reading = Watch(stepped.store()).look()
    assert (lane(reading).armed, lane(reading).tripped) == (1, 1)
    assert lane(reading).left_ms == 52_500
    assert lane(reading).pending == 1
    stepped.advance(40_000)
    assert any("near its deadline" in line for line in troubles(Watch(stepped.store()).look()))


def test_age_of_the_oldest_unproven_job(stepped: Stepped) -> None:
    """From its first attempt, however many wait before it, until it is proven."""
    ledger = Ledger(stepped.store(), digest="d")
    ledger.register([("ev", "everstrike", 0)])
    ledger.accept([job(1)])

    def attempt(verb: Verb, outcome: Outcome) -> None:
        claimed = ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000)
        fields = {"delay_ms": 4_000} if verb is Verb.AGAIN else {}
        settled = [settlement(each, verb, outcome=outcome, **fields) for each in claimed.jobs]
        ledger.settle(settled, holder="w", retention_ms=60_000, lease_ms=9_000, limit=0)

    def look() -> Reading:
        return Watch(stepped.store()).look()

    stepped.advance(70_000)
    assert lane(look()).unproven_ms == 0
    attempt(Verb.AGAIN, Outcome.UNAVAILABLE)
    ledger.accept([job(number) for number in range(2, 20)])
    stepped.advance(60_000)
    for _ in range(2, 20):
        assert lane(look()).unproven_ms == 60_000
        assert not any("unproven" in line for line in troubles(look()))
        attempt(Verb.DONE, Outcome.CANCELED)
    stepped.advance(1_000)
    expected = "A job of ev has been unproven for 61 s since its first attempt."
    assert f"{expected} See: cancel-worker jobs" in troubles(look())
    attempt(Verb.AGAIN, Outcome.UNAVAILABLE)
    assert lane(look()).unproven_ms == 61_000
    stepped.advance(4_000)
    attempt(Verb.DEAD, Outcome.UNAVAILABLE)
    assert lane(look()).unproven_ms == 0


def test_an_attempt_of_a_dead_worker_is_unproven(stepped: Stepped) -> None:
    """Its result is not reported."""
    ledger = Ledger(stepped.store(), digest="d")
    ledger.register([("ev", "everstrike", 0)])
    ledger.accept([job(1)])
    for _ in range(9):
        ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000)
        stepped.advance(9_000)
    assert lane(Watch(stepped.store()).look()).unproven_ms == 81_000


def test_a_job_that_an_older_worker_ended_is_not_unproven(stepped: Stepped) -> None:
    """It takes the job from where it is due, and knows of no other place."""
    ledger = Ledger(stepped.store(), digest="d")
    ledger.register([("ev", "everstrike", 0)])
    ended = {f"ended{n}": stepped.now_ms - 90_000 for n in range(9)}
    stepped.client.zadd("cx:vain:everstrike:ev", ended)
    ledger.accept([job(1)])
    assert lane(Watch(stepped.store()).look()).unproven_ms == 0
    for _ in range(2):
        claimed = ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000)
        settled = [settlement(each, Verb.AGAIN) for each in claimed.jobs]
        ledger.settle(settled, holder="w", retention_ms=60_000, lease_ms=9_000, limit=0)
    stepped.advance(5_000)
    assert lane(Watch(stepped.store()).look()).unproven_ms == 5_000
    assert stepped.client.zcard("cx:vain:everstrike:ev") == 1


def arm_native(switches: Switches, timeout_ms: int) -> Armed:
    """Arm a switch whose timer the exchange holds."""
    return switches.arm(
        switch_id="native",
        lane=LANE,
        account="ev",
        native=True,
        pairs=["btc_idr"],
        order_ids=[],
        timeout_ms=timeout_ms,
        bell=BELL,
    )


def test_switches_without_a_timer_are_counted(stepped: Stepped) -> None:
    """Once it has been wanted for too long; of exchanges that keep timers alone."""
    ledger, switches = Ledger(stepped.store(), digest="d"), Switches(stepped.store())
    ledger.register([("ev", "everstrike", 0)])
    arm(switches, "emulated", 60_000)
    armed = arm_native(switches, 60_000)

    def untimed() -> int:
        return lane(Watch(stepped.store()).look()).without_timer

    def sync() -> None:
        ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000, lane=f"{LANE}:switch")
        record = switches.get("native")
        fires_ms = record.deadline_ms if record else 0
        timers = Timers(fires_ms, 0, (("native", armed.epoch),))
        switches.report(f"{LANE}:switch", "w", Report(timers=timers), release=AT_ONCE)

    stepped.advance(10_000)
    assert untimed() == 0
    stepped.advance(1)
    assert untimed() == 1
    found = troubles(Watch(stepped.store()).look())
    assert any("everstrike has no current timer for" in line for line in found), found
    sync()
    assert untimed() == 0
    stepped.advance(30_000)
    switches.beat("native", armed.epoch, BELL)
    stepped.advance(15_000)
    assert untimed() == 0, "a renewal may wait for a slot"
    stepped.advance(1)
    assert untimed() == 1, "half of its time is over"
    sync()
    assert untimed() == 0
    armed = arm_native(switches, 20_000)
    stepped.advance(5_001)
    assert untimed() == 1, "it would fire after the deadline"
    sync()
    assert untimed() == 0
    switches.disarm("native", armed.epoch, BELL)
    stepped.advance(12_000)
    arm_native(switches, 40_000)
    assert untimed() == 0, "it is wanted since now"


def test_budgets_are_read_with_their_owners(world: World, stepped: Stepped) -> None:
    """By alias or address, never by the key's hash; what has left the window does not count."""
    lanes = build_sessions(world.settings())
    budgets = budgets_of(lanes.values())
    owners = {(it.exchange, it.limit, it.owner) for it in budgets}
    assert ("indodax", "countdown", "any") in owners
    assert ("indodax", "countdown", "127.0.0.2") in owners
    assert ("bitmart", "orders", "bm") in owners
    rule = next(it.rule for it in budgets if (it.limit, it.owner) == ("countdown", "any"))
    limiter = Limiter(stepped.store())
    for _ in range(rule.max_requests):
        limiter.landed(limiter.reserve([rule], flight_ms=1_000))
    reading = Watch(stepped.store(), budgets).look()
    assert {it.rule.key: used for it, used in reading.budgets if used} == {rule.key: 10}
    assert "The limit countdown of indodax (any) is used up." in troubles(reading)
    stepped.advance(rule.window_ms + 1)
    assert not any(used for _, used in Watch(stepped.store(), budgets).look().budgets)


def test_who_lives_and_ticks_is_read(stepped: Stepped) -> None:
    """A worker without a sign of life for a while does not live."""
    ledger = Ledger(stepped.store(), digest="d")
    ledger.heartbeat("w1", ttl_ms=60_000)
    ledger.ticked()
    stepped.advance(PRESENCE_MS)
    ledger.heartbeat("w2", ttl_ms=60_000)
    reading = Watch(stepped.store()).look()
    assert (reading.workers, reading.tick_ago_ms) == (2, PRESENCE_MS)
    stepped.advance(1)
    assert Watch(stepped.store()).look().workers == 1


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("appendonly", "no", "Redis appendonly: no: a restart of Redis loses accepted jobs"),
        ("maxmemory-policy", "allkeys-lru", "Redis may throw accepted jobs away"),
        ("maxmemory", "1mb", "of maxmemory is used"),
    ],
)
def test_a_redis_that_may_lose_jobs_is_reported(
    stepped: Stepped, option: str, value: str, line: str
) -> None:
    """In the words of the page."""
    was: Any = stepped.client.config_get(option)
    stepped.client.config_set(option, value)
    try:
        found = troubles(Watch(stepped.store()).look())
        assert any(line in each for each in found), found
    finally:
        stepped.client.config_set(option, was[option])

        def written() -> bool:
            info: Any = stepped.client.info("persistence")
            return not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]

        eventually(written, what="the append-only file written anew")  # else it cannot stop


def test_nothing_is_changed_by_looking(stepped: Stepped) -> None:
    """Not a key of it."""
    ledger = Ledger(stepped.store(), digest="d")
    ledger.register([("ev", "everstrike", 0)])
    ledger.accept([job(1)])
    before = {key: stepped.client.dump(key) for key in stepped.client.keys("cx:*")}  # type: ignore[union-attr]
    Watch(stepped.store()).look()
    after = {key: stepped.client.dump(key) for key in stepped.client.keys("cx:*")}  # type: ignore[union-attr]
    assert after == before
