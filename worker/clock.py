"""The local clock. Nothing else reads it; shared time belongs to Redis."""

from __future__ import annotations

import threading
import time

_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's CLOCK_MONOTONIC stands still in a suspend; elsewhere there may be no other."""


def now_ms() -> int:
    """Return local Unix time in ms."""
    return time.time_ns() // 1_000_000  # noqa: TID251


def monotonic_ms() -> float:
    """Return a local time in ms that never goes back, and goes on while the host is suspended."""
    return time.clock_gettime_ns(_ELAPSED) / 1_000_000


def cpu_ms() -> float:
    """Return what this thread has used of a processor, in ms."""
    return time.thread_time() * 1_000


def sleep_ms(duration_ms: float) -> None:
    """Wait."""
    time.sleep(max(0.0, duration_ms) / 1_000)  # noqa: TID251


def wait_ms(event: threading.Event, duration_ms: float) -> bool:
    """Wait until `event` is set, at most `duration_ms`; return whether it is."""
    return event.wait(max(0.0, duration_ms) / 1_000)
