"""How many jobs to claim at once, and by how many threads."""

from __future__ import annotations

import pytest

from worker.policy.batch_sizing import BATCH_MAX, BATCH_MS, BatchSizing


def test_the_first_job_is_claimed_alone() -> None:
    """The exchange has not been measured yet."""
    assert BatchSizing().batch == 1


@pytest.mark.parametrize(
    ("took_ms", "batch"),
    [(0.0, BATCH_MAX), (0.5, BATCH_MAX), (BATCH_MS / 10, 9), (BATCH_MS, 1), (5_000, 1)],
)
def test_a_batch_keeps_its_thread_busy_for_batch_ms(took_ms: float, batch: int) -> None:
    """Many jobs of a fast exchange, one of a slow one."""
    sizing = BatchSizing()
    for _ in range(100):
        sizing.learn(took_ms, 0.4)
    assert sizing.batch in (batch, batch + 1)


@pytest.mark.parametrize(("took_ms", "batch"), [(0.9, 22), (3.0, 6), (6.9, 2), (11.0, 1)])
def test_a_batch_is_rounded_down(took_ms: float, batch: int) -> None:
    """A thread ends its batch within BATCH_MS."""
    sizing = BatchSizing()
    for _ in range(200):
        sizing.learn(took_ms, 0.4)
    assert sizing.batch == batch


def test_one_slow_attempt_reduces_the_batch_to_one() -> None:
    """It grows again over several attempts."""
    sizing = BatchSizing()
    for _ in range(100):
        sizing.learn(0.5, 0.4)
    sizing.learn(2_000, 0.4)
    assert sizing.batch == 1


@pytest.mark.parametrize(
    ("took_ms", "cpu_ms", "threads"),
    [
        (0.4, 0.4, 2),
        (1.6, 0.4, 2),
        (2.2, 0.4, 3),
        (50.2, 0.4, 63),
        (10_000, 0.4, 12_500),
        (0.0, 0.0, 2),
    ],
)
def test_threads_are_few_where_they_would_wait_for_each_other(
    took_ms: float, cpu_ms: float, threads: int
) -> None:
    """The exchange's time adds threads; CPU time does not."""
    sizing = BatchSizing()
    for _ in range(200):
        sizing.learn(took_ms, cpu_ms)
    assert sizing.threads() == threads


def test_threads_that_only_wait_for_each_other_grow_fewer() -> None:
    """Eight threads on one core take eight times as long each, and end as two."""
    sizing = BatchSizing()
    for _ in range(200):
        sizing.learn(8 * 0.4, 0.4)
    for _ in range(20):
        inside = sizing.threads()
        for _ in range(100):
            sizing.learn(inside * 0.4, 0.4)
    assert sizing.threads() == 2


def test_an_attempt_that_hangs_brings_more_threads_before_it_ends() -> None:
    """Its time is learned when it ends, which is too late for other jobs."""
    sizing = BatchSizing()
    for _ in range(200):
        sizing.learn(0.4, 0.4)
    assert sizing.threads() == 2
    assert sizing.threads(waiting_ms=100) > 100
    assert sizing.threads(waiting_ms=20) == 2


def test_time_that_threads_wait_for_a_core_adds_none() -> None:
    """On a busy machine most attempts take several times as long as the exchange."""
    sizing = BatchSizing()
    for _ in range(200):
        for took_ms in (0.8, 6, 0.9, 7, 0.8, 9):
            sizing.learn(took_ms, 0.4)
    assert sizing.threads() <= 3


def test_an_exchange_that_turns_slow_gets_its_threads() -> None:
    """After tens of attempts, as long as none hangs."""
    sizing = BatchSizing()
    for _ in range(200):
        sizing.learn(1, 0.4)
    for _ in range(30):
        sizing.learn(50, 0.4)
    assert sizing.threads() > 40


@pytest.mark.parametrize(("took_ms", "back_ms"), [(0.5, 1.0), (2.9, 5.8), (3.1, 0.0), (50, 0.0)])
def test_a_thread_says_when_it_asks_for_more_only_if_that_is_soon(
    took_ms: float, back_ms: float
) -> None:
    """Twice as long as a job takes; 0 where a doorbell is sooner."""
    sizing = BatchSizing()
    for _ in range(500):
        sizing.learn(took_ms, 0.4)
    assert sizing.back_ms == pytest.approx(back_ms, abs=0.01)


def test_a_busy_process_learns_no_slower_attempts() -> None:
    """They wait for the process's other threads; more threads would make them slower still."""
    sizing = BatchSizing()
    for _ in range(200):
        sizing.learn(0.9, 0.4)
    for _ in range(200):
        sizing.learn(9.0, 0.9, busy=True)
    assert (sizing.threads(), sizing.batch) == (2, 22)
    assert sizing.back_ms == pytest.approx(1.8)


def test_a_busy_process_learns_faster_attempts() -> None:
    """What it has learned before it was busy may be of the crowd already."""
    sizing = BatchSizing()
    for _ in range(200):
        sizing.learn(9.0, 0.4)
    for each in range(200):
        sizing.learn(0.9 if each % 5 == 0 else 9.0, 0.4, busy=True)
    assert (sizing.threads(), sizing.batch) == (2, 22)


def test_an_exchange_that_slows_is_learned_once_the_process_is_calm() -> None:
    """Its time leaves the process's threads waiting, and the CPU unused."""
    sizing = BatchSizing()
    for _ in range(200):
        sizing.learn(0.8, 0.4)
    for _ in range(200):
        sizing.learn(50.2, 0.4)
    assert (sizing.threads(), sizing.batch, sizing.back_ms) == (63, 1, 0)
