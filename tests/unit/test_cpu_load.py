"""Whether a process is short of CPU time."""

from __future__ import annotations

import pytest

from worker.policy.cpu_load import BUSY, CALM, WINDOW_MS, CpuLoad


def after(*shares: float) -> CpuLoad:
    """Return what a process knows that has used these shares of a core, window by window."""
    load, spent_ms = CpuLoad(), 0.0
    for turn, share in enumerate(shares, 1):
        spent_ms += share * WINDOW_MS
        assert load.due(turn * WINDOW_MS)
        load.note(turn * WINDOW_MS, spent_ms)
    return load


@pytest.mark.parametrize(
    ("shares", "busy"),
    [
        ((), False),
        ((BUSY - 0.01,), False),
        ((BUSY + 0.01,), True),
        ((BUSY + 0.01, CALM + 0.01), True),
        ((BUSY + 0.01, CALM - 0.01), False),
        ((BUSY + 0.01, CALM - 0.01, CALM + 0.01), False),
    ],
)
def test_it_takes_less_to_stay_busy_than_to_become_so(
    shares: tuple[float, ...], *, busy: bool
) -> None:
    """What follows from being busy makes the same jobs cost less."""
    assert after(*shares).busy is busy


def test_the_share_is_measured_over_a_while() -> None:
    """One attempt may use a whole core for its milliseconds."""
    load = after(0.1)
    assert not load.due(2 * WINDOW_MS - 1)
    assert load.due(2 * WINDOW_MS)


def test_a_long_rest_counts_as_unused() -> None:
    """The first attempt after it finds the process calm."""
    load = after(1.0)
    load.note(100 * WINDOW_MS, 2.0 * WINDOW_MS)
    assert not load.busy
