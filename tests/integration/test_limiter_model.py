"""The limiter's script against the limiter of one process, and what it keeps in Redis."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.support.stepped_time import Stepped
from worker.direct.limiter import MemoryLimiter
from worker.model.constants import AHEAD_MS, COME_BACK_MS
from worker.model.limits import Grant, Left, Rule
from worker.store.limiter import Limiter

HOUR_MS = 3_600_000
SPENT_MS = 60_000
"""The most that a test may take of a key's life, which runs on real time."""
FLIGHT_MS = 600_000
PACED = Rule("paced", 7, 1_000, paced=True)
PLAIN = Rule("plain", 3, 800)
RULES: dict[str, tuple[Rule, ...]] = {
    "one": (PLAIN,),
    "two windows": (PLAIN, Rule("long", 5, 2_300)),
    "paced": (PACED,),
    "paced by few": (Rule("paced", 2, 999, paced=True),),
    "paced and plain": (PACED, PLAIN),
    "two paces and a ban": (PACED, Rule("slow", 4, 1_500, paced=True), Rule("ban", 1, 1, ban=True)),
    "wide": (Rule("wide", 40, 900),),
    "five": (PLAIN, PACED, *(Rule(f"r{n}", n, n * 400) for n in (2, 3, 4))),
}


@pytest.fixture
def stepped(redis_url: str) -> Stepped:
    """The clock of an empty Redis."""
    return Stepped(redis_url)


@pytest.fixture
def limiter(stepped: Stepped) -> Limiter:
    return Limiter(stepped.store())


