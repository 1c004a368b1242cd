"""What is read of Redis, to the digit, on a stepped clock."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.polling import eventually
from tests.support.stepped import Stepped
from tests.support.world import World
from worker.engine import PRESENCE_MS
from worker.factory import build_lanes
from worker.jobs import Kind, NewJob
from worker.monitor.reading import LaneReading, Reading, Watch, budgets_of
from worker.monitor.verdict import troubles
from worker.outcomes import Outcome
from worker.store.ledger import Ledger, Settlement, Verb
from worker.store.limiter import Limiter
from worker.store.switches import Switches

BELL = ("queue", "bell")
LANE = "everstrike:ev"


@pytest.fixture
def stepped(redis_url: str) -> Stepped:
    """An empty Redis whose time stands still."""
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
    assert (reading.redis.appendonly, reading.redis.noeviction) == (True, True)
    assert 0 < (reading.redis.memory_ratio or 0) < 1
    assert any("No worker lives" in line for line in troubles(reading))


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
        oldest_ms=0,
        vain_ms=None,
        armed=0,
        untimed=0,
        disarmed=0,
        tripped=0,
        left_ms=None,
        left_ratio=None,
    )
    ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000, lane=LANE, job_id="j1")
    reading = Watch(stepped.store()).look()
    assert (lane(reading).pending, lane(reading).due, lane(reading).oldest_ms) == (3, 2, 3_000)
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


def test_what_is_attempted_in_vain_is_aged(stepped: Stepped) -> None:
    """From its first attempt; what is only new, and what is proven, is none of it."""
    ledger = Ledger(stepped.store(), digest="d")
    ledger.register([("ev", "everstrike", 0)])
    ledger.accept([job(1)])

    def attempt(verb: Verb, outcome: Outcome) -> None:
        claimed = ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000)
        settled = [(each, Settlement(verb, outcome, delay_ms=4_000)) for each in claimed.jobs]
        ledger.settle(settled, holder="w", retention_ms=60_000, lease_ms=9_000, limit=0)

    def look() -> Reading:
        return Watch(stepped.store()).look()

    stepped.advance(70_000)
    assert lane(look()).vain_ms is None
    attempt(Verb.AGAIN, Outcome.UNAVAILABLE)
    ledger.accept([job(number) for number in range(2, 20)])
    stepped.advance(60_000)
    assert lane(look()).vain_ms is None, "those that never were attempted come first"
    for _ in range(2, 20):
        attempt(Verb.DONE, Outcome.CANCELED)
    assert lane(look()).vain_ms == 60_000
    assert not any("in vain" in line for line in troubles(look()))
    stepped.advance(1_000)
    assert "A job of ev has been attempted in vain for 61 s. See: cancel-worker jobs" in troubles(
        look()
    )
    attempt(Verb.DONE, Outcome.CANCELED)
    assert lane(look()).vain_ms is None


def test_switches_without_a_timer_are_counted(stepped: Stepped) -> None:
    """Once it has been wanted for a while; of exchanges that keep timers alone."""
    ledger, switches = Ledger(stepped.store(), digest="d"), Switches(stepped.store())
    ledger.register([("ev", "everstrike", 0)])
    arm(switches, "emulated", 60_000)
    armed = switches.arm(
        switch_id="native",
        lane=LANE,
        account="ev",
        native=True,
        pairs=["btc_idr"],
        order_ids=[],
        timeout_ms=60_000,
        bell=BELL,
    )
    members = [("native", armed.epoch)]

    def untimed() -> int:
        return lane(Watch(stepped.store()).look()).untimed

    def sync() -> None:
        ledger.claim(exchange="everstrike", holder="w", lease_ms=9_000, lane=f"{LANE}:switch")
        switches.synced(f"{LANE}:switch", "w", stepped.now_ms + 60_000, members)
        switches.rest(f"{LANE}:switch", "w")

    stepped.advance(10_000)
    assert untimed() == 0
    stepped.advance(1)
    assert untimed() == 1
    found = troubles(Watch(stepped.store()).look())
    assert any("everstrike holds no timer in time for" in line for line in found), found
    sync()
    assert untimed() == 0
    stepped.advance(36_000)
    switches.beat("native", armed.epoch, BELL)
    assert untimed() == 0, "it is to be renewed, and was not long ago"
    stepped.advance(1)
    switches.beat("native", armed.epoch, BELL)
    assert untimed() == 1
    sync()
    assert untimed() == 0


def test_budgets_are_read_with_their_owners(world: World, stepped: Stepped) -> None:
    """By alias or address, never by the key's hash; what has left the window does not count."""
    lanes = build_lanes(world.settings())
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
    """A worker not heard of for a while does not live."""
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
        ("appendonly", "no", "Redis keeps nothing on disk"),
        ("maxmemory-policy", "allkeys-lru", "Redis may evict accepted jobs."),
        ("maxmemory", "1mb", "Redis is short of memory."),
    ],
)
def test_a_redis_that_may_lose_jobs_is_told(
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
