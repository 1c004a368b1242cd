"""What happened in a run: what callers were answered, what exchanges saw, what was broken."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from tests.support.world import KEYS
from worker.model.jobs import Job, Kind
from worker.simulator import Arrival, Order

Said = Literal["ok", "maybe", "refused", "tripped", "replaced", "disarmed", "unknown", "queued"]
"""What a caller was answered; `maybe` stands for `StoreUnavailable`, `queued` for a
message that the broker has taken."""
STEP_SEEN_MS = 500
"""A greater distance of two clocks is a step that is not settled yet."""
UNSETTLED_MS = 2_000
"""Time in which processes may still use the clock of before a step, or already that after it."""
ALIAS = {key: alias for alias, (_, key, _, _) in KEYS.items()}


@dataclass(frozen=True, slots=True)
class CancelCall:
    """One call of a producer; times are Unix ms before and after it."""

    kind: Literal["cancel", "many", "all", "plain"]
    account: str
    order_ids: tuple[str, ...]
    pair: str
    sent_ms: float
    told_ms: float
    said: Said
    tickets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SwitchCall:
    """One call of a strategy. `holder` names who made it; `pair` its scope.

    `held` is who enforces the deadline, as an arming that was answered says.
    """

    call: Literal["arm", "beat", "track", "disarm", "message"]
    account: str
    pair: str
    holder: str
    timeout_ms: int
    sent_ms: float
    told_ms: float
    said: Said
    switch_id: str = ""
    held: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that was broken, from when until when it was whole again.

    `kind` is what was done, such as `redis.kill` or `exchange-link.cut`;
    `target` what it was done to.
    """

    kind: str
    target: str
    from_ms: float
    until_ms: float

    @property
    def part(self) -> str:
        """The part that was broken: the kind without what was done to it."""
        return self.kind.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Life:
    """One worker process, from when it took messages until it was gone."""

    slot: int
    pid: int
    ready_ms: float
    end_ms: float


@dataclass(frozen=True)
class Limit:
    """Most requests of a key, of some operations together, in so many ms."""

    most: int
    window_ms: int
    operations: frozenset[str] = frozenset({"cancel"})


@dataclass(frozen=True)
class Bounds:
    """What the program was set up with, as far as judging needs it."""

    http_ms: int
    lease_ms: int
    backoff_max_ms: int
    limits: Mapping[str, Limit] = field(default_factory=lambda: {"indodax": Limit(30, 1_000)})
    """By exchange; those of an address aside."""
    countdowns: Limit = Limit(10, 10_000, frozenset({"countdown"}))
    """Of an address, not of a key."""


