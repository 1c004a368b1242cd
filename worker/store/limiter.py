"""Rate limits, kept across all workers in exact sliding windows on Redis time.

What an exchange counts is arrivals. A request is granted, then signed, sent,
delayed on the way: it is unknown when it arrives, only that it had arrived
when its reply came. So a grant counts as under way until it is reported to have
arrived, and from then on as having arrived at that moment, the latest possible.
Then no window at the exchange holds more than the rule allows, whatever the
jitter: when the last of them was granted, each of the others either had arrived
within the window before it, or was still under way, and so was counted.

A failover loses grants that no replica had. Each worker remembers its own and
reports them to the new master; those of one that is gone are let leave the window. Where
that is long and requests few, a grant is proven: used only once all replicas
that keep up have it, so that no worker need be waited for that does not report soon.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from worker import clock
from worker.errors import StoreUnavailable
from worker.model.limits import Grant, Rule
from worker.store.connection import Store
from worker.store.replicas import PROOF_MS, Replicas

PROVING_MS = 1_000
"""How much later a grant that must be proven may be used, all answers of Redis included."""
TIDY_AT = 512
"""Grants remembered before those that no window holds any longer are dropped."""


def rule_args(rules: Sequence[Rule]) -> list[str | int]:
    """Return rules as the scripts take them."""
    return [
        part
        for rule in rules
        for part in (rule.key, rule.max_requests, rule.window_ms, rule.kind, rule.weight)
    ]


@dataclass(frozen=True, slots=True)
class _Granted:
    """A grant of this process, and when by its own clock it arrives at the latest."""

    rules: tuple[Rule, ...]
    arrives_ms: float


@dataclass(frozen=True, slots=True)
class Arrived:
    """What is known of a granted request: it has arrived or, with `sent` false, never left.

    Attributes:
        at_ms: When its reply came, on the local monotonic clock; None for now.
    """

    grant: Grant
    sent: bool = True
    at_ms: float | None = None

    @property
    def slots(self) -> tuple[str, ...]:
        """What it took, as the scripts write it, with what its reply says is left."""
        age_ms = clock.monotonic_ms() - self.at_ms if self.at_ms is not None else 0.0
        return self.grant.reported_slots(age_ms)


class Limiter:
    """Grants slots under rules shared by all workers.

    Each process remembers its own grants while they count: after a failover
    of Redis that is what the new master may lack.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._replicas = Replicas(store)
        self._lock = threading.Lock()
        self._granted: dict[str, _Granted] = {}
        self._tidy_at = TIDY_AT

    def reserve(self, rules: Sequence[Rule], *, flight_ms: int, urgent: bool = True) -> Grant:
        """Take one slot under every rule, or under none.

        Args:
            rules: None at all always grants.
            flight_ms: Until when at most a request granted now arrives, if it
                is never reported to have arrived.
            urgent: Not to be held back under rules that pace what is not.

        Returns:
            Leave to send, or how long to wait; under a proven rule leave only once
            the replicas have it.

        Raises:
            StoreUnavailable: Redis did not answer. Slots may be taken for
                `flight_ms` and the window.
        """
        if not rules:
            return Grant(0)
        member = os.urandom(8).hex()
        to_prove = any(rule.proven for rule in rules)
        if to_prove:
            flight_ms += PROVING_MS
        args = (member, flight_ms, int(urgent), *rule_args(rules))
        wait_ms = int(self._store.run("reserve", *args))
        grant = Grant.of(rules, member=member, wait_ms=wait_ms)
        if wait_ms:
            return grant
        self.remember(grant, rules, flight_ms=flight_ms)
        if to_prove and not self._prove(grant):
            self.landed(grant, sent=False)
            return Grant(PROOF_MS, keys=grant.keys)
        return grant

    def reserve_ahead(
        self,
        rules: Sequence[Rule],
        *,
        flight_ms: int,
        more: int,
        arrived: Sequence[Arrived] = (),
    ) -> list[Grant]:
        """Take one slot, and while the windows are mostly free up to `more` besides.

        Args:
            rules: Neither paced nor proven.
            flight_ms: As for `reserve`, counted from now for each of them.
            more: How many.
            arrived: What is reported with it, also if nothing is granted.

        Returns:
            Leave to send for each, at least one; or one that says how long to wait.

        Raises:
            StoreUnavailable: As for `reserve`. What was to be reported may not be.
        """
        member = os.urandom(8).hex()
        args = (member, flight_ms, more, _as_json(arrived), *rule_args(rules))
        wait_ms, granted = map(int, self._store.run("reserve_ahead", *args))
        if wait_ms:
            return [Grant.of(rules, member=member, wait_ms=wait_ms)]
        first = replace(Grant.of(rules, member=member), ahead=True)
        grants = [first, *(replace(first, member=f"{member}:{n + 1}") for n in range(granted))]
        for grant in grants:
            self.remember(grant, rules, flight_ms=flight_ms)
        return grants

    def _prove(self, grant: Grant) -> bool:
        """See that a failover will not lose a grant; whether it may be used still."""
        begun = clock.monotonic_ms()
        try:
            proven = self._replicas.have(f"limit:{grant.keys[0]}", grant.member)
        except StoreUnavailable:
            with suppress(StoreUnavailable):
                self.landed(grant, sent=False)
            raise
        return proven and clock.monotonic_ms() - begun < PROVING_MS

    def remember(self, grant: Grant, rules: Sequence[Rule], *, flight_ms: int) -> None:
        """Keep in mind a grant that has just been given to this process."""
        if not rules:
            return
        now_ms = clock.monotonic_ms()
        with self._lock:
            self._granted[grant.member] = _Granted(tuple(rules), now_ms + flight_ms)
            if len(self._granted) > self._tidy_at:
                self._tidy(now_ms)

    def landed(self, grant: Grant, *, sent: bool = True) -> None:
        """Say that a granted request has arrived, or, with `sent` false, never left.

        Raises:
            StoreUnavailable: Redis did not answer. The grant counts as under
                way until its flight is over, which is safe.
        """
        if not grant.slots:
            return
        self.note_arrival(grant, arrived=sent)
        self.report([Arrived(grant, sent)])

    def report(self, arrived: Sequence[Arrived]) -> None:
        """Say of granted requests what `landed` says of one, where `note_arrival` was called.

        Raises:
            StoreUnavailable: As for `landed`.
        """
        self._store.run("landed", _as_json(arrived))

    def ban(self, rules: Sequence[Rule], ban_ms: int) -> None:
        """Send nothing for `ban_ms` where any of these ban rules counts.

        Raises:
            StoreUnavailable: Redis did not answer. Other workers may still send.
        """
        if rules:
            self._store.run("ban", ban_ms, *(rule.key for rule in rules))

    def note_arrival(self, grant: Grant, *, arrived: bool) -> None:
        """Remember that a granted request has arrived, or that it never left.

        Redis learns of it from the caller: see `Switches.report`.
        """
        with self._lock:
            known = self._granted.pop(grant.member, None)
            if known and arrived:
                self._granted[grant.member] = _Granted(known.rules, clock.monotonic_ms())

    def recall(self, worker: str) -> None:
        """Report to a new master what this process was granted under the old one.

        Raises:
            StoreUnavailable: Redis did not answer. Slots are held off; reporting
                again is safe.
        """
        now_ms = clock.monotonic_ms()
        with self._lock:
            self._tidy(now_ms)
            rows = [
                (rule.key, rule.window_ms, member, round(granted.arrives_ms - now_ms), rule.weight)
                for member, granted in self._granted.items()
                for rule in granted.rules
                if not rule.ban
            ]
        self._store.run("recall", worker, *(part for row in rows for part in row))

    def _tidy(self, now_ms: float) -> None:
        self._granted = {
            member: granted
            for member, granted in self._granted.items()
            if granted.arrives_ms + max(rule.window_ms for rule in granted.rules) > now_ms
        }
        self._tidy_at = max(TIDY_AT, 2 * len(self._granted))


def _as_json(arrived: Sequence[Arrived]) -> str:
    """Return arrivals as the scripts take them."""
    rows = [{"grant": it.grant.member, "arrived": it.sent, "rules": it.slots} for it in arrived]
    return json.dumps(rows, separators=(",", ":"))
