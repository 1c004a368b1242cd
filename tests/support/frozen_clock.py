"""Time that is stopped until a test moves it, for parts that one process keeps."""

from __future__ import annotations

import pytest

from tests.support.stepped_time import START_MS, Stepped
from worker.direct.limiter import MemoryLimiter
from worker.direct.mirror import mirrored
from worker.direct.nonces import MemoryNonces
from worker.direct.pair_lists import MemoryPairLists
from worker.direct.switches import MemorySwitches
from worker.direct.tokens import MemoryTokens
from worker.gateway.ports import Ports, Sequences, Slots
from worker.store.limiter import Limiter
from worker.store.nonces import Nonces
from worker.store.pair_lists import SharedPairLists
from worker.store.switches import Switches
from worker.store.tokens import Tokens

KEPT_BY = ["redis", "memory"]
"""Who keeps what the contract tests are about."""
ALL_KEPT_BY = [*KEPT_BY, "both"]


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


class Both(Stepped):
    """A clock of Redis and of this process, which keeps what it takes of Redis as well."""


Clock = Stepped | Standing


def clock_of(request: pytest.FixtureRequest) -> Clock:
    """Return the clock that a fixture's parameter names."""
    if request.param == "memory":
        return Standing()
    kind = Both if request.param == "both" else Stepped
    return kind(request.getfixturevalue("redis_url"))


def a_limiter(clock: Clock) -> Slots:
    """Return a new limiter on a clock; in Redis it shares with those made before."""
    return _kept(clock).limiter


def nonces_of(clock: Clock) -> Sequences:
    """Return new nonces on a clock; in Redis they share with those made before."""
    return _kept(clock).nonces


def _kept(clock: Clock) -> Ports:
    own = Ports(
        MemoryLimiter(lambda: clock.now_ms),
        MemoryNonces(lambda: clock.now_ms),
        MemoryTokens(),
        MemorySwitches(),
        MemoryPairLists(),
    )
    if isinstance(clock, Standing):
        return own
    store = clock.store()
    common = Ports(
        Limiter(store), Nonces(store), Tokens(store), Switches(store), SharedPairLists(store)
    )
    return mirrored(common, own) if isinstance(clock, Both) else common
