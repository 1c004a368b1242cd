"""Rate limits: never more than a rule allows in any window, as the exchange counts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.support.frozen_clock import ALL_KEPT_BY, Clock, a_limiter, clock_of
from tests.support.stepped_time import Stepped
from worker.gateway.ports import Slots
from worker.model.constants import AHEAD_MS
from worker.model.limits import Grant, Left, Rule
from worker.store.ledger import Ledger
from worker.store.limiter import Limiter

WINDOW_MS = 1_000
FLIGHT_MS = 400
RULE = Rule("r", max_requests=3, window_ms=WINDOW_MS)


@pytest.fixture(params=ALL_KEPT_BY)
def clock(request: pytest.FixtureRequest) -> Clock:
    """A clock, of an empty Redis or of this process."""
    return clock_of(request)


@pytest.fixture
def stepped(redis_url: str) -> Stepped:
    """The clock of an empty Redis."""
    return Stepped(redis_url)


@pytest.fixture
def limiter(clock: Clock) -> Slots:
    return a_limiter(clock)


@pytest.fixture
def shared(stepped: Stepped) -> Limiter:
    return Limiter(stepped.store())


def reserve(limiter: Slots, *rules: Rule, flight_ms: int = FLIGHT_MS) -> Grant:
    """Ask for leave to send."""
    return limiter.reserve(rules or (RULE,), flight_ms=flight_ms)


def send(limiter: Slots, *rules: Rule) -> int:
    """Send if there is leave, the reply coming at once; return the wait if not."""
    grant = reserve(limiter, *rules)
    if not grant.wait_ms:
        limiter.landed(grant)
    return grant.wait_ms


def most_in_a_window(times: Sequence[float], window_ms: float) -> int:
    """Return the largest count in any window that begins with an arrival."""
    return max(sum(begin <= t < begin + window_ms for t in times) for begin in times)


def test_window_is_exact_at_its_ends(clock: Clock, limiter: Slots) -> None:
    """A slot is free when its request has provably left every window, and not before.

    Redis time is cut to whole ms, so that what arrived "at t" may have arrived
    almost a ms later: the slot is free at t + window + 1.
    """
    assert [send(limiter) for _ in range(3)] == [0, 0, 0]
    assert send(limiter) == WINDOW_MS + 1
    clock.advance(WINDOW_MS)
    assert send(limiter) == 1
    clock.advance(1)
    assert [send(limiter) for _ in range(3)] == [0, 0, 0]
    assert send(limiter) > 0


def test_window_slides(clock: Clock, limiter: Slots) -> None:
    """Slots come back one by one, each a window after its own request."""
    for _ in range(3):
        assert send(limiter) == 0
        clock.advance(100)
    assert send(limiter) == WINDOW_MS + 1 - 300
    clock.advance(WINDOW_MS + 1 - 300)
    assert send(limiter) == 0
    assert send(limiter) == 100
    clock.advance(100)
    assert send(limiter) == 0


def test_the_returned_wait_is_enough_and_a_ms_less_is_not(clock: Clock, limiter: Slots) -> None:
    """The wait is exact once all that was sent has arrived."""
    for pause in (0, 170, 340):
        clock.advance(pause)
        assert send(limiter) == 0
    wait = send(limiter)
    clock.advance(wait - 1)
    assert send(limiter) == 1
    clock.advance(1)
    assert send(limiter) == 0


def test_request_under_way_counts_until_it_has_arrived(clock: Clock, limiter: Slots) -> None:
    """What is slow on the way may arrive together with what is sent later."""
    grants = [reserve(limiter) for _ in range(3)]
    assert [grant.wait_ms for grant in grants] == [0, 0, 0]
    clock.advance(300)
    for grant in grants:
        limiter.landed(grant)
    clock.advance(WINDOW_MS)
    assert send(limiter) == 1
    clock.advance(1)
    assert send(limiter) == 0


def test_request_that_never_arrived_counts_for_its_flight(clock: Clock, limiter: Slots) -> None:
    """A lost reply costs its slot the flight and the window, and no more."""
    assert not any(reserve(limiter).wait_ms for _ in range(3))
    clock.advance(FLIGHT_MS + WINDOW_MS)
    assert send(limiter) > 0
    clock.advance(1)
    assert send(limiter) == 0


def test_request_that_never_left_gives_its_slot_back(limiter: Slots) -> None:
    """A refused connection costs no slot."""
    grants = [reserve(limiter) for _ in range(3)]
    limiter.landed(grants[1], sent=False)
    assert send(limiter) == 0
    assert send(limiter) > 0
    limiter.landed(grants[1], sent=False)
    assert send(limiter) > 0


def test_landing_late_or_twice_never_frees_a_slot(clock: Clock, limiter: Slots) -> None:
    """Word that comes late counts as late; word of what is forgotten counts for nothing."""
    grant = reserve(limiter, Rule("one", 1, WINDOW_MS))
    clock.advance(500)
    limiter.landed(grant)
    limiter.landed(grant)
    clock.advance(WINDOW_MS)
    assert reserve(limiter, Rule("one", 1, WINDOW_MS)).wait_ms == 1
    clock.advance(1)
    again = reserve(limiter, Rule("one", 1, WINDOW_MS))
    assert again.wait_ms == 0
    limiter.landed(grant)
    assert send(limiter, Rule("one", 1, WINDOW_MS)) > WINDOW_MS


def test_all_rules_or_none(limiter: Slots) -> None:
    """A request that one rule holds back takes no slot of another."""
    wide, narrow = Rule("wide", 3, WINDOW_MS), Rule("narrow", 1, 5_000)
    assert send(limiter, wide, narrow) == 0
    for _ in range(5):
        assert send(limiter, wide, narrow) == 5_001
        assert send(limiter, narrow, wide) == 5_001
    assert [send(limiter, wide) for _ in range(3)] == [0, 0, WINDOW_MS + 1]
    assert send(limiter, wide, narrow) == 5_001


def test_longest_wait_of_all_rules_is_returned(clock: Clock, limiter: Slots) -> None:
    """After the wait every rule has room."""
    short, long = Rule("short", 1, 100), Rule("long", 1, 700)
    assert send(limiter, short, long) == 0
    wait = send(limiter, short, long)
    clock.advance(wait)
    assert send(limiter, short, long) == 0


def test_rules_do_not_share_slots(limiter: Slots) -> None:
    """Another key is another budget."""
    assert [send(limiter, Rule(f"k{n}", 1, WINDOW_MS)) for n in range(5)] == [0] * 5


def test_no_rule_is_no_limit(stepped: Stepped, shared: Limiter) -> None:
    """A command that no limit names always goes, and leaves nothing in Redis."""
    before = stepped.client.dbsize()
    grant = shared.reserve((), flight_ms=FLIGHT_MS)
    assert grant.wait_ms == 0
    shared.landed(grant)
    assert stepped.client.dbsize() == before


def test_unused_rules_are_forgotten(stepped: Stepped, shared: Limiter) -> None:
    """A key lives an hour longer than what it holds can matter, as its clock may step."""
    grant = reserve(shared)
    shared.landed(grant)
    left: Any = stepped.client.pttl("cx:limit:r")
    room_ms = 3_600_000
    assert WINDOW_MS + FLIGHT_MS < left - room_ms + 1_000 <= WINDOW_MS + FLIGHT_MS + 1_000


def test_any_jitter_keeps_every_window(clock: Clock, limiter: Slots) -> None:
    """Whatever a request's way takes, no window at the exchange holds more than the rule."""
    rng = random.Random(5)
    arrivals: list[float] = []
    under_way: list[tuple[float, Grant]] = []
    for _ in range(500):
        clock.advance(rng.choice((1, 7, 60, 170)))
        for landed in [row for row in under_way if row[0] <= clock.now_ms]:
            under_way.remove(landed)
            if rng.random() < 0.9:
                limiter.landed(landed[1])
        grant = reserve(limiter)
        if grant.wait_ms:
            continue
        # The grant's true time lies within its ms; the arrival anywhere in the flight.
        arrives = clock.now_ms + rng.random() * FLIGHT_MS
        if rng.random() < 0.1:
            limiter.landed(grant, sent=False)
        else:
            arrivals.append(arrives)
            under_way.append((arrives, grant))
    assert len(arrivals) > 20
    assert most_in_a_window(arrivals, WINDOW_MS) <= RULE.max_requests


