"""Rate limits in exact sliding windows, in the memory of one process.

The same rules as `lua/lib/limits.lua`: a granted request counts as in flight until its
arrival is reported. Requests of other processes are not counted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from worker import clock
from worker.model.constants import COME_BACK_MS, URGENT_GRANTS
from worker.model.limits import Grant, Rule


@dataclass(slots=True)
class _Window:
    """Requests under one rule.

    Attributes:
        arrivals: By grant, the latest possible arrival in ms.
        next_ms: Earliest next grant that is not urgent.
        urgent_ms: Until when a slot is reserved for an urgent caller.
        waits_ms: Until when a caller that is not urgent waits.
        run: Urgent grants in a row while such a caller waits.
    """

    arrivals: dict[str, int] = field(default_factory=dict)
    next_ms: int = 0
    urgent_ms: int = 0
    waits_ms: int = 0
    run: int = 0


class MemoryLimiter:
    """Grants slots under rules to the threads of this process.

    Args:
        now_ms: A monotonic clock in ms.
    """

    def __init__(self, now_ms: Callable[[], float] = clock.monotonic_ms) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}

    def reserve(self, rules: Sequence[Rule], *, flight_ms: int, urgent: bool = True) -> Grant:
        """Take one slot under every rule, or under none; see `Limiter.reserve`."""
        if not rules:
            return Grant(0)
        with self._lock:
            now = int(self._now_ms())
            wait_ms = max(self._wait_ms(rule, now, urgent=urgent) for rule in rules)
            if wait_ms > 0:
                for rule in rules:
                    window, kept_ms = self._windows[rule.key], now + wait_ms + COME_BACK_MS
                    if urgent and rule.paced:
                        window.urgent_ms = kept_ms
                    elif rule.paced:
                        window.waits_ms = kept_ms
                return Grant(wait_ms)
            member = os.urandom(8).hex()
            for rule in rules:
                window = self._windows[rule.key]
                window.arrivals[member] = now + flight_ms
                if rule.paced:
                    step_ms = rule.window_ms // rule.max_requests
                    window.next_ms = max(now, window.next_ms) + step_ms
                    if not urgent:
                        window.waits_ms = window.run = 0
                    else:
                        window.urgent_ms = 0
                        window.run += window.waits_ms > now
            return Grant(0, member, tuple(rule.key for rule in rules))

    def landed(self, grant: Grant, *, sent: bool = True) -> None:
        """Report that a granted request has arrived or, with `sent` false, was not sent."""
        with self._lock:
            now = int(self._now_ms())
            for key in grant.keys:
                arrivals = self._windows[key].arrivals
                if not sent:
                    arrivals.pop(grant.member, None)
                elif grant.member in arrivals:
                    arrivals[grant.member] = now

    def _wait_ms(self, rule: Rule, now: int, *, urgent: bool) -> int:
        window = self._windows.setdefault(rule.key, _Window())
        for member, at_ms in list(window.arrivals.items()):
            if at_ms <= now - rule.window_ms - 1:
                del window.arrivals[member]
        wait_ms = 0
        turn = rule.paced and window.run >= URGENT_GRANTS and window.waits_ms > now
        # Leave one slot to the waiting caller that is not urgent.
        most = max(1, rule.max_requests - 1) if turn and urgent else rule.max_requests
        over = len(window.arrivals) - most
        if over >= 0:
            freed_ms = sorted(window.arrivals.values())[over]
            wait_ms = min(freed_ms, now) + rule.window_ms + 1 - now
        if rule.paced and not urgent and not turn:
            wait_ms = max(wait_ms, window.next_ms - now, window.urgent_ms - now)
        return wait_ms
