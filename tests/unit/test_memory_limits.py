"""Limits and nonces of one process: what the tests shared with Redis do not look at."""

from __future__ import annotations

import pytest

from worker.direct.limiter import MemoryLimiter
from worker.direct.nonces import MemoryNonces
from worker.model.constants import COME_BACK_MS, URGENT_GRANTS
from worker.model.limits import Grant, Rule

RULE = Rule("r", max_requests=3, window_ms=1_000)
BAN = Rule("b", max_requests=1, window_ms=1, ban=True)
START_MS = 10_000


class Clock:
    """Time that a test moves."""

    now_ms = START_MS

    def __call__(self) -> float:
        """Return the time."""
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> MemoryLimiter:
    return MemoryLimiter(clock)


def test_no_rule_holds_off_nothing(limiter: MemoryLimiter) -> None:
    """The leave names nothing."""
    assert limiter.reserve((), flight_ms=1) == Grant(0)


def test_a_ban_counts_no_request(limiter: MemoryLimiter) -> None:
    """The rules after it do."""
    grants = [limiter.reserve((BAN, RULE), flight_ms=1) for _ in range(4)]
    assert [grant.wait_ms > 0 for grant in grants] == [False, False, False, True]
    assert [len(grant.member) for grant in grants] == [16, 16, 16, 0]
    assert not limiter._windows["b"].arrivals  # noqa: SLF001  it would grow without end


def test_a_ban_and_an_arrival_may_come_first(limiter: MemoryLimiter) -> None:
    """Before any request was granted here."""
    limiter.landed(Grant(0, "m", ("r",), ("r",)))
    assert limiter.reserve((RULE,), flight_ms=1).wait_ms == 0
    limiter.ban([BAN], 500)
    assert limiter.reserve((BAN,), flight_ms=1) == Grant(500)


@pytest.mark.parametrize(("late_ms", "waits"), [(-1, True), (0, False)])
def test_a_caller_has_its_turn_until_it_must_have_come_back(
    clock: Clock, limiter: MemoryLimiter, *, late_ms: int, waits: bool
) -> None:
    """Then urgent requests take its slots."""
    paced = Rule("p", max_requests=URGENT_GRANTS + 2, window_ms=1_000, paced=True)
    assert limiter.reserve((paced,), flight_ms=1, urgent=False).wait_ms == 0
    wait_ms = limiter.reserve((paced,), flight_ms=1, urgent=False).wait_ms
    assert wait_ms > 0
    for _ in range(URGENT_GRANTS):
        assert limiter.reserve((paced,), flight_ms=1).wait_ms == 0
    clock.now_ms = START_MS + wait_ms + COME_BACK_MS + late_ms
    assert (limiter.reserve((paced,), flight_ms=1).wait_ms > 0) is waits


def test_the_first_nonce_is_above_0() -> None:
    """And by 1, on a clock that shows no time."""
    nonces = MemoryNonces(lambda: 0)
    assert [nonces.allocate("k") for _ in range(2)] == [1, 2]
