"""The local clock. No other module reads it; shared time belongs to Redis."""

from __future__ import annotations

import threading
import time

_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""On Linux CLOCK_MONOTONIC stops during suspend. Other systems may lack CLOCK_BOOTTIME."""


def now_ms() -> int:
    """Return local Unix time in ms."""
    return time.time_ns() // 1_000_000  # noqa: TID251


def monotonic_ms() -> float:
    """Return local time in ms that never decreases and keeps running during suspend."""
    return time.clock_gettime_ns(_ELAPSED) / 1_000_000


def cpu_ms() -> float:
    """Return the CPU time of this thread in ms."""
    return time.thread_time() * 1_000


def process_cpu_ms() -> float:
    """Return the CPU time of this process in ms."""
    return time.process_time() * 1_000


def sleep_ms(duration_ms: float) -> None:
    """Block this thread for a duration; a negative one returns at once."""
    time.sleep(max(0.0, duration_ms) / 1_000)  # noqa: TID251


def wait_ms(event: threading.Event, duration_ms: float) -> bool:
    """Wait until `event` is set, at most `duration_ms`; return whether it is set."""
    return event.wait(max(0.0, duration_ms) / 1_000)