def test_a_heavy_request_waits_for_as_many_slots_as_it_weighs(clock: Clock, limiter: Slots) -> None:
    """Light ones go on meanwhile; a request that never left gives all of them back."""
    light = Rule("w", 10, WINDOW_MS)
    heavy = replace(light, weight=8)
    assert [send(limiter, light) for _ in range(3)] == [0, 0, 0]
    assert send(limiter, heavy) == WINDOW_MS + 1
    clock.advance(400)
    assert send(limiter, light) == 0
    clock.advance(WINDOW_MS + 1 - 400)
    grant = reserve(limiter, heavy)
    assert grant.wait_ms == 0
    assert send(limiter, light) == 0
    assert send(limiter, light) == 400
    limiter.landed(grant, sent=False)
    assert [send(limiter, light) for _ in range(8)] == [0] * 8
    assert send(limiter, light) > 0


def test_what_weighs_more_than_the_rule_allows_goes_alone(clock: Clock, limiter: Slots) -> None:
    """Else it could never go."""
    light = Rule("w", 5, WINDOW_MS)
    assert send(limiter, replace(light, weight=9)) == 0
    assert send(limiter, light) == WINDOW_MS + 1
    clock.advance(WINDOW_MS + 1)
    assert send(limiter, light) == 0


def test_any_jitter_keeps_the_weights_of_every_window(clock: Clock, limiter: Slots) -> None:
    """The sum of the weights that arrive in any window is within the rule; so is a second one."""
    rng = random.Random(11)
    rules = [Rule("w", 12, WINDOW_MS), Rule("long", 30, 4 * WINDOW_MS)]
    arrivals: list[float] = []
    under_way: list[tuple[float, Grant]] = []
    for _ in range(600):
        clock.advance(rng.choice((1, 7, 60, 170)))
        for landed in [row for row in under_way if row[0] <= clock.now_ms]:
            under_way.remove(landed)
            limiter.landed(landed[1])
        weight = rng.choice((1, 1, 1, 4, 6))
        grant = reserve(limiter, *(replace(rule, weight=weight) for rule in rules))
        if grant.wait_ms:
            continue
        arrives = clock.now_ms + rng.random() * FLIGHT_MS
        if rng.random() < 0.1:
            limiter.landed(grant, sent=False)
        else:
            arrivals += [arrives] * weight
            under_way.append((arrives, grant))
    assert len(arrivals) > 60
    assert most_in_a_window(arrivals, WINDOW_MS) <= rules[0].max_requests
    assert most_in_a_window(arrivals, 4 * WINDOW_MS) <= rules[1].max_requests


