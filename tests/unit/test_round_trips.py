"""How long the next request may take, from how long the last ones took."""

from __future__ import annotations

import pytest

from worker.config.settings import Http, Settings
from worker.gateway.round_trips import MARGIN, SLOW_MAX, RoundTrips
from worker.policy.timers import CALL_MAX_MS, Terms

NONCE = Terms(nonce=True, step_ms=1_000)
TRANSIT_MS = 300


@pytest.fixture
def ways() -> RoundTrips:
    """Nothing is known yet."""
    return RoundTrips(Settings())


def learn(
    ways: RoundTrips, took_ms: float, *, longest_ms: int = CALL_MAX_MS, answered: bool
) -> bool:
    """Take note of the next call."""
    call_ms = ways.call_ms("a", longest_ms=longest_ms)
    return ways.learn("a", took_ms, call_ms, longest_ms, answered=answered)


def test_a_call_follows_the_way(ways: RoundTrips) -> None:
    """It may take a quarter longer than recently, and never less than the setting."""
    assert ways.call_ms("a") == TRANSIT_MS
    learn(ways, 80, answered=True)
    assert ways.call_ms("a") == TRANSIT_MS
    ways.learn("a", 1_000, 1_200, CALL_MAX_MS, answered=True)
    assert ways.call_ms("a") == MARGIN * 1_000
    for _ in range(20):
        learn(ways, 80, answered=True)
    assert ways.call_ms("a") == TRANSIT_MS
    assert ways.call_ms("b") == TRANSIT_MS


def test_a_call_that_timed_out_gives_the_next_twice_the_time(ways: RoundTrips) -> None:
    """Up to the longest; one that failed at once says nothing of the way."""
    learn(ways, 5, answered=False)
    assert ways.call_ms("a") == TRANSIT_MS
    for wanted in (600, 1_200, 2_400, CALL_MAX_MS, CALL_MAX_MS):
        assert not learn(ways, ways.call_ms("a"), answered=False)
        assert ways.call_ms("a") == wanted


def test_a_timeout_bounds_a_call(ways: RoundTrips) -> None:
    """A timer's timeout leaves so much; a stop has all the time there is."""
    assert ways.longest_ms(NONCE, 8_000) == 825
    assert ways.longest_ms(NONCE, 60_000) == CALL_MAX_MS
    assert ways.longest_ms(NONCE, 8_000, stop=True) == CALL_MAX_MS
    assert ways.longest_ms(NONCE, 2_000) == 2_000 // 16
    assert RoundTrips(Settings(http=Http(deadline_ms=500))).longest_ms(NONCE, 60_000) == 500


def test_a_way_is_too_slow_after_several_calls_in_a_row(ways: RoundTrips) -> None:
    """Only where the timers leave no more time; a reply in between ends the count."""
    longest_ms = 400
    learn(ways, TRANSIT_MS, longest_ms=longest_ms, answered=False)
    for _ in range(SLOW_MAX - 1):
        assert not learn(ways, longest_ms, longest_ms=longest_ms, answered=False)
    assert not learn(ways, 380, longest_ms=longest_ms, answered=True)
    for _ in range(SLOW_MAX - 1):
        assert not learn(ways, longest_ms, longest_ms=longest_ms, answered=False)
    assert learn(ways, longest_ms + 100, longest_ms=longest_ms, answered=True)
    for _ in range(2 * SLOW_MAX):
        assert not learn(ways, CALL_MAX_MS, answered=False)
