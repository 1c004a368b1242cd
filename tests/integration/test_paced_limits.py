"""A paced limit under load: even steps, urgent work soon, never more than is allowed."""

from __future__ import annotations

import bisect
import heapq
import random
from dataclasses import dataclass, field

import pytest

from tests.support.frozen_clock import KEPT_BY, Clock, a_limiter, clock_of
from tests.support.stepped_time import START_MS
from worker.model.limits import Grant, Rule

MAX = 10
WINDOW_MS = 10_000
STEP_MS = WINDOW_MS // MAX
FLIGHT_MS = 3_000
RULES = [Rule("r", MAX, WINDOW_MS, paced=True)]


@pytest.fixture(params=KEPT_BY)
def clock(request: pytest.FixtureRequest) -> Clock:
    """A clock, of an empty Redis or of this process."""
    return clock_of(request)


def most_in_a_window(at_ms: list[float]) -> int:
    """Return the most arrivals in any window, as the exchange counts them."""
    at_ms = sorted(at_ms)
    return max(
        (n + 1 - bisect.bisect_right(at_ms, at - WINDOW_MS) for n, at in enumerate(at_ms)),
        default=0,
    )


@dataclass
class Traffic:
    """Callers of one limiter, in the order in which things happen.

    Attributes:
        flight_ms: Shortest and longest time from a grant to its reply.
        late_ms: How much later than asked a caller may come back.
    """

    clock: Clock
    rng: random.Random
    flight_ms: tuple[int, int] = (10, 120)
    late_ms: int = 0
    renewals: list[int] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    urgent_waits: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limiter = a_limiter(self.clock)
        self._events: list[tuple[int, int, str, object]] = []
        self._count = 0

    def at(self, ms: int, what: str, about: object = None) -> None:
        """Have something happen."""
        self._count += 1
        heapq.heappush(self._events, (ms, self._count, what, about))

    def run(self, until_ms: int) -> None:
        """Let everything happen until then."""
        while self._events and self._events[0][0] <= until_ms:
            at_ms, _, what, about = heapq.heappop(self._events)
            if at_ms != self.clock.now_ms:
                self.clock.set(at_ms)
            match what, about:
                case "landed", Grant():
                    self.limiter.landed(about)
                case "renew", _:
                    self._renew()
                case "urgent", int():
                    self._urgent(about)
                case _:
                    raise AssertionError(what)
        self.clock.set(until_ms)

    def _renew(self) -> None:
        now = self.clock.now_ms
        grant = self.limiter.reserve(RULES, flight_ms=FLIGHT_MS, urgent=False)
        if grant.wait_ms:
            self.at(now + grant.wait_ms + self._late(), "renew")
            return
        self.renewals.append(now)
        self.at(self._fly(grant), "renew")

    def _urgent(self, asked_ms: int) -> None:
        now = self.clock.now_ms
        grant = self.limiter.reserve(RULES, flight_ms=FLIGHT_MS)
        if grant.wait_ms:
            self.at(now + grant.wait_ms + self._late(), "urgent", asked_ms)
            return
        self.urgent_waits.append(now - asked_ms)
        self._fly(grant)

    def _fly(self, grant: Grant) -> int:
        now = self.clock.now_ms
        landed_ms = now + self.rng.randint(*self.flight_ms)
        self.arrivals.append(self.rng.uniform(now, landed_ms))
        self.at(landed_ms, "landed", grant)
        return landed_ms

    def _late(self) -> int:
        return self.rng.randint(0, self.late_ms)


def test_renewals_go_at_even_steps(clock: Clock) -> None:
    """However many ask at once, they go a step apart, from the first on."""
    traffic = Traffic(clock, random.Random(1), flight_ms=(20, 20))
    for _ in range(20):
        traffic.at(START_MS, "renew")
    traffic.run(START_MS + 60_000)
    steps = [b - a for a, b in zip(traffic.renewals, traffic.renewals[1:], strict=False)]
    assert traffic.renewals[0] == START_MS
    assert min(steps) >= STEP_MS
    assert max(steps) <= STEP_MS + 21
    assert most_in_a_window(traffic.arrivals) <= MAX


