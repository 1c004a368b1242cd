"""How many threads one exchange may hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from worker.dispatch.concurrency import ThreadLimit


def test_places_are_taken_and_given_back() -> None:
    """There are as many as were asked for, and each can be used again."""
    bulkhead = ThreadLimit(2)
    assert [bulkhead.enter() for _ in range(3)] == [True, True, False]
    bulkhead.leave()
    assert [bulkhead.enter() for _ in range(2)] == [True, False]


def test_fewer_may_be_let_in_than_there_are_places() -> None:
    """Whoever comes may ask for more room to be left; those inside stay."""
    bulkhead = ThreadLimit(3)
    assert [bulkhead.enter(2) for _ in range(3)] == [True, True, False]
    assert bulkhead.enter()
    assert not bulkhead.enter(9)
    assert bulkhead.inside == 3


def test_bulkhead_without_places_lets_nobody_in() -> None:
    """Nothing is a size too."""
    assert not ThreadLimit(0).enter()


@pytest.mark.parametrize("size", [1, 3])
def test_many_threads_share_the_places(size: int) -> None:
    """Of eight that come together, as many get in as there are places."""
    bulkhead = ThreadLimit(size)
    together = Barrier(8)

    def enter(_: int) -> bool:
        together.wait()
        return bulkhead.enter()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            assert sum(pool.map(enter, range(8))) == size
            for _ in range(size):
                bulkhead.leave()
