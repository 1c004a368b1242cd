"""Nonces in the unit that a key uses, rising whatever is lost."""

from __future__ import annotations

import random
import threading

import pytest

from tests.support.frozen_clock import KEPT_BY, Clock, clock_of, nonces_of
from tests.support.stepped_time import START_MS, Stepped
from worker.store.nonces import Nonces, key_id

KEY = "key-0123456789"
DOCUMENTED_FLOOR = 15249487513240000
"""From the exchange's documented refusal: 17 digits, 100 ns each."""


@pytest.fixture
def clock(redis_url: str) -> Stepped:
    """An empty Redis on a stepped clock."""
    return Stepped(redis_url)


@pytest.fixture(params=KEPT_BY)
def any_clock(request: pytest.FixtureRequest) -> Clock:
    """A clock, of an empty Redis or of this process."""
    return clock_of(request)


def lose(clock: Stepped) -> None:
    """Have Redis lose all its data; time continues."""
    clock.client.flushall()
    clock.set(clock.now_ms)


def test_a_new_key_begins_at_the_time(clock: Stepped) -> None:
    """The first nonce is Redis time in ms; those of the same ms count on."""
    nonces = Nonces(clock.store())
    assert [nonces.allocate(KEY) for _ in range(3)] == [START_MS, START_MS + 1, START_MS + 2]
    clock.advance(1_000)
    assert nonces.allocate(KEY) == START_MS + 1_000
    assert nonces.allocate("another") == START_MS + 1_000


UNITS = {
    "a small count": (1_000, START_MS),
    "seconds": (1_524_998_484, START_MS),
    "ms of long ago": (1_524_948_751_324, START_MS),
    "ms ahead of ours": (START_MS + 5_000, START_MS + 5_002),
    "as documented": (DOCUMENTED_FLOOR, START_MS * 10_000),
    "17 digits ahead of ours": (START_MS * 10_000 + 777, START_MS * 10_000 + 779),
    "microseconds": (1_524_948_751_324_000, START_MS * 1_000),
    "14 digits": (99_999_999_999_999, START_MS * 100),
    "the most digits there may be": (10**18 - 1, START_MS * 1_000_000),
}


@pytest.mark.parametrize("case", UNITS)
def test_a_refusal_teaches_the_unit(any_clock: Clock, case: str) -> None:
    """Above the exchange's floor, and at the time in as many digits as the floor has."""
    clock = any_clock
    floor, wanted = UNITS[case]
    nonces = nonces_of(clock)
    nonces.allocate(KEY)
    nonces.raise_above(KEY, floor)
    first = nonces.allocate(KEY)
    assert first > floor
    assert wanted <= first <= wanted + 2
    digits = len(str(first))
    clock.advance(60_000)
    later = nonces.allocate(KEY)
    assert first < later
    assert len(str(later)) == digits
    another = nonces_of(clock) if isinstance(clock, Stepped) else nonces
    assert another.allocate(KEY) == later + 1


@pytest.mark.parametrize("floor", [0, START_MS + 9_000, DOCUMENTED_FLOOR, 3 * 10**17])
def test_lost_data_lowers_nothing(clock: Stepped, floor: int) -> None:
    """When Redis has lost the sequence, a worker continues above what it has seen itself."""
    nonces = Nonces(clock.store())
    nonces.raise_above(KEY, floor)
    last = nonces.allocate(KEY)
    for wait_ms in (0, 1, 60_000):
        lose(clock)
        clock.advance(wait_ms)
        following = nonces.allocate(KEY)
        assert following > last
        assert following >= int(str(clock.now_ms) + "0" * (len(str(last)) - 13))
        last = following