@pytest.mark.parametrize("late_ms", [0, 80])
@pytest.mark.parametrize("flight_ms", [(0, 0), (10, 120)])
def test_nearly_all_of_the_budget_is_used(
    clock: Clock, flight_ms: tuple[int, int], late_ms: int
) -> None:
    """Under saturation hardly a slot is lost to the pace or to the time under way."""
    traffic = Traffic(clock, random.Random(2), flight_ms=flight_ms, late_ms=late_ms)
    for _ in range(12):
        traffic.at(START_MS, "renew")
    minutes = 3
    traffic.run(START_MS + minutes * 60_000)
    used = len(traffic.renewals) / (minutes * 60_000 / STEP_MS)
    assert 0.95 <= used <= 1.0 + 1 / 180, used
    assert most_in_a_window(traffic.arrivals) <= MAX


@pytest.mark.parametrize("late_ms", [0, 80])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_urgent_work_goes_within_a_step(clock: Clock, seed: int, late_ms: int) -> None:
    """While renewals use the budget up, what is urgent has the next slot that comes free."""
    traffic = Traffic(clock, random.Random(seed), late_ms=late_ms)
    for _ in range(6):
        traffic.at(START_MS, "renew")
    at_ms = START_MS + 15_000
    while at_ms < START_MS + 190_000:
        traffic.at(at_ms, "urgent", at_ms)
        at_ms += traffic.rng.randint(3_000, 9_000)
    traffic.run(START_MS + 200_000)
    assert len(traffic.urgent_waits) > 25
    assert max(traffic.urgent_waits) <= 1_100 + late_ms, sorted(traffic.urgent_waits)
    assert len(traffic.arrivals) >= 0.95 * 200
    assert most_in_a_window(traffic.arrivals) <= MAX


@pytest.mark.parametrize("late_ms", [0, 80])
@pytest.mark.parametrize("seed", [1, 2])
def test_two_urgent_requests_at_once_go_within_two_steps(
    clock: Clock, seed: int, late_ms: int
) -> None:
    """A stop and a new timer take two slots, which come free a step apart in a full window."""
    traffic = Traffic(clock, random.Random(seed), late_ms=late_ms)
    for _ in range(6):
        traffic.at(START_MS, "renew")
    at_ms = START_MS + 15_000
    while at_ms < START_MS + 90_000:
        traffic.at(at_ms, "urgent", at_ms)
        traffic.at(at_ms, "urgent", at_ms)
        at_ms += traffic.rng.randint(4_000, 9_000)
    traffic.run(START_MS + 100_000)
    assert len(traffic.urgent_waits) > 20
    assert max(traffic.urgent_waits) > 1_500, "one step is too little for both"
    assert max(traffic.urgent_waits) <= 2_100 + 2 * late_ms, sorted(traffic.urgent_waits)
    assert most_in_a_window(traffic.arrivals) <= MAX


def test_a_burst_of_urgent_work_goes_at_once_and_is_paid_back(clock: Clock) -> None:
    """A whole window of urgent work may go; renewals then wait until it is made up for."""
    traffic = Traffic(clock, random.Random(5), flight_ms=(20, 20))
    for _ in range(MAX + 3):
        traffic.at(START_MS, "urgent", START_MS)
    traffic.at(START_MS, "renew")
    traffic.run(START_MS + 60_000)
    assert sorted(traffic.urgent_waits)[:MAX] == [0] * MAX
    assert sorted(traffic.urgent_waits)[MAX:] == [WINDOW_MS + 21] * 3
    assert traffic.renewals[0] >= START_MS + WINDOW_MS
    assert most_in_a_window(traffic.arrivals) <= MAX


def test_the_next_slot_is_kept_for_urgent_work_that_waits(clock: Clock) -> None:
    """Renewals that ask just before or after urgent work comes back do not get ahead of it."""
    limiter = a_limiter(clock)
    for _ in range(MAX):
        limiter.landed(limiter.reserve(RULES, flight_ms=FLIGHT_MS))
    clock.advance(5_000)
    wait_ms = limiter.reserve(RULES, flight_ms=FLIGHT_MS).wait_ms
    assert wait_ms == WINDOW_MS - 5_000 + 1
    clock.advance(wait_ms)
    assert limiter.reserve(RULES, flight_ms=FLIGHT_MS, urgent=False).wait_ms
    clock.advance(120)
    assert limiter.reserve(RULES, flight_ms=FLIGHT_MS, urgent=False).wait_ms
    assert not limiter.reserve(RULES, flight_ms=FLIGHT_MS).wait_ms


