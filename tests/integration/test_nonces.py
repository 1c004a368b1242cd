"""Nonces: rising for ever, whoever takes them and whatever Redis forgets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.stepped import Stepped
from worker.store.nonces import Nonces, key_id

KEY = "api-key-0123456789"
SAFE_INTEGER = 2**53


@pytest.fixture
def clock(redis_url: str) -> Stepped:
    return Stepped(redis_url)


@pytest.fixture
def nonces(clock: Stepped) -> Nonces:
    return Nonces(clock.store())


def test_nonces_rise_while_time_stands_still(clock: Stepped, nonces: Nonces) -> None:
    """Within one ms each is one above the last."""
    assert [nonces.allocate(KEY) for _ in range(4)] == [clock.now_ms + n for n in range(4)]


def test_nonces_are_not_below_the_time(clock: Stepped, nonces: Nonces) -> None:
    """Time lifts the sequence when it runs ahead of it."""
    nonces.allocate(KEY)
    clock.advance(60_000)
    assert nonces.allocate(KEY) == clock.now_ms


def test_nonces_do_not_fall_with_the_time(clock: Stepped, nonces: Nonces) -> None:
    """A clock set back costs nothing."""
    last = nonces.allocate(KEY)
    clock.advance(-3_600_000)
    assert nonces.allocate(KEY) == last + 1


def test_nonces_rise_across_threads(clock: Stepped) -> None:
    """Each thread sees its own rise, and none is given twice."""
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: [Nonces(clock.store()).allocate(KEY) for _ in range(50)], range(8))
        )
    assert all(row == sorted(row) for row in found)
    flat = [nonce for row in found for nonce in row]
    assert len(set(flat)) == len(flat)


def test_sequence_lost_with_redis_restarts_above(clock: Stepped, nonces: Nonces) -> None:
    """After the loss of all data the time floor is above what was given before."""
    last = max(nonces.allocate(KEY) for _ in range(20))
    clock.client.flushall()
    clock.set(clock.now_ms + 21)
    assert nonces.allocate(KEY) > last


@pytest.mark.parametrize(
    "floor",
    [SAFE_INTEGER - 1, SAFE_INTEGER, SAFE_INTEGER + 1, 9 * 10**17, 10**18 - 1],
)
def test_raised_sequence_goes_on_exactly(nonces: Nonces, floor: int) -> None:
    """Numbers that no float holds are counted one by one."""
    nonces.raise_above(KEY, floor)
    first = nonces.allocate(KEY)
    assert first > floor
    assert [nonces.allocate(KEY) for _ in range(3)] == [first + 1, first + 2, first + 3]


@pytest.mark.parametrize("floor", [0, 1, 99, 1_000_000])
def test_lower_floor_lowers_nothing(nonces: Nonces, floor: int) -> None:
    """An exchange that asks for less than was given changes nothing."""
    last = nonces.allocate(KEY)
    nonces.raise_above(KEY, floor)
    assert nonces.allocate(KEY) > last


def test_floor_at_the_last_nonce_is_passed(nonces: Nonces) -> None:
    """What must be greater than the last one is the next one."""
    last = nonces.allocate(KEY)
    nonces.raise_above(KEY, last)
    assert nonces.allocate(KEY) > last


def test_longer_number_is_larger(nonces: Nonces) -> None:
    """Numbers are not compared as words."""
    nonces.raise_above(KEY, 9 * 10**12)
    assert nonces.allocate(KEY) > 9 * 10**12
    nonces.raise_above(KEY, 10**13)
    assert nonces.allocate(KEY) > 10**13
    nonces.raise_above(KEY, 9 * 10**12)
    assert nonces.allocate(KEY) > 10**13


@pytest.mark.parametrize("digits", [14, 16, 18, 19])
def test_lost_sequence_in_a_finer_unit_restarts_above(clock: Stepped, digits: int) -> None:
    """A key whose nonces count microseconds, say, restarts by that clock, once it is known."""
    nonces = Nonces(clock.store())
    nonces.raise_above(KEY, 17 * 10 ** (digits - 2))
    last = nonces.allocate(KEY)
    clock.client.flushall()
    clock.set(clock.now_ms + 1_000)
    assert nonces.allocate(KEY) > last
    assert Nonces(clock.store()).allocate(KEY) > last


def test_keys_have_sequences_of_their_own(clock: Stepped, nonces: Nonces) -> None:
    """What one key's exchange asked for moves no other key."""
    nonces.raise_above(KEY, 10**15)
    assert nonces.allocate("another key") == clock.now_ms
    assert nonces.allocate(KEY) > 10**15


def test_what_another_worker_took_is_not_taken_again(clock: Stepped) -> None:
    """A worker that has been idle goes on above the others."""
    idle, busy = Nonces(clock.store()), Nonces(clock.store())
    idle.allocate(KEY)
    last = max(busy.allocate(KEY) for _ in range(20))
    assert idle.allocate(KEY) == last + 1


def test_key_is_not_told_to_redis(clock: Stepped, nonces: Nonces) -> None:
    """Neither a name nor a value in Redis holds the key."""
    nonces.allocate(KEY)
    names: Any = clock.client.keys("*")
    assert f"cx:nonce:{key_id(KEY)}" in names
    assert not any(KEY in f"{name} {clock.client.get(name)}" for name in names)


def test_many_keys_have_many_names() -> None:
    """Two keys do not share a sequence by chance."""
    assert len({key_id(f"k{n}") for n in range(2_000)}) == 2_000