@dataclass(frozen=True)
class History:
    """All that a verdict is made from."""

    bounds: Bounds
    cancels: tuple[CancelCall, ...] = ()
    switches: tuple[SwitchCall, ...] = ()
    faults: tuple[Fault, ...] = ()
    lives: tuple[Life, ...] = ()
    journal: tuple[Arrival, ...] = ()
    orders: tuple[tuple[str, Order], ...] = ()
    """Exchange and order."""
    jobs: Mapping[str, Job] = field(default_factory=dict)
    alerts: tuple[Mapping[str, Any], ...] = ()
    tripped: tuple[str, ...] = ()
    """Ids of the switches that have tripped."""
    ahead: tuple[tuple[float, float], ...] = ()
    """When shared time was first seen this far ahead of the host's clock, in milliseconds.

    One entry a change, oldest first; before the first, the two were the same.
    """
    end_ms: float = 0.0
    """When all was left alone; what comes due later is not judged."""

    @cached_property
    def apart_ms(self) -> float:
        """How far shared time was from the host's clock at most, once a step was settled."""
        return max((abs(ms) for _, ms in self.ahead if abs(ms) <= STEP_SEEN_MS), default=0.0)

    def ahead_ms(self, at_ms: float) -> set[float]:
        """Return how far ahead shared time may have been at a time of the host's clock.

        More than one value within `UNSETTLED_MS` of a change: processes learn of it one by one.
        """
        found, last = set(), 0.0
        for changed_ms, ms in self.ahead:
            if changed_ms > at_ms + UNSETTLED_MS:
                break
            if changed_ms > at_ms - UNSETTLED_MS:
                found.add(last)
            last = ms
        return found | {last}

    @cached_property
    def book(self) -> dict[tuple[str, str], Order]:
        """Exchange and order id → order."""
        return {(exchange, order.order_id): order for exchange, order in self.orders}

    @cached_property
    def scopes(self) -> dict[tuple[str, str], list[Order]]:
        """Account and pair → orders ever placed there."""
        found: dict[tuple[str, str], list[Order]] = defaultdict(list)
        for _, order in self.orders:
            found[ALIAS[order.api_key], order.pair].append(order)
        return found

    @cached_property
    def calls_by_scope(self) -> dict[tuple[str, str], list[SwitchCall]]:
        """Account and pair → what strategies called of it, in order."""
        found: dict[tuple[str, str], list[SwitchCall]] = defaultdict(list)
        for call in sorted(self.switches, key=lambda call: call.sent_ms):
            found[call.account, call.pair].append(call)
        return found

    @cached_property
    def countdowns(self) -> dict[tuple[str, str], list[Arrival]]:
        """Account and pair → countdown requests that arrived, in order."""
        found: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
        for arrival in self.journal:
            if arrival.operation == "countdown" and arrival.api_key in ALIAS:
                for pair in arrival.pairs:
                    found[ALIAS[arrival.api_key], pair].append(arrival)
        return found

    @cached_property
    def jobs_by_order(self) -> dict[tuple[str, str], list[Job]]:
        """Exchange and order id → jobs that were to cancel it."""
        found: dict[tuple[str, str], list[Job]] = defaultdict(list)
        for job in self.jobs.values():
            if job.order_id:
                found[job.exchange, job.order_id].append(job)
        return found

    @cached_property
    def scope_jobs(self) -> dict[tuple[str, str], list[Job]]:
        """Account and pair → jobs that were to cancel all of it."""
        found: dict[tuple[str, str], list[Job]] = defaultdict(list)
        for job in self.jobs.values():
            if job.kind is Kind.CANCEL_ALL:
                found[job.account, job.pair or ""].append(job)
        return found

    @cached_property
    def sends_by_order(self) -> dict[tuple[str, str], list[Arrival]]:
        """Exchange and order id → cancels for it that arrived, in order."""
        found: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
        for arrival in self.journal:
            if arrival.operation in ("cancel", "bulk"):
                for order_id in arrival.order_ids:
                    found[arrival.exchange, order_id].append(arrival)
        return found

    @cached_property
    def dead_alerts(self) -> set[str]:
        """Ids of jobs whose alert reports that workers gave up."""
        kinds = ("dead letter", "attempt crashed")
        return {str(row.get("job", "")) for row in self.alerts if row.get("alert") in kinds}


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, and everything known about it."""

    promise: str
    what: str
    about: tuple[object, ...] = ()


class Recorder:
    """Takes down calls and faults from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.cancels: list[CancelCall] = []
        self.switches: list[SwitchCall] = []
        self.faults: list[Fault] = []
        self.lives: list[Life] = []

    def cancel(self, call: CancelCall) -> None:
        """Take down a producer's call."""
        with self._lock:
            self.cancels.append(call)

    def switch(self, call: SwitchCall) -> None:
        """Take down a strategy's call."""
        with self._lock:
            self.switches.append(call)

    def fault(self, fault: Fault) -> None:
        """Take down a fault that is over."""
        with self._lock:
            self.faults.append(fault)

    def life(self, life: Life) -> None:
        """Take down a worker that is gone."""
        with self._lock:
            self.lives.append(life)

    def count(self) -> tuple[int, int, int]:
        """Return how many jobs were accepted, calls of switches made, and faults over."""
        with self._lock:
            jobs = sum(len(call.tickets) for call in self.cancels)
            return jobs, len(self.switches), len(self.faults)


def merged(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return faults in the order of their beginning."""
    return tuple(sorted(faults, key=lambda fault: fault.from_ms))