def test_a_slot_is_not_kept_for_long_for_work_that_never_comes(clock: Clock) -> None:
    """When the waiting caller has died, renewals continue a moment later."""
    limiter = a_limiter(clock)
    for _ in range(MAX):
        limiter.landed(limiter.reserve(RULES, flight_ms=FLIGHT_MS))
    wait_ms = limiter.reserve(RULES, flight_ms=FLIGHT_MS).wait_ms
    clock.advance(wait_ms + 250)
    assert not limiter.reserve(RULES, flight_ms=FLIGHT_MS, urgent=False).wait_ms


def test_what_never_left_gives_its_slot_back(clock: Clock) -> None:
    """A grant that was not used does not count."""
    limiter = a_limiter(clock)
    for _ in range(3 * MAX):
        grant = limiter.reserve(RULES, flight_ms=FLIGHT_MS)
        assert not grant.wait_ms
        limiter.landed(grant, sent=False)


HISTORIES = [
    (longest, urgent, dead)
    for longest in (1, 120, 1_000, FLIGHT_MS)
    for urgent, dead in ((0.0, 0.0), (0.3, 0.2), (1.0, 0.0), (1.0, 0.2))
]


@pytest.mark.parametrize(("longest_ms", "urgent", "dead"), HISTORIES)
def test_no_window_holds_more_than_is_allowed(
    clock: Clock, longest_ms: int, urgent: float, dead: float
) -> None:
    """Wherever between grant and reply a request arrives, and if it is not reported at all."""
    rng = random.Random(f"{longest_ms} {urgent} {dead}")
    limiter = a_limiter(clock)
    arrivals: list[float] = []
    landing: list[tuple[int, str, Grant]] = []
    while len(arrivals) < 60:
        while landing and landing[0][0] <= clock.now_ms:
            limiter.landed(heapq.heappop(landing)[2])
        grant = limiter.reserve(RULES, flight_ms=FLIGHT_MS, urgent=rng.random() < urgent)
        now = clock.now_ms
        if grant.wait_ms:
            clock.advance(rng.choice((1, grant.wait_ms, rng.randint(1, grant.wait_ms))))
            continue
        landed_ms = now + rng.randint(0, longest_ms)
        if rng.random() < dead:
            arrivals.append(rng.uniform(now, now + FLIGHT_MS))
        else:
            arrivals.append(rng.choice((now, landed_ms, rng.uniform(now, landed_ms))))
            heapq.heappush(landing, (landed_ms, grant.member, grant))
        clock.advance(rng.choice((0, 1, rng.randint(0, 500))))
    assert most_in_a_window(arrivals) <= MAX


def test_urgent_work_does_not_keep_the_rest_waiting_for_good(clock: Clock) -> None:
    """However much of it comes: after a few grants of it a renewal that waits has its turn."""
    limiter = a_limiter(clock)
    granted: list[bool] = []
    for _ in range(60):
        for urgent in (True, True, False):
            grant = limiter.reserve(RULES, flight_ms=FLIGHT_MS, urgent=urgent)
            if not grant.wait_ms:
                limiter.landed(grant)
                granted.append(urgent)
        clock.advance(STEP_MS)
    assert granted.count(False) >= len(granted) // 12
    assert granted.count(True) > granted.count(False)


def test_a_turn_that_is_not_taken_is_given_up(clock: Clock) -> None:
    """A renewal that waited and does not come back costs urgent work nothing for long."""
    limiter = a_limiter(clock)
    for _ in range(MAX):
        limiter.landed(limiter.reserve(RULES, flight_ms=FLIGHT_MS))
    assert limiter.reserve(RULES, flight_ms=FLIGHT_MS, urgent=False).wait_ms > 0
    clock.advance(WINDOW_MS + 1)
    for _ in range(MAX):
        limiter.landed(limiter.reserve(RULES, flight_ms=FLIGHT_MS))
    clock.advance(WINDOW_MS + 1)
    assert [limiter.reserve(RULES, flight_ms=FLIGHT_MS).wait_ms for _ in range(MAX)] == [0] * MAX
