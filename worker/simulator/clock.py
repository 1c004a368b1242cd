"""The only reading of local time in this package."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache


def host_now_ms() -> float:
    """Return the host's Unix time in ms, finer than a ms."""
    return time.time_ns() / 1_000_000  # noqa: TID251


@lru_cache(maxsize=4)
def _http_date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC), usegmt=True)


def http_date(now_ms: float) -> str:
    """Write a time as the value of a `Date` header."""
    return _http_date(int(now_ms // 1_000))


def iso_time(now_ms: float) -> str:
    """Write a time as RFC 3339 does, to the second."""
    return datetime.fromtimestamp(now_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def next_midnight_ms(now_ms: float) -> float:
    """Return the Unix ms of the first 00:00:00 UTC after `now_ms`."""
    today = datetime.fromtimestamp(now_ms / 1_000, UTC).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    return (today + timedelta(days=1)).timestamp() * 1_000
