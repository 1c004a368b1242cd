"""Waiting for what must become true, with a deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from worker import clock

T = TypeVar("T")


def eventually(
    get: Callable[[], T], *, within_ms: float = 30_000, pause_ms: float = 5, what: str = ""
) -> T:
    """Return `get()` once it is true; fail when it is not in time."""
    until = clock.monotonic_ms() + within_ms
    while True:
        value = get()
        if value:
            return value
        if clock.monotonic_ms() > until:
            raise AssertionError(f"not within {within_ms} ms: {what or get} (last: {value!r})")
        clock.sleep_ms(pause_ms)
