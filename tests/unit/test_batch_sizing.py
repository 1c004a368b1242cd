"""How much to take at once, and by how many threads."""

from __future__ import annotations

import pytest

from worker.policy.batch_sizing import CHUNK_MAX, CHUNK_MS, BatchSizing


def test_the_first_is_taken_alone() -> None:
    """Nothing is known of the exchange yet."""
    assert BatchSizing().chunk == 1


@pytest.mark.parametrize(
    ("took_ms", "chunk"),
    [(0.0, CHUNK_MAX), (0.5, CHUNK_MAX), (CHUNK_MS / 10, 9), (CHUNK_MS, 1), (5_000, 1)],
)
def test_a_thread_takes_what_keeps_it_busy_for_a_moment(took_ms: float, chunk: int) -> None:
    """Many of a fast exchange's, one of a slow one's."""
    pace = BatchSizing()
    for _ in range(100):
        pace.learn(took_ms, 0.4)
    assert pace.chunk in (chunk, chunk + 1)


@pytest.mark.parametrize(("took_ms", "chunk"), [(0.9, 22), (3.0, 6), (6.9, 2), (11.0, 1)])
def test_a_chunk_is_rounded_down(took_ms: float, chunk: int) -> None:
    """What a thread takes is done within the time it should be busy."""
    pace = BatchSizing()
    for _ in range(200):
        pace.learn(took_ms, 0.4)
    assert pace.chunk == chunk


def test_it_slows_down_sooner_than_it_hurries() -> None:
    """One attempt that hangs is enough to take one at a time."""
    pace = BatchSizing()
    for _ in range(100):
        pace.learn(0.5, 0.4)
    pace.learn(2_000, 0.4)
    assert pace.chunk == 1


@pytest.mark.parametrize(
    ("took_ms", "cpu_ms", "threads"),
    [
        (0.4, 0.4, 1),
        (1.6, 0.4, 2),
        (2.2, 0.4, 3),
        (50.2, 0.4, 63),
        (10_000, 0.4, 12_500),
        (0.0, 0.0, 1),
    ],
)
def test_threads_are_few_where_they_would_wait_for_each_other(
    took_ms: float, cpu_ms: float, threads: int
) -> None:
    """What an exchange takes brings more threads; what a processor takes does not."""
    pace = BatchSizing()
    for _ in range(200):
        pace.learn(took_ms, cpu_ms)
    assert pace.threads() == threads


def test_threads_that_only_wait_for_each_other_grow_fewer() -> None:
    """Eight at one processor take eight times as long each, and end as one."""
    pace = BatchSizing()
    for _ in range(200):
        pace.learn(8 * 0.4, 0.4)
    for _ in range(20):
        inside = pace.threads()
        for _ in range(100):
            pace.learn(inside * 0.4, 0.4)
    assert pace.threads() == 1


def test_an_attempt_that_hangs_brings_more_threads_before_it_ends() -> None:
    """What is learned when it ends would come too late for the others."""
    pace = BatchSizing()
    for _ in range(200):
        pace.learn(0.4, 0.4)
    assert pace.threads() == 1
    assert pace.threads(waiting_ms=100) > 100
    assert pace.threads(waiting_ms=20) == 1
