"""How much to take at once, and what has been taken."""

from __future__ import annotations

import pytest

from worker.pace import CHUNK_MAX, CHUNK_MS, Pace, Taken


def test_the_first_is_taken_alone() -> None:
    """Nothing is known of the exchange yet."""
    assert Pace().chunk == 1


@pytest.mark.parametrize(
    ("took_ms", "chunk"),
    [(0.0, CHUNK_MAX), (0.5, CHUNK_MAX), (CHUNK_MS / 10, 9), (CHUNK_MS, 1), (5_000, 1)],
)
def test_a_thread_takes_what_keeps_it_busy_for_a_moment(took_ms: float, chunk: int) -> None:
    """Many of a fast exchange's, one of a slow one's."""
    pace = Pace()
    for _ in range(100):
        pace.learn(took_ms)
    assert pace.chunk in (chunk, chunk + 1)


def test_it_slows_down_sooner_than_it_hurries() -> None:
    """One attempt that hangs is enough to take one at a time."""
    pace = Pace()
    for _ in range(100):
        pace.learn(0.5)
    pace.learn(2_000)
    assert pace.chunk == 1


def test_only_the_latest_are_remembered() -> None:
    """A process that runs for months keeps no more names than it needs."""
    taken = Taken(3)
    for name in "abcde":
        taken.add(name)
    assert [name in taken for name in "abcde"] == [False, False, True, True, True]
