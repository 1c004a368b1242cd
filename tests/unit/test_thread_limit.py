"""How many threads one exchange may hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from worker.dispatch.concurrency import ThreadLimit


def test_places_are_taken_and_given_back() -> None:
    """There are as many as were asked for, and each can be used again."""
    limit = ThreadLimit(2)
    assert [limit.enter() for _ in range(3)] == [True, True, False]
    limit.leave()
    assert [limit.enter() for _ in range(2)] == [True, False]


def test_a_lower_limit_can_be_asked_for() -> None:
    """A caller may ask for a lower limit; threads inside stay."""
    limit = ThreadLimit(3)
    assert [limit.enter(2) for _ in range(3)] == [True, True, False]
    assert limit.enter()
    assert not limit.enter(9)
    assert limit.inside == 3


def test_a_limit_of_zero_admits_no_thread() -> None:
    """A process may have no thread for an exchange."""
    assert not ThreadLimit(0).enter()


@pytest.mark.parametrize("size", [1, 3])
def test_many_threads_share_the_places(size: int) -> None:
    """Of eight that come together, as many get in as there are places."""
    limit = ThreadLimit(size)
    together = Barrier(8)

    def enter(_: int) -> bool:
        together.wait()
        return limit.enter()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            assert sum(pool.map(enter, range(8))) == size
            for _ in range(size):
                limit.leave()