def test_a_ban_holds_off_everything_until_it_ends(clock: Clock, limiter: Slots) -> None:
    """A shorter one that is reported later does not end it; other owners go on."""
    ban, other = Rule("x:ban:a", 1, 1, ban=True), Rule("x:ban:b", 1, 1, ban=True)
    assert send(limiter, RULE, ban) == 0
    limiter.ban([ban], 5_000)
    limiter.ban([ban], 1_000)
    assert send(limiter, RULE, ban) == 5_000
    assert send(limiter, RULE, other) == 0
    clock.advance(4_999)
    assert send(limiter, RULE, ban) == 1
    clock.advance(1)
    assert send(limiter, RULE, ban) == 0
    limiter.ban([], 5_000)
    assert send(limiter, RULE, ban) == 0


def test_many_threads_never_pass_the_limit(stepped: Stepped) -> None:
    """Eight workers at once get exactly what one would get."""
    limiters = [Limiter(stepped.store()) for _ in range(8)]
    times: list[int] = []

    def hammer(limiter: Limiter) -> int:
        return sum(send(limiter) == 0 for _ in range(10))

    with ThreadPoolExecutor(8) as pool:
        for _ in range(12):
            granted = sum(pool.map(hammer, limiters))
            times += [stepped.now_ms] * granted
            stepped.advance(250)
    assert most_in_a_window(times, WINDOW_MS + 1) == RULE.max_requests
    assert len(times) >= 3 * RULE.max_requests - 3


