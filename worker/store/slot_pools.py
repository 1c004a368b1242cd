"""Rate slots taken ahead, so that a busy process asks Redis for many at once.

While less than half of every window is taken, a process that has just used slots takes as
many more as it will need within `AHEAD_MS` at that rate, and reports arrivals with its next
call. A slot that is kept counts as under way, so that no window holds more than the rule
allows. Paced and proven rules, with few requests in a window, always ask for one.

After a ban, a process uses nothing that it had taken ahead; the other processes may for up to
`AHEAD_MS`, as if those requests had been under way.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from worker import clock
from worker.model.constants import AHEAD_MS
from worker.model.limits import Grant, Rule
from worker.store.connection import Store
from worker.store.limiter import Arrived, Limiter

AHEAD_MAX = 32
"""Slots that one call takes ahead at most."""
POOLS_MAX = 512
"""Pools kept before those that are no longer in use are dropped."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """A slot that is kept.

    Attributes:
        until_ms: Until when it may be used, on the local monotonic clock.
        arrives_ms: By when a request that uses it has arrived, on the same.
    """

    grant: Grant
    until_ms: float
    arrives_ms: float

    def serves(self, now_ms: float, flight_ms: int) -> bool:
        """Return whether a request that is sent now may use it."""
        return now_ms < self.until_ms and now_ms + flight_ms <= self.arrives_ms


@dataclass(slots=True)
class _Pool:
    """Slots of this process under the same rules.

    Attributes:
        asked_ms: When Redis was last asked for slots, on the local monotonic clock.
        used: Slots used since then.
    """

    slots: deque[_Slot] = field(default_factory=deque)
    asked_ms: float = -math.inf
    used: int = 0

    def demand(self, now_ms: float) -> int:
        """Return how many slots are used in `AHEAD_MS` from now if as many are as lately."""
        passed_ms = max(1.0, now_ms - self.asked_ms)
        used, self.used, self.asked_ms = self.used, 0, now_ms
        return min(AHEAD_MAX, 2 * used, int(used * AHEAD_MS / passed_ms))


class PoolingLimiter(Limiter):
    """Grants slots as a `Limiter` does, with fewer calls. Safe to use from many threads."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._pooling = threading.Lock()
        self._pools: dict[tuple[str, ...], _Pool] = {}
        self._arrived: list[Arrived] = []
        """What Redis does not know yet."""
        self._bans = 0

    def reserve(self, rules: Sequence[Rule], *, flight_ms: int, urgent: bool = True) -> Grant:
        """Take one slot under every rule, or under none; see `Limiter.reserve`."""
        if not rules or not urgent or any(rule.paced or rule.proven for rule in rules):
            return super().reserve(rules, flight_ms=flight_ms, urgent=urgent)
        name = tuple(rule.slots for rule in rules)
        now_ms = clock.monotonic_ms()
        with self._pooling:
            pool = self._pools.get(name) or self._add(name, now_ms)
            pool.used += 1
            if pool.slots and pool.slots[0].serves(now_ms, flight_ms):
                return pool.slots.popleft().grant
            self._give_back(pool)
            more, bans = pool.demand(now_ms), self._bans
            arrived = self._unreported() if more else []
        if not more:
            return super().reserve(rules, flight_ms=flight_ms)
        kept_ms = flight_ms + AHEAD_MS
        grant, *ahead = self.reserve_ahead(rules, flight_ms=kept_ms, more=more, arrived=arrived)
        with self._pooling:
            if bans == self._bans or grant.wait_ms:
                pool.slots += [_Slot(each, now_ms + AHEAD_MS, now_ms + kept_ms) for each in ahead]
                return grant
            # Granted before Redis knew of a ban that this process knows of now.
            for each in (grant, *ahead):
                self._note_unused(each)
        return super().reserve(rules, flight_ms=flight_ms)

    def landed(self, grant: Grant, *, sent: bool = True) -> None:
        """Say that a granted request has arrived, or, with `sent` false, never left.

        Raises:
            StoreUnavailable: See `Limiter.landed`.
        """
        if not grant.ahead:
            super().landed(grant, sent=sent)
            return
        self.note_arrival(grant, arrived=sent)
        with self._pooling:
            self._arrived.append(Arrived(grant, sent, clock.monotonic_ms()))

    def ban(self, rules: Sequence[Rule], ban_ms: int) -> None:
        """Send nothing for `ban_ms` where any of these ban rules counts.

        Other processes use what they have taken ahead for up to `AHEAD_MS`.

        Raises:
            StoreUnavailable: See `Limiter.ban`.
        """
        self._empty()
        try:
            super().ban(rules, ban_ms)
        finally:
            self._empty()  # of what was granted before Redis knew

    def flush(self) -> None:
        """Report the arrivals that Redis does not know yet, and give back what is not used.

        Raises:
            StoreUnavailable: Redis did not answer. Those slots count as under way until
                their flight is over, which is safe.
        """
        now_ms = clock.monotonic_ms()
        with self._pooling:
            for pool in self._pools.values():
                if pool.slots and now_ms >= pool.slots[0].until_ms:
                    self._give_back(pool)
            arrived = self._unreported()
        if arrived:
            self.report(arrived)

    def _empty(self) -> None:
        """Give back all slots, those of calls that are under way included."""
        with self._pooling:
            self._bans += 1
            for pool in self._pools.values():
                self._give_back(pool)

    def _unreported(self) -> list[Arrived]:
        """Return what is to be reported, once. The caller holds the lock."""
        arrived, self._arrived = self._arrived, []
        return arrived

    def _give_back(self, pool: _Pool) -> None:
        """Note that a pool's slots will not be used. The caller holds the lock."""
        while pool.slots:
            self._note_unused(pool.slots.popleft().grant)

    def _note_unused(self, grant: Grant) -> None:
        """Note that no request will use a slot. The caller holds the lock."""
        self.note_arrival(grant, arrived=False)
        self._arrived.append(Arrived(grant, sent=False))

    def _add(self, name: tuple[str, ...], now_ms: float) -> _Pool:
        """Return a new pool; drop those that are not in use. The caller holds the lock."""
        if len(self._pools) >= POOLS_MAX:
            old = now_ms - AHEAD_MS
            kept = {n: p for n, p in self._pools.items() if p.slots or p.asked_ms > old}
            self._pools = kept
        return self._pools.setdefault(name, _Pool())
