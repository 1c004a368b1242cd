"""Time that stands still until a test moves it, for parts that one process keeps."""

from __future__ import annotations

import pytest

from tests.support.stepped import START_MS, Stepped
from worker.memory.limiter import MemoryLimiter
from worker.memory.nonces import MemoryNonces
from worker.shared import Sequences, Slots
from worker.store.limiter import Limiter
from worker.store.nonces import Nonces

KEPT_BY = ["redis", "memory"]
"""Who keeps what the contract tests are about."""


class Standing:
    """A local clock with the face of `Stepped`."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def set(self, now_ms: int) -> None:
        """Set the time."""
        self.now_ms = now_ms

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.set(self.now_ms + ms)


Clock = Stepped | Standing


def clock_of(request: pytest.FixtureRequest) -> Clock:
    """Return the clock that a fixture's parameter names: of an empty Redis, or of this process."""
    return (
        Standing() if request.param == "memory" else Stepped(request.getfixturevalue("redis_url"))
    )


def a_limiter(clock: Clock) -> Slots:
    """Return a new limiter on a clock; in Redis it shares with those made before."""
    if isinstance(clock, Stepped):
        return Limiter(clock.store())
    return MemoryLimiter(lambda: clock.now_ms)


def nonces_of(clock: Clock) -> Sequences:
    """Return new nonces on a clock; in Redis they share with those made before."""
    if isinstance(clock, Stepped):
        return Nonces(clock.store())
    return MemoryNonces(lambda: clock.now_ms)