def test_a_worker_that_has_seen_nothing_begins_at_the_time(clock: Stepped) -> None:
    """After a loss a new worker is at Redis time in ms, and moved on by a refusal."""
    old = Nonces(clock.store())
    old.raise_above(KEY, DOCUMENTED_FLOOR)
    last = old.allocate(KEY)
    lose(clock)
    clock.advance(5)
    new = Nonces(clock.store())
    assert new.allocate(KEY) == clock.now_ms
    new.raise_above(KEY, last)
    assert new.allocate(KEY) > last
    assert old.allocate(KEY) > last


def test_worker_that_has_seen_more_lifts_all(clock: Stepped) -> None:
    """After a loss the first worker that knows better raises the sequence for all."""
    old, new = Nonces(clock.store()), Nonces(clock.store())
    last = [old.allocate(KEY) for _ in range(50)][-1]
    lose(clock)
    assert new.allocate(KEY) == START_MS
    assert old.allocate(KEY) == last + 1
    assert new.allocate(KEY) == last + 2


def test_time_that_goes_back_lowers_nothing(clock: Stepped) -> None:
    """A Redis whose clock is set back, or one that took over with an older clock."""
    nonces = Nonces(clock.store())
    last = nonces.allocate(KEY)
    clock.advance(-3_600_000)
    assert nonces.allocate(KEY) == last + 1
    lose(clock)
    assert nonces.allocate(KEY) == last + 2


def test_a_floor_below_the_sequence_changes_little(clock: Stepped) -> None:
    """A late refusal of an old nonce leaves the sequence rising in its unit."""
    nonces = Nonces(clock.store())
    last = nonces.allocate(KEY)
    nonces.raise_above(KEY, 1_000)
    assert last < nonces.allocate(KEY) < last + 10


def test_random_histories_only_rise(clock: Stepped) -> None:
    """Over losses, refusals and several workers no worker's own nonces ever fall."""
    rng = random.Random(3)
    for _ in range(20):
        lose(clock)
        workers = [Nonces(clock.store()) for _ in range(3)]
        seen = [0, 0, 0]
        highest, lost = 0, False
        for _ in range(30):
            who = rng.randrange(3)
            match rng.random():
                case dice if dice < 0.1:
                    lose(clock)
                    lost = True
                case dice if dice < 0.2:
                    floor = rng.choice(
                        (START_MS, START_MS * 10, START_MS * 10_000)
                    ) + rng.randrange(10**6)
                    workers[who].raise_above(KEY, floor)
                    seen[who] = max(seen[who], floor)
                case dice if dice < 0.3:
                    clock.advance(rng.randrange(10_000))
                case _:
                    nonce = workers[who].allocate(KEY)
                    assert nonce > seen[who]
                    assert nonce >= clock.now_ms
                    assert lost or nonce > highest
                    seen[who] = nonce
                    highest = max(highest, nonce)


def test_no_nonce_twice_from_many_threads(clock: Stepped) -> None:
    """Threads of two workers share one sequence, and none of it is given twice."""
    workers = [Nonces(clock.store()) for _ in range(2)]
    given: list[int] = []

    def take(nonces: Nonces) -> None:
        given.extend([nonces.allocate(KEY) for _ in range(50)])

    threads = [threading.Thread(target=take, args=(workers[n % 2],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(START_MS, START_MS + 300))


def test_a_key_is_not_named_in_redis(clock: Stepped) -> None:
    """The key in Redis does not give the API key away."""
    Nonces(clock.store()).allocate(KEY)
    names = [str(name) for name in clock.client.scan_iter()]
    assert f"cx:nonce:{key_id(KEY)}" in names
    assert not [name for name in names if KEY in name]


def test_a_nonce_keeps_the_unit_that_its_last_one_shows(clock: Stepped) -> None:
    """A worker that has seen none counts on in microseconds, and is moved on by the time."""
    clock.client.set(f"cx:nonce:{key_id(KEY)}", 10**15)
    for ms in (0, 60_000):
        clock.advance(ms)
        assert Nonces(clock.store()).allocate(KEY) == clock.now_ms * 1_000