@pytest.mark.parametrize("rules", RULES)
def test_script_and_process_grant_alike(stepped: Stepped, limiter: Limiter, rules: str) -> None:
    """Any history of requests, arrivals, bans, waits and replies has the same grants and waits."""
    rng = random.Random(rules)
    own = MemoryLimiter(lambda: stepped.now_ms)
    under_way: list[tuple[Grant, Grant]] = []
    wait_ms, waits = 0, set()
    urgent_share = 0.6
    for step in range(300):
        near = (0, 0, 1, wait_ms - 1, wait_ms, wait_ms + COME_BACK_MS, rng.randint(0, 300))
        if (ms := rng.choice(near)) > 0:
            stepped.advance(ms)
        weight = rng.choice((1, 1, 1, 2, 3, 9))
        asked = [rule if rule.ban else replace(rule, weight=weight) for rule in RULES[rules]]
        urgent, flight_ms = rng.random() < urgent_share, rng.choice((0, 40, 900))
        granted = limiter.reserve(asked, flight_ms=flight_ms, urgent=urgent)
        alike = own.reserve(asked, flight_ms=flight_ms, urgent=urgent)
        assert granted.wait_ms == alike.wait_ms, step
        waits.add(granted.wait_ms)
        if granted.wait_ms:
            wait_ms = granted.wait_ms
        else:
            under_way.append((granted, alike))
        if under_way and rng.random() < 0.6:
            pair = under_way.pop(rng.randrange(len(under_way)))
            sent = rng.random() < 0.8
            left = []
            if rng.random() < 0.3:
                rule = rng.choice([rule for rule in asked if not rule.ban])
                frees_ms = rng.choice((1, rule.window_ms // 3, rule.window_ms))
                left = [Left(rule, rng.randrange(rule.max_requests), frees_ms)]
            limiter.landed(pair[0].with_left(left), sent=sent)
            own.landed(pair[1].with_left(left), sent=sent)
        if rng.random() < 0.02:
            ban_ms = rng.randint(1, 500)
            bans = [rule for rule in asked if rule.ban]
            limiter.ban(bans, ban_ms)
            own.ban(bans, ban_ms)
    assert len(waits) > 20


def test_what_has_left_the_window_is_dropped(stepped: Stepped, limiter: Limiter) -> None:
    """A rule keeps the grants of one window, those that never arrived included."""
    for _ in range(20):
        assert limiter.reserve([PLAIN], flight_ms=0).wait_ms == 0
        stepped.advance(PLAIN.window_ms + 1)
    assert stepped.client.zcard("cx:limit:plain") == 1


def test_a_plain_rule_keeps_its_grants_alone(stepped: Stepped, limiter: Limiter) -> None:
    """Pace, turns and marks of who waits belong to paced rules."""
    for urgent in (True, False) * 4:
        limiter.reserve([PLAIN], flight_ms=FLIGHT_MS, urgent=urgent)
    keys: Any = stepped.client.keys("cx:limit:*")
    assert keys == ["cx:limit:plain"]


def test_keys_live_an_hour_longer_than_they_count(stepped: Stepped, limiter: Limiter) -> None:
    """A clock that steps forward by less takes no grant, pace or mark away."""
    wide = Rule("wide", 6, 1_200_000, paced=True)
    step_ms = wide.window_ms // wide.max_requests
    first = limiter.reserve([wide], flight_ms=FLIGHT_MS, urgent=False)
    assert first.wait_ms == 0
    assert lives(stepped, "wide:next", step_ms)
    assert limiter.reserve([wide], flight_ms=FLIGHT_MS, urgent=False).wait_ms == step_ms
    assert lives(stepped, "wide:waits", step_ms + COME_BACK_MS)
    for _ in range(4):
        assert limiter.reserve([wide], flight_ms=FLIGHT_MS).wait_ms == 0
    assert lives(stepped, "wide", wide.window_ms + FLIGHT_MS)
    assert lives(stepped, "wide:run", wide.window_ms + FLIGHT_MS)
    assert lives(stepped, "wide:next", 5 * step_ms)
    wait_ms = limiter.reserve([wide], flight_ms=FLIGHT_MS).wait_ms
    assert lives(stepped, "wide:urgent", wait_ms + COME_BACK_MS)


def lives(stepped: Stepped, key: str, counts_ms: int) -> bool:
    """Return whether a key expires an hour after what it holds counts no more."""
    left: int = stepped.client.pttl(f"cx:limit:{key}")  # type: ignore[assignment]
    return counts_ms + HOUR_MS - SPENT_MS < left <= counts_ms + HOUR_MS


def test_a_loss_holds_until_all_that_was_sent_has_left(stepped: Stepped, limiter: Limiter) -> None:
    """Without workers that owe a report, keeping, flight and window are waited out, to the ms."""
    stepped.client.set("cx:lost_ms", stepped.now_ms)
    stepped.advance(100)
    hold_ms = AHEAD_MS + FLIGHT_MS + PLAIN.window_ms + 1 - 100
    assert limiter.reserve([PLAIN], flight_ms=FLIGHT_MS).wait_ms == hold_ms
    stepped.advance(hold_ms - 1)
    assert limiter.reserve([PLAIN], flight_ms=FLIGHT_MS).wait_ms == 1
    stepped.advance(1)
    assert limiter.reserve([PLAIN], flight_ms=FLIGHT_MS).wait_ms == 0


def test_proven_grants_wait_for_reports_for_two_seconds(stepped: Stepped, limiter: Limiter) -> None:
    """By then who lives has reported; others look again soon, until the window is past."""
    proven = Rule("proven", 3, 50_000, proven=True)
    stepped.client.set("cx:lost_ms", stepped.now_ms)
    stepped.client.sadd("cx:owed", "silent")
    look_ms = 200
    stepped.advance(1_999)
    assert limiter.reserve([proven], flight_ms=FLIGHT_MS).wait_ms == look_ms
    stepped.advance(1)
    assert limiter.reserve([proven], flight_ms=FLIGHT_MS).wait_ms == 0
    assert limiter.reserve([PLAIN], flight_ms=FLIGHT_MS).wait_ms == look_ms
    stepped.advance(AHEAD_MS + FLIGHT_MS + PLAIN.window_ms - 2_000)
    assert limiter.reserve([PLAIN], flight_ms=FLIGHT_MS).wait_ms == 1
    stepped.advance(1)
    assert limiter.reserve([PLAIN], flight_ms=FLIGHT_MS).wait_ms == 0


def test_another_id_without_a_second_one_is_no_failover(stepped: Stepped, limiter: Limiter) -> None:
    """A master that was never a replica lost nothing, whatever id was last seen."""
    stepped.client.zadd("cx:workers", {"one": stepped.now_ms + HOUR_MS})
    stepped.client.set("cx:replid", "f" * 40)
    assert limiter.reserve([PLAIN], flight_ms=FLIGHT_MS).wait_ms == 0
    assert stepped.client.exists("cx:owed", "cx:lost_ms") == 0
    assert stepped.client.get("cx:replid") != "f" * 40
