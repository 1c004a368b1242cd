"""The whole state in one Redis: the one reader for metrics, pages and people.

It makes plain reads, so that a user who may run no script can read too, and so that Redis
serves others between them. What its user may not read is None. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from worker import clock
from worker.errors import StoreUnavailable
from worker.model.constants import LAG_SHARE, PRESENCE_MS
from worker.model.limits import Budget
from worker.model.names import account_of, exchange_of, jobs_lane, lane_of, switch_lane
from worker.model.switches import SwitchState
from worker.store.connection import Store
from worker.store.durability import RedisFacts, read_facts, refusal
from worker.store.reads import Reads

UNPROVEN = 5
"""How many jobs that are recorded as unproven are read: an older version's workers end jobs
and leave them recorded."""
UNTIMED_MS = 10_000
"""How long an armed switch may be without a timer in time."""
FEWEST = 10
"""Switches of each lane that are read, however many lanes there are."""
NAMED_MAX = 100
"""Named switches whose deadlines are reported."""
SWITCH = (
    *("state", "lane", "native", "timeout_ms", "deadline_ms", "fires_ms", "wants_ms", "name"),
)


class Bounds(NamedTuple):
    """How much is read at most.

    Attributes:
        lanes: Accounts; also ended switches, and switches of one account.
        switches: Switches of all accounts; but of each account at least `FEWEST`.
    """

    lanes: int = 500
    switches: int = 5_000


OFTEN = Bounds()
"""For who reads every second."""
ONCE = Bounds(5_000, 50_000)
"""For a person who asks."""


@dataclass(frozen=True, slots=True)
class LaneReading:
    """State of one account: its jobs and switches.

    Attributes:
        served: Whether a worker that has the account lives.
        oldest_ms: Time since the oldest due job became due; 0 without one.
        unproven_ms: Time since the first attempt of the job that has been unproven the
            longest; 0 without one.
        without_timer: Armed switches that need a timer at the exchange and have had none
            that fires in time for too long.
        disarmed: Disarmed switches whose timers workers must still stop.
        tripped: Of the switches that changed last, those that have tripped.
        left_ms: Time until the nearest deadline of an armed switch, negative after it;
            None without one.
        left_ratio: Minimum remaining time of an armed switch as a share of its timeout.
        named: Time until the deadline of armed switches with a name, by name; of all
            accounts at most `NAMED_MAX`.
    """

    exchange: str
    account: str
    pending: int = 0
    due: int = 0
    served: bool | None = None
    oldest_ms: int = 0
    unproven_ms: int | None = 0
    armed: int = 0
    without_timer: int = 0
    disarmed: int = 0
    tripped: int = 0
    left_ms: int | None = None
    left_ratio: float | None = None
    named: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """The state at one moment of shared time.

    Attributes:
        latency_ms: Duration of one round trip.
        lanes: By name: all that workers have registered, or that have jobs or switches.
        disarmed: Disarmed switches: those whose timers workers must still stop, and of
            those that changed last all.
        budgets: Rate limits, each with the requests counted in its window.
        seen_ms: Each live worker, with the time since its last sign of life.
        tick_ago_ms: Time since a worker last ran a tick of Celery beat; None for never.
        refusal: Why Redis accepts no new work; empty if it does, or was not asked.
    """

    now_ms: int
    latency_ms: float
    lanes: tuple[LaneReading, ...]
    disarmed: int
    budgets: tuple[tuple[Budget, int], ...]
    dead: int
    seen_ms: Mapping[str, int]
    beats: int
    tick_ago_ms: int | None
    redis: RedisFacts | None
    refusal: str = ""

    @property
    def workers(self) -> int:
        """How many workers live."""
        return len(self.seen_ms)


def read(
    store: Store,
    budgets: Sequence[Budget] = (),
    bounds: Bounds = OFTEN,
    *,
    probes: bool = False,
) -> Reading:
    """Read everything once.

    Args:
        store: The Redis.
        budgets: Rate limits to read.
        bounds: How much is read at most.
        probes: Whether to find out by a script if Redis accepts new work.

    Raises:
        StoreUnavailable: Redis did not answer in time, or does not let this user read
            accounts, jobs or switches.
    """
    begun = clock.monotonic_ms()
    now = store.shared_ms()
    latency_ms = clock.monotonic_ms() - begun
    whole = Reads(store)
    accounts = whole.ask("hgetall", "accounts")
    known = whole.ask("zrange", "lanes", 0, bounds.lanes)
    last = whole.ask("zrevrange", "switches", 0, bounds.lanes - 1)
    dead = whole.ask("zcard", "dead")
    seen = whole.ask("zrange", "workers", 0, -1, withscores=True)
    serving = whole.ask("zrangebyscore", "serving", now - PRESENCE_MS, "+inf", maybe=True)
    beats = whole.ask("exists", "beat", maybe=True)
    ticked = whole.ask("get", "ticked", maybe=True)
    used = [
        whole.ask("zcount", f"limit:{it.rule.key}", now - it.rule.window_ms, "+inf", maybe=True)
        for it in budgets
    ]
    answers = whole.answers()
    names = _names(answers[accounts], answers[known], bounds.lanes)
    lanes, disarmed = _Lanes(store, now, bounds).read(names, answers[last], answers[serving])
    return Reading(
        now_ms=now,
        latency_ms=latency_ms,
        lanes=lanes,
        disarmed=disarmed,
        budgets=tuple((it, answers[at] or 0) for it, at in zip(budgets, used, strict=True)),
        dead=answers[dead],
        seen_ms={
            name: max(0, now - int(at)) for name, at in answers[seen] if at >= now - PRESENCE_MS
        },
        beats=answers[beats] or 0,
        tick_ago_ms=now - int(answers[ticked]) if answers[ticked] else None,
        redis=_facts(store),
        refusal=refusal(store) if probes else "",
    )


def _names(accounts: Mapping[str, str], lanes: Iterable[str], most: int) -> list[str]:
    """Return the names of lanes of jobs: registered ones, then those with jobs."""
    names = [
        lane_of(exchange, alias)
        for alias, exchanges in accounts.items()
        for exchange in exchanges.split(",")
    ]
    names += map(jobs_lane, lanes)
    return [*dict.fromkeys(names)][:most]


class _Lanes:
    """Reads accounts, with their jobs and switches."""

    def __init__(self, store: Store, now: int, bounds: Bounds) -> None:
        self._store = store
        self._now = now
        self._bounds = bounds

    def read(
        self, names: Sequence[str], last: Sequence[str], serving: Sequence[str] | None
    ) -> tuple[tuple[LaneReading, ...], int]:
        """Return the accounts, and how many switches are disarmed.

        Args:
            names: Lanes.
            last: Ids of the switches that changed last.
            serving: Digests of the accounts that live workers have.
        """
        now = self._now
        parts = dict(zip(names, self._parts(names), strict=True))
        kept = {switch_id for part in parts.values() for switch_id in part.switches}
        switches, pending = self._details({*kept, *last}, parts)
        rows: dict[str, dict[str, Any]] = {}
        for name, part in parts.items():
            since = [at for job, at in part.unproven or () if (name, job) in pending]
            rows[name] = {
                "pending": part.pending,
                "due": part.due,
                "served": part.served_by(serving),
                "oldest_ms": now - int(part.first[0][1]) if part.due else 0,
                "unproven_ms": None
                if part.unproven is None
                else now - int(min(since, default=now)),
                **_counts([switches[each] for each in part.switches], now),
            }
        for switch_id in last:
            switch = switches[switch_id]
            if switch.state is SwitchState.TRIPPED:
                row = rows.setdefault(switch.lane, {"served": False, "tripped": 0})
                row["tripped"] += 1
        _name(rows, [switches[each] for each in kept], now)
        disarmed = sum(switch.state is SwitchState.DISARMED for switch in switches.values())
        return tuple(
            LaneReading(exchange_of(name), account_of(name), **rows[name]) for name in sorted(rows)
        ), disarmed

    def _parts(self, names: Sequence[str]) -> Iterator[_Part]:
        bounds, reads = self._bounds, Reads(self._store)
        share = min(bounds.lanes, max(FEWEST, bounds.switches // max(1, len(names))))
        for name in names:
            due = f"due:{name}"
            reads.ask("zcard", due)
            reads.ask("zcount", due, "-inf", self._now)
            reads.ask("zrange", due, 0, 0, withscores=True)
            reads.ask("zrange", f"due:{switch_lane(name)}", 0, share - 1)
            reads.ask("zrange", f"vain:{name}", 0, UNPROVEN - 1, withscores=True, maybe=True)
            reads.ask("smembers", f"servers:{name}", maybe=True)
        answers, width = reads.answers(), len(_Part._fields)
        for first in range(0, len(answers), width):
            yield _Part(*answers[first : first + width])

    def _details(
        self, ids: Iterable[str], parts: Mapping[str, _Part]
    ) -> tuple[dict[str, _Switch], set[tuple[str, str]]]:
        """Read switches, and which jobs that are recorded as unproven are pending."""
        reads = Reads(self._store)
        switches = {each: reads.ask("hmget", f"switch:{each}", *SWITCH) for each in ids}
        jobs = {
            (name, job): reads.ask("zscore", f"due:{name}", job)
            for name, part in parts.items()
            for job, _ in part.unproven or ()
        }
        answers = reads.answers()
        return (
            {switch_id: _switch(answers[place]) for switch_id, place in switches.items()},
            {each for each, place in jobs.items() if answers[place] is not None},
        )


class _Part(NamedTuple):
    """What is read of a lane first."""

    pending: int
    due: int
    first: list[tuple[str, float]]
    switches: list[str]
    unproven: list[tuple[str, float]] | None
    servers: set[str] | None

    def served_by(self, serving: Sequence[str] | None) -> bool | None:
        """Return whether any of these serves it; None if that may not be read."""
        if self.servers is None or serving is None:
            return None
        return not self.servers.isdisjoint(serving)


@dataclass(frozen=True, slots=True)
class _Switch:
    state: SwitchState | None
    lane: str
    native: bool
    timeout_ms: int
    deadline_ms: int
    fires_ms: int
    wants_ms: int
    name: str

    def left_ms(self, now: int) -> int:
        """Return the time until the deadline."""
        return self.deadline_ms - now

    def untimed(self, now: int) -> bool:
        """Return whether the exchange should keep a timer, and has had none in time for too long.

        A renewal may wait for as long again as it took to be due.
        """
        behind, longest = self.deadline_ms - self.fires_ms, self.timeout_ms / LAG_SHARE
        if not self.native or not self.wants_ms or 0 <= behind < longest:
            return False
        if behind < 0 or not self.fires_ms:
            longest = min(longest, UNTIMED_MS)
        return now - self.wants_ms > longest


def _switch(row: Sequence[str | None]) -> _Switch:
    state, lane, native, timeout, deadline, fires, wants, name = row
    return _Switch(
        state=SwitchState(state) if state else None,
        lane=lane or "",
        native=native == "1",
        timeout_ms=int(timeout or 0),
        deadline_ms=int(deadline or 0),
        fires_ms=int(fires or 0),
        wants_ms=int(wants or 0),
        name=name or "",
    )


def _counts(switches: Sequence[_Switch], now: int) -> dict[str, Any]:
    """Return the counts of a lane's switches."""
    armed = [switch for switch in switches if switch.state is SwitchState.ARMED]
    disarmed = sum(switch.state is SwitchState.DISARMED for switch in switches)
    return {
        "armed": len(armed),
        "without_timer": sum(switch.untimed(now) for switch in armed),
        "disarmed": disarmed,
        "tripped": 0,
        "left_ms": min((switch.left_ms(now) for switch in armed), default=None),
        "left_ratio": min(
            (switch.left_ms(now) / switch.timeout_ms for switch in armed), default=None
        ),
    }


def _name(rows: Mapping[str, dict[str, Any]], switches: Iterable[_Switch], now: int) -> None:
    """Add the deadlines of named switches, the nearest first."""
    named = [each for each in switches if each.state is SwitchState.ARMED and each.name]
    for switch in sorted(named, key=lambda each: each.deadline_ms)[:NAMED_MAX]:
        if row := rows.get(switch.lane):
            row.setdefault("named", {})[switch.name] = switch.left_ms(now)


def _facts(store: Store) -> RedisFacts | None:
    try:
        return read_facts(store, config=False)
    except StoreUnavailable:
        return None
