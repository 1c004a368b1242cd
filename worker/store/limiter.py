"""Rate limits, kept across all workers in exact sliding windows on Redis time.

What an exchange counts is arrivals. A request is granted, then signed, sent,
delayed on the way: nobody here knows when it arrives, only that it had arrived
when its reply came. So a grant counts as under way until it is said to have
landed, and from then on as having arrived at that moment, the latest possible.
Then no window at the exchange holds more than the rule allows, whatever the
jitter: when the last of them was granted, each of the others either had landed
within the window before it, or was still under way, and so was counted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from worker.store.connection import Store


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `max_requests` in any `window_ms` under one key."""

    key: str
    max_requests: int
    window_ms: int
    paced: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to send one request, if `wait_ms` is 0; else how long to wait.

    Whoever gets one sends at once, and says when it has landed.
    """

    wait_ms: int
    member: str = ""
    keys: tuple[str, ...] = ()


def rule_args(rules: Sequence[Rule]) -> list[str | int]:
    """Return rules as the scripts take them."""
    return [
        part
        for rule in rules
        for part in (rule.key, rule.max_requests, rule.window_ms, int(rule.paced))
    ]


class Limiter:
    """Grants slots under rules shared by all workers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def reserve(self, rules: Sequence[Rule], *, flight_ms: int, urgent: bool = True) -> Grant:
        """Take one slot under every rule, or under none.

        Args:
            rules: None at all always grants.
            flight_ms: Until when at most a request granted now arrives, if it
                is never said to have landed.
            urgent: Not to be held back under rules that pace what is not.

        Raises:
            StoreUnavailable: Redis did not answer. Slots may be taken for
                `flight_ms` and the window.
        """
        if not rules:
            return Grant(0)
        member = os.urandom(8).hex()
        args = (member, flight_ms, int(urgent), *rule_args(rules))
        wait_ms = int(self._store.run("reserve", *args, shared="limits"))
        return Grant(wait_ms, member, tuple(rule.key for rule in rules))

    def landed(self, grant: Grant, *, sent: bool = True) -> None:
        """Say that a granted request has arrived, or, with `sent` false, never left.

        Raises:
            StoreUnavailable: Redis did not answer. The grant counts as under
                way until its flight is over, which is safe.
        """
        if grant.keys:
            self._store.run("landed", grant.member, int(sent), *grant.keys)
