"""Shared time between two bounds: what proves a step, and what does not."""

from __future__ import annotations

import pytest

from worker.model.constants import STEP_MS
from worker.store.scripts import LuaScript
from worker.store.sharedtime import SharedTime
from worker.store.steps import Exchange, drive
from worker.store.timing import Bounds, Reading

T = 1_700_000_000_000
KNOWN = Bounds.of(Reading(1_000, T, 1_002))


def read(at_ms: float, *, slip_ms: int = 0, there_ms: int = 1, back_ms: int = 1) -> Reading:
    """Return a reading sent at a local time, of a server whose clock has slipped."""
    return Reading(at_ms, round(T - 1_001 + at_ms + there_ms) + slip_ms, at_ms + there_ms + back_ms)


@pytest.mark.parametrize("size_ms", [-60_000, -2_000, -510, 510, 2_000, 12_000])
def test_a_step_is_proven_and_measured(size_ms: int) -> None:
    """Either way, and to within what the answers took."""
    assert abs(KNOWN.step(read(2_000, slip_ms=size_ms)) - size_ms) <= 3


@pytest.mark.parametrize(("there_ms", "back_ms"), [(7_000, 1), (1, 7_000), (3_000, 4_000)])
def test_a_call_that_was_held_up_proves_nothing(there_ms: int, back_ms: int) -> None:
    """Neither on its way, nor by a frozen server, nor its answer."""
    reading = read(2_000, there_ms=there_ms, back_ms=back_ms)
    assert KNOWN.step(reading) == 0
    assert KNOWN.narrowed(reading).step(read(12_000)) == 0


def test_a_step_shows_once_an_answer_is_fast() -> None:
    """A slow answer right after it hides it, and does not make it the time that is known."""
    known = KNOWN.narrowed(read(2_000, slip_ms=2_000, there_ms=3_000, back_ms=3_000))
    assert known.step(read(9_000, slip_ms=2_000)) >= 2_000 - 20


def test_many_small_slips_are_a_step() -> None:
    """A clock that is stopped is behind by little at each look."""
    known, at_ms = KNOWN, 1_000
    while not known.step(reading := read(at_ms, slip_ms=1_000 - at_ms)):
        known = known.narrowed(reading)
        at_ms += 80
        assert at_ms < 1_000 + 2 * STEP_MS


def test_clocks_that_drift_are_no_step() -> None:
    """By less than NTP slews two clocks at most, over an hour."""
    known = KNOWN
    for at_ms in range(2_000, 3_600_000, 1_000):
        reading = read(at_ms, slip_ms=round(at_ms * 0.0009))
        assert known.step(reading) == 0
        known = known.narrowed(reading)


@pytest.mark.parametrize("late_ms", [0, 30_000])
def test_a_call_is_valid_no_longer_than_it_is_waited_for(late_ms: int) -> None:
    """Whatever the measurement's two ways took, and however the clocks have drifted since."""
    for there_ms, back_ms in ((1, 1), (400, 1), (1, 400)):
        reading = read(1_000, there_ms=there_ms, back_ms=back_ms)
        at_ms = reading.received_ms + late_ms
        true_ms = T - 1_001 + at_ms
        assert reading.earliest(at_ms) <= true_ms <= reading.latest(at_ms)
        assert reading.latest(at_ms) - reading.earliest(at_ms) <= there_ms + back_ms + 64


def first_measured(ways_ms: list[int], *, budget_ms: int = 2_000) -> tuple[float, int]:
    """Return how far a process's first measurement leaves shared time open, and its requests.

    Args:
        ways_ms: How long the answers take, one after the other, there and back alike.
        budget_ms: Of the call that measures first.
    """
    local = [1_000.0]
    time = SharedTime(LuaScript.of, "cx:", lambda: local[0])
    ways = iter(ways_ms)

    def answer(step: object) -> list[object]:
        assert isinstance(step, Exchange)
        way_ms = next(ways)
        local[0] += way_ms
        now_ms = round(T - 1_000 + local[0])
        local[0] += way_ms
        return [[now_ms, 0, now_ms]]

    drive(time.measure(LuaScript.of, local[0] + budget_ms), answer)
    return time.latest(local[0]) - (T - 1_000 + local[0]), len(ways_ms) - len(list(ways))


@pytest.mark.parametrize(
    ("ways_ms", "budget_ms", "open_ms", "asked"),
    [
        ([1, 1, 1], 2_000, 2, 1),
        ([20, 1, 1], 2_000, 21, 1),
        ([150, 1, 1], 2_000, 2, 2),
        ([150, 140, 1], 2_000, 2, 3),
        ([150, 140, 130, 1], 2_000, 131, 3),
        ([150, 1, 1], 800, 151, 1),
    ],
)
def test_a_first_slow_answer_is_followed_by_another(
    ways_ms: list[int], budget_ms: int, open_ms: float, asked: int
) -> None:
    """Shared time may go by what this process takes for it; the call's time is kept."""
    open_by_ms, requests = first_measured(ways_ms, budget_ms=budget_ms)
    assert open_by_ms == pytest.approx(open_ms, abs=2)
    assert requests == asked