@pytest.mark.parametrize("new_worker_first", [False, True])
def test_loss_of_redis_holds_every_slot_until_what_was_sent_is_past(
    stepped: Stepped, shared: Limiter, *, new_worker_first: bool
) -> None:
    """What was granted before is forgotten, so that its flight and window are waited out.

    So is the time for which its slot may have been kept. That holds too if a worker that
    knew nothing of the loss was the first to speak to the Redis that came back.
    """
    old = Ledger(stepped.store())
    old.heartbeat("old", ttl_ms=5_000)
    assert not any(send(shared) for _ in range(3))
    stepped.client.flushall()
    stepped.advance(10)
    if new_worker_first:
        Ledger(stepped.store()).heartbeat("new", ttl_ms=5_000)
    old.heartbeat("old", ttl_ms=5_000)
    wait = send(shared)
    assert WINDOW_MS < wait <= AHEAD_MS + FLIGHT_MS + WINDOW_MS + 1
    stepped.advance(500)
    old.heartbeat("old", ttl_ms=5_000)
    assert send(shared) == wait - 500
    stepped.advance(wait - 500)
    assert send(shared) == 0


def test_first_start_holds_no_slot(stepped: Stepped, shared: Limiter) -> None:
    """An empty Redis that no worker has seen otherwise has lost nothing."""
    ledger = Ledger(stepped.store())
    for _ in range(2):
        ledger.heartbeat("w1", ttl_ms=5_000)
    assert send(shared) == 0


WIDE = Rule("w", max_requests=100, window_ms=WINDOW_MS)


def hear(limiter: Slots, requests: int, *, frees_ms: int = WINDOW_MS, weight: int = 1) -> None:
    """Send, with a reply that says how many requests are left."""
    rule = replace(WIDE, weight=weight)
    grant = reserve(limiter, rule)
    assert grant.wait_ms == 0
    limiter.landed(grant.with_left([Left(rule, requests, frees_ms)]))


def sent_now(limiter: Slots) -> int:
    """Return how many more requests are granted."""
    return next(n for n in range(200) if send(limiter, WIDE))


def test_what_others_used_is_counted_until_it_is_given_back(clock: Clock, limiter: Slots) -> None:
    """The exchange says that less is left: then no more is sent than that."""
    hear(limiter, 20, frees_ms=400)
    assert sent_now(limiter) == 20
    clock.advance(400)
    assert send(limiter, WIDE) == 1
    clock.advance(1)
    assert sent_now(limiter) == 79
    clock.advance(WINDOW_MS + 1)
    assert sent_now(limiter) == 100


@pytest.mark.parametrize("left", [99, 100, 5_000, 89])
def test_more_than_we_count_is_never_believed(limiter: Slots, left: int) -> None:
    """Nor a little less: a request on its way may be counted there and no longer here."""
    hear(limiter, left)
    assert sent_now(limiter) == 99


def test_what_is_left_is_lowered_again(limiter: Slots) -> None:
    """Each reply lowers what the ones before left; a later one that says more raises nothing."""
    hear(limiter, 60, weight=5)
    hear(limiter, 30)
    hear(limiter, 90)
    assert sent_now(limiter) == 29
    assert send(limiter, WIDE) > 0


def test_others_use_all_there_is(clock: Clock, limiter: Slots) -> None:
    """Then nothing is sent before a window is over."""
    hear(limiter, 0)
    assert send(limiter, WIDE) == WINDOW_MS + 1
    clock.advance(WINDOW_MS + 1)
    assert sent_now(limiter) == 100


def test_what_others_used_may_be_very_many(limiter: Slots) -> None:
    """More than one command of Redis takes; each of them counts."""
    huge = Rule("huge", 6_000, WINDOW_MS)
    grant = reserve(limiter, huge)
    limiter.landed(grant.with_left([Left(huge, 2, WINDOW_MS)]))
    assert [send(limiter, huge) for _ in range(3)] == [0, 0, WINDOW_MS + 1]


def test_a_tenth_of_a_limit_is_rounded_down(limiter: Slots) -> None:
    """Two requests of others count under a limit of 15, where one would not."""
    rule = Rule("fifteen", 15, WINDOW_MS)
    grant = reserve(limiter, rule)
    limiter.landed(grant.with_left([Left(rule, 12, WINDOW_MS)]))
    assert [send(limiter, rule) for _ in range(13)] == [*[0] * 12, WINDOW_MS + 1]
