"""Nonces: rising for ever, whichever worker takes them and whatever Redis forgets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.frozen_clock import ALL_KEPT_BY, Clock, clock_of, nonces_of
from tests.support.stepped_time import Stepped
from worker.gateway.ports import Sequences
from worker.store.nonces import Nonces, key_id

KEY = "api-key-0123456789"
SAFE_INTEGER = 2**53


@pytest.fixture(params=ALL_KEPT_BY)
def clock(request: pytest.FixtureRequest) -> Clock:
    """A clock, of an empty Redis or of this process."""
    return clock_of(request)


@pytest.fixture
def stepped(redis_url: str) -> Stepped:
    """The clock of an empty Redis."""
    return Stepped(redis_url)


@pytest.fixture
def nonces(clock: Clock) -> Sequences:
    return nonces_of(clock)


def test_nonces_rise_while_time_is_stopped(clock: Clock, nonces: Sequences) -> None:
    """Within one ms each is one above the last."""
    assert [nonces.allocate(KEY) for _ in range(4)] == [clock.now_ms + n for n in range(4)]


def test_nonces_are_not_below_the_time(clock: Clock, nonces: Sequences) -> None:
    """Time lifts the sequence when it runs ahead of it."""
    nonces.allocate(KEY)
    clock.advance(60_000)
    assert nonces.allocate(KEY) == clock.now_ms


def test_nonces_do_not_fall_with_the_time(clock: Clock, nonces: Sequences) -> None:
    """A clock set back costs nothing."""
    last = nonces.allocate(KEY)
    clock.advance(-3_600_000)
    assert nonces.allocate(KEY) == last + 1


def test_nonces_rise_across_workers(stepped: Stepped) -> None:
    """Each worker sees its own rise, and none is given twice."""
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: [Nonces(stepped.store()).allocate(KEY) for _ in range(50)], range(8))
        )
    assert all(row == sorted(row) for row in found)
    flat = [nonce for row in found for nonce in row]
    assert len(set(flat)) == len(flat)


def test_nonces_rise_across_threads(nonces: Sequences) -> None:
    """The same holds for the threads of one process."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: [nonces.allocate(KEY) for _ in range(50)], range(8)))
    assert all(row == sorted(row) for row in found)
    flat = [nonce for row in found for nonce in row]
    assert len(set(flat)) == len(flat)


def test_sequence_lost_with_redis_restarts_above(stepped: Stepped) -> None:
    """After the loss of all data the time floor is above what was given before."""
    nonces = Nonces(stepped.store())
    last = max(nonces.allocate(KEY) for _ in range(20))
    stepped.client.flushall()
    stepped.set(stepped.now_ms + 21)
    assert nonces.allocate(KEY) > last


@pytest.mark.parametrize(
    "floor",
    [SAFE_INTEGER - 1, SAFE_INTEGER, SAFE_INTEGER + 1, 9 * 10**17, 10**18 - 1],
)
def test_raised_sequence_continues_exactly(nonces: Sequences, floor: int) -> None:
    """Numbers that no float holds are counted one by one."""
    nonces.raise_above(KEY, floor)
    first = nonces.allocate(KEY)
    assert first > floor
    assert [nonces.allocate(KEY) for _ in range(3)] == [first + 1, first + 2, first + 3]


@pytest.mark.parametrize("floor", [0, 1, 99, 1_000_000])
def test_lower_floor_lowers_nothing(nonces: Sequences, floor: int) -> None:
    """An exchange that asks for less than was given changes nothing."""
    last = nonces.allocate(KEY)
    nonces.raise_above(KEY, floor)
    assert nonces.allocate(KEY) > last


def test_floor_at_the_last_nonce_is_passed(nonces: Sequences) -> None:
    """What must be greater than the last one is the next one."""
    last = nonces.allocate(KEY)
    nonces.raise_above(KEY, last)
    assert nonces.allocate(KEY) > last


def test_longer_number_is_larger(nonces: Sequences) -> None:
    """Numbers are not compared as words."""
    nonces.raise_above(KEY, 9 * 10**12)
    assert nonces.allocate(KEY) > 9 * 10**12
    nonces.raise_above(KEY, 10**13)
    assert nonces.allocate(KEY) > 10**13
    nonces.raise_above(KEY, 9 * 10**12)
    assert nonces.allocate(KEY) > 10**13


@pytest.mark.parametrize("digits", [14, 16, 18, 19])
def test_lost_sequence_in_a_finer_unit_restarts_above(stepped: Stepped, digits: int) -> None:
    """A key whose nonces count microseconds, say, restarts by that clock, once it is known."""
    nonces = Nonces(stepped.store())
    nonces.raise_above(KEY, 17 * 10 ** (digits - 2))
    last = nonces.allocate(KEY)
    stepped.client.flushall()
    stepped.set(stepped.now_ms + 1_000)
    assert nonces.allocate(KEY) > last
    assert Nonces(stepped.store()).allocate(KEY) > last


def test_keys_have_sequences_of_their_own(clock: Clock, nonces: Sequences) -> None:
    """What one key's exchange asked for moves no other key."""
    nonces.raise_above(KEY, 10**15)
    assert nonces.allocate("another key") == clock.now_ms
    assert nonces.allocate(KEY) > 10**15


def test_what_another_worker_took_is_not_taken_again(stepped: Stepped) -> None:
    """A worker that has been idle continues above the others."""
    idle, busy = Nonces(stepped.store()), Nonces(stepped.store())
    idle.allocate(KEY)
    last = max(busy.allocate(KEY) for _ in range(20))
    assert idle.allocate(KEY) == last + 1


def test_key_is_not_sent_to_redis(stepped: Stepped) -> None:
    """Neither a name nor a value in Redis holds the key."""
    nonces = Nonces(stepped.store())
    nonces.allocate(KEY)
    names: Any = stepped.client.keys("*")
    assert f"cx:nonce:{key_id(KEY)}" in names
    values = [stepped.client.dump(name) for name in names]
    assert not any(KEY in f"{name} {value!r}" for name, value in zip(names, values, strict=True))


def test_many_keys_have_many_names() -> None:
    """Two keys do not share a sequence by chance."""
    assert len({key_id(f"k{n}") for n in range(2_000)}) == 2_000
