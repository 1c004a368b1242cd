"""Token buckets: how many calls, and when the next."""

from __future__ import annotations

from worker.web import throttle
from worker.web.throttle import Throttle


class Time:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.ms


def test_a_burst_then_an_even_rate() -> None:
    """The wait is until one call is allowed; each name has a bucket of its own."""
    time = Time()
    throttle = Throttle(per_s=2, burst=3, now_ms=time)
    assert [throttle.take("a") for _ in range(4)] == [0, 0, 0, 500]
    time.ms = 250
    assert throttle.take("a") == 250
    time.ms = 500
    assert [throttle.take("a"), throttle.take("a")] == [0, 500]
    assert throttle.take("b") == 0
    time.ms = 1_000_000
    assert [throttle.take("a") for _ in range(4)] == [0, 0, 0, 500]


def test_asking_counts_nothing() -> None:
    """A wait may be looked at before a call is made."""
    throttle = Throttle(per_s=1, burst=1, now_ms=Time())
    assert [throttle.wait_ms("a"), throttle.take("a"), throttle.wait_ms("a")] == [0, 0, 1_000]


def test_names_are_bounded() -> None:
    """The one used least recently is forgotten."""
    made = Throttle(per_s=1, burst=1, now_ms=Time())
    made.take("first")
    for number in range(throttle.SOURCES_MAX):
        made.take(f"n{number}")
    assert made.take("first") == 0
    assert made.take(f"n{throttle.SOURCES_MAX - 1}") == 1_000
