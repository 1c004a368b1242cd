"""Rate limits in exact sliding windows, in the memory of one process.

The same rules as `lua/lib/limits.lua`: a granted request counts as in flight until its
arrival is reported. Requests of other processes are counted only as far as a reply says that less
is left.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from worker import clock
from worker.model.constants import COME_BACK_MS, OTHERS_SHARE, URGENT_GRANTS
from worker.model.limits import Grant, Left, Rule


@dataclass(slots=True)
class _Window:
    """Requests under one rule.

    Attributes:
        arrivals: By grant, the latest possible arrival in ms.
        weights: By grant, how many requests it counts for.
        banned_ms: Until when nothing is sent, of a ban rule.
        next_ms: Earliest next grant that is not urgent.
        urgent_ms: Until when a slot is reserved for an urgent caller.
        waits_ms: Until when a caller that is not urgent waits.
        run: Urgent grants in a row while such a caller waits.
    """

    arrivals: dict[str, int] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    banned_ms: int = 0
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
                if rule.ban:
                    continue
                window, weight = self._windows[rule.key], min(rule.weight, rule.max_requests)
                window.arrivals[member] = now + flight_ms
                window.weights[member] = weight
                if rule.paced:
                    step_ms = rule.window_ms * weight // rule.max_requests
                    window.next_ms = max(now, window.next_ms) + step_ms
                    if not urgent:
                        window.waits_ms = window.run = 0
                    else:
                        window.urgent_ms = 0
                        window.run += window.waits_ms > now
            return Grant.of(rules, member=member)

    def landed(self, grant: Grant, *, sent: bool = True) -> None:
        """Report that a granted request has arrived or, with `sent` false, was not sent."""
        with self._lock:
            now = int(self._now_ms())
            for key in grant.keys:
                arrivals = self._windows.setdefault(key, _Window()).arrivals
                if not sent:
                    arrivals.pop(grant.member, None)
                elif grant.member in arrivals:
                    arrivals[grant.member] = now
            for left in grant.left if sent else ():
                self._note_others(grant.member, left, now)

    def _note_others(self, member: str, left: Left, now: int) -> None:
        """Count what others used; see `note_left` in `lua/lib/slots.lua`."""
        rule, window = left.rule, self._windows[left.rule.key]
        taken = sum(
            window.weights.get(each, 1)
            for each, at_ms in window.arrivals.items()
            if at_ms >= now - rule.window_ms
        )
        others = rule.max_requests - taken - left.requests
        if others > max(1, rule.max_requests // OTHERS_SHARE):
            window.arrivals[f"{member}.o"] = now - rule.window_ms + left.frees_ms
            window.weights[f"{member}.o"] = others

    def ban(self, rules: Sequence[Rule], ban_ms: int) -> None:
        """Send nothing for `ban_ms` where any of these ban rules counts."""
        with self._lock:
            for rule in rules:
                window = self._windows.setdefault(rule.key, _Window())
                window.banned_ms = max(window.banned_ms, int(self._now_ms()) + ban_ms)

    def _wait_ms(self, rule: Rule, now: int, *, urgent: bool) -> int:
        window = self._windows.setdefault(rule.key, _Window())
        if rule.ban:
            return max(0, window.banned_ms - now)
        for member, at_ms in list(window.arrivals.items()):
            if at_ms <= now - rule.window_ms - 1:
                del window.arrivals[member]
        wait_ms, weight = 0, min(rule.weight, rule.max_requests)
        turn = rule.paced and window.run >= URGENT_GRANTS and window.waits_ms > now
        # Leave one request's slots to the waiting caller that is not urgent.
        most = rule.max_requests
        if turn and urgent:
            most = max(weight, most - weight)
        taken = sorted(
            at_ms
            for member, at_ms in window.arrivals.items()
            for _ in range(window.weights.get(member, 1))
        )
        over = len(taken) + weight - most
        if over > 0:
            freed_ms = taken[over - 1]
            wait_ms = min(freed_ms, now) + rule.window_ms + 1 - now
        if rule.paced and not urgent and not turn:
            wait_ms = max(wait_ms, window.next_ms - now, window.urgent_ms - now)
        return wait_ms
