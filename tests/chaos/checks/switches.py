"""No switch late, none false, none stale; what replaced holders say counts for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tests.chaos import windows
from tests.chaos.history import History, SwitchCall, Violation
from tests.support.world import KEYS
from worker.exchanges import EXCHANGES
from worker.model.jobs import Job
from worker.policy.phases import holds_timers
from worker.simulator import Arrival, Order

LATE = "a switch was late"
FALSE = "a switch tripped falsely"
STALE = "a late job made a deadline later"
OLD_EPOCH = "a replaced holder's word counted"
UNTOLD = "a switch tripped without an alert"
REARMED = "an older message armed what a later one had disarmed"
UNARMED = "a switch was never brought to the exchange"
NATIVE_LATE_MS = 300
EMULATED_LATE_MS = 2_500
SERIAL_MS = 3_000
"""More for accounts whose requests go one at a time: another's lease may have to end."""
ARM_MS = 12_000
"""A countdown waits for its slot at most for a window of the limit."""
EARLY = 4
"""A native timer may fire up to a quarter of the timeout early."""
TRANSIT_MS = 300
WORKERS = "workers"
"""What an arming says where the exchange gets no timer, as when the way to it is too slow."""
STARVED = 8
"""How many times longer all may take while others have the processors."""
SLACK_MS = 60
READ_MS = 3_000
"""Within what time a message is read while all is whole, and acted on."""
FROZEN_MS = 3_000
"""How long after a worker was stopped it may yet send what it had signed."""
RIGHT_AGAIN_MS = 3_000
"""Within what time a worker that was stopped in mid-request must set the timer right."""


@dataclass(slots=True)
class Scope:
    """One pair of an account, and what was called of it."""

    account: str
    pair: str
    calls: Sequence[SwitchCall]
    orders: Sequence[Order]

    @property
    def native(self) -> bool:
        """Whether the exchange holds the timer."""
        return holds_timers(EXCHANGES[KEYS[self.account][0]])

    @property
    def timeout_ms(self) -> int:
        """The timeout of its calls, which is one."""
        return self.calls[0].timeout_ms

    @property
    def sets(self) -> list[SwitchCall]:
        """The calls that moved the deadline on, or may have."""
        return [
            call
            for call in self.calls
            if call.call in ("arm", "beat", "message") and call.said in ("ok", "maybe")
        ]

    def latest_ms(self, before_ms: float = float("inf")) -> float:
        """Return the latest that the deadline may be, by what was called before a time.

        A call takes effect before its caller is answered, or never: one that was given
        up must not move a deadline afterwards. A message names its moment, whenever it
        is read.
        """
        return max(
            (call.told_ms + call.timeout_ms for call in self.sets if call.sent_ms <= before_ms),
            default=0.0,
        )

    def last_armed(self) -> SwitchCall:
        """Return the call that armed the switch last, by what its strategy was answered."""
        arms = [call for call in self.calls if call.call == "arm" and call.said == "ok"]
        return arms[-1] if arms else self.calls[0]

    def life_of(self, order: Order) -> list[SwitchCall]:
        """Return the acknowledged calls of the switch that an order was placed under.

        That is the one last armed before it was placed: what a former one left behind
        must not touch the order, and what a later one gets need not save it.
        """
        calls = [call for call in self.calls if call.said == "ok"]
        arms = [call for call in calls if call.call == "arm" and call.told_ms <= order.placed_ms]
        own = arms[-1].switch_id if arms else calls[0].switch_id if calls else ""
        return [call for call in calls if call.switch_id == own]


@dataclass(slots=True)
class Tally:
    """How many ends of switches were judged, and how many a fault excused.

    Attributes:
        ended: Scopes whose strategy fell silent.
        judged: Of them, whose orders had to be off the book before the run was over.
        waited_for_calm: Of them, where no worker could act at the deadline.
        starved: Of them, where the machine was too busy for the bounds as they are.
        thwarted: Orders late by failed attempts of their own.
        early_excused: Orders off the book early, since no worker could renew the timer.
        late_ms: From the latest deadline until the order left the book.
    """

    ended: int = 0
    judged: int = 0
    waited_for_calm: int = 0
    starved: int = 0
    thwarted: int = 0
    early_excused: int = 0
    late_ms: dict[str, list[float]] = field(default_factory=lambda: {"native": [], "emulated": []})


def check(history: History, tally: Tally | None = None) -> list[Violation]:
    """Judge every scope that a strategy has armed."""
    tally = tally or Tally()
    helpless = windows.helpless(history)
    away = {
        account: windows.union(
            [*helpless, *windows.held_off(history, history.bounds.limits.get(exchange))]
        )
        for account, (exchange, *_) in KEYS.items()
    }
    starved = windows.union(windows.of(history.faults, "machine.starved"))
    unrenewed = {account: windows.unrenewed(history, account) for account in KEYS}
    stopped, unreplicated = windows.stopped(history), windows.unreplicated(history)
    found = [*_untold(history)]
    for (account, pair), calls in history.calls_by_scope.items():
        orders = history.scopes.get((account, pair), [])
        scope = Scope(account, pair, calls, orders)
        found += _old_epochs(scope)
        found += _rearmed(history, scope)
        found += _false(scope, unrenewed[account], unreplicated, tally)
        found += _late(history, scope, away[account], starved, tally)
        if scope.native:
            found += _stale(history, scope, stopped)
    return found


def _untold(history: History) -> Iterator[Violation]:
    """Find tripped switches that no alert names."""
    told = " ".join(
        str(row.get("message")) for row in history.alerts if row.get("alert") == "switch tripped"
    )
    for switch_id in history.tripped:
        if switch_id not in told:
            calls = [call for call in history.switches if call.switch_id == switch_id]
            yield Violation(UNTOLD, switch_id, tuple(calls))


def _about(history: History | None, scope: Scope) -> tuple[object, ...]:
    arrivals = history.countdowns[scope.account, scope.pair] if history else ()
    return (*scope.calls, *scope.orders, *arrivals)


def _old_epochs(scope: Scope) -> Iterator[Violation]:
    """Find what a holder did after another had armed its scope."""
    taken: list[SwitchCall] = []
    for call in scope.calls:
        heirs = [arm for arm in taken if arm.holder != call.holder and arm.told_ms <= call.sent_ms]
        own = [arm for arm in taken if arm.holder == call.holder]
        replaced = [arm for arm in heirs if not own or arm.sent_ms > own[-1].told_ms]
        if replaced and call.call in ("beat", "track", "disarm") and call.said == "ok":
            yield Violation(OLD_EPOCH, f"{call.holder} on {call.pair}", _about(None, scope))
            return
        if call.call == "arm" and call.said == "ok":
            taken.append(call)


def _disarmed(scope: Scope) -> SwitchCall | None:
    """Return the disarm that ended it, or may have."""
    ends = [c for c in scope.calls if c.call == "disarm" and c.said in ("ok", "maybe", "queued")]
    return ends[0] if ends else None


def _false(
    scope: Scope,
    unrenewed: list[windows.Span],
    unreplicated: list[windows.Span],
    tally: Tally,
) -> Iterator[Violation]:
    """Find what came off, or was called tripped, while its strategy was alive or had disarmed."""
    lost = [
        call
        for call in scope.calls
        if call.call == "beat" and any(a <= call.told_ms <= b for a, b in unreplicated)
    ]
    scope = replace(scope, calls=[call for call in scope.calls if call not in lost])
    ends = [
        (order.closed_ms or 0.0, _kept_ms(scope, order), f"order {order.order_id}")
        for order in scope.orders
        if order.status == "canceled"
    ]
    ends += [
        (call.told_ms, _beaten_ms(scope, call), f"{call.call} of {call.holder}")
        for call in scope.calls
        if call.said == "tripped"
    ]
    for at_ms, kept_ms, what in ends:
        if at_ms >= kept_ms - SLACK_MS:
            continue
        missed = windows.overlap_ms(unrenewed, at_ms - scope.timeout_ms, at_ms)
        if scope.native and missed >= scope.timeout_ms / EARLY:
            tally.early_excused += 1
            continue
        yield Violation(FALSE, f"{what} on {scope.pair}", _about(None, scope))
        return


def _beaten_ms(scope: Scope, call: SwitchCall) -> float:
    """Return until when a call's switch must stay armed, by what its holder was last answered."""
    moved = [
        other
        for other in scope.calls
        if other.call in ("arm", "beat")
        and other.said == "ok"
        and other.switch_id == call.switch_id
        and other.told_ms <= call.sent_ms
    ]
    return max((other.sent_ms + other.timeout_ms for other in moved), default=0.0) - _early_ms(
        scope
    )


def _early_ms(scope: Scope) -> float:
    """Return by how much the end of a switch may come early."""
    if not scope.native:
        return 0.0
    return scope.timeout_ms / EARLY + min(TRANSIT_MS, scope.timeout_ms / 16)


def _kept_ms(scope: Scope, order: Order) -> float:
    """Return until when an order must stay, by what its strategy was last answered."""
    life = scope.life_of(order)
    asked = [call for call in scope.calls if call.call == "arm" and call.said == "maybe"]
    if life and asked and (order.closed_ms or 0) < life[0].told_ms:
        return min(call.sent_ms + call.timeout_ms for call in asked)  # it may have been armed
    if any(call.call == "disarm" for call in life):
        return float("inf")
    if any(call.call == "disarm" and call.said in ("maybe", "queued") for call in scope.calls):
        return 0.0
    moved = [call for call in life if call.call in ("arm", "beat")]
    kept = max((call.sent_ms + call.timeout_ms for call in moved), default=0.0)
    return kept - _early_ms(scope)


def _ended_ms(scope: Scope) -> float:
    """Return when its first order came off: that it was not too early, `_false` judges."""
    ended = [order.closed_ms for order in scope.orders if order.status == "canceled"]
    return min((at for at in ended if at is not None), default=float("inf"))


def _rearmed(history: History, scope: Scope) -> Iterator[Violation]:
    """Find orders taken off after a message that disarmed their scope was provably read."""
    queued = next((c for c in scope.calls if c.call == "disarm" and c.said == "queued"), None)
    if queued is None:
        return
    # Celery's transport may lose a message that a worker has just taken.
    parts = ("worker", "worker-link", "redis", "producer-link", "machine")
    spans = windows.union(windows.of(history.faults, *parts))
    if windows.overlap_ms(spans, queued.sent_ms - READ_MS, queued.sent_ms + READ_MS):
        return
    for order in scope.orders:
        if order.status == "canceled" and (order.closed_ms or 0) > queued.sent_ms + READ_MS:
            yield Violation(REARMED, f"order {order.order_id}", _about(history, scope))
            return


def _late(
    history: History,
    scope: Scope,
    away: list[windows.Span],
    starved: list[windows.Span],
    tally: Tally,
) -> Iterator[Violation]:
    """Find orders open for longer after the deadline than the promise has it."""
    if _disarmed(scope) is not None or not any(call.said == "ok" for call in scope.sets):
        return
    deadline = scope.latest_ms()
    tally.ended += 1
    tally.late_ms["native" if scope.native else "emulated"] += [
        order.closed_ms - deadline
        for order in scope.orders
        if order.status == "canceled" and order.closed_ms is not None
    ]
    timers = history.countdowns.get((scope.account, scope.pair), [])
    # A timer of a former life has fired by now, or says nothing of this one.
    armed = scope.last_armed()
    held = scope.native and any(
        a.applied and a.countdown_ms and a.at_ms >= armed.sent_ms for a in timers
    )
    allowed = EMULATED_LATE_MS + (SERIAL_MS if scope.native else 0)
    by_ms = windows.calm_from(away, deadline, allowed)
    if windows.overlap_ms(starved, deadline, by_ms):
        # So long a calm there never is; enough time in all there must be.
        by_ms = windows.calm_in_all(away, deadline, allowed * STARVED)
        tally.starved += 1
    if held:
        # `_stale` holds each timer to the deadline; the exchange itself fires it.
        by_ms = deadline + NATIVE_LATE_MS + _exchange_held_up_ms(history, deadline)
    if by_ms > history.end_ms:
        return
    tally.judged += 1
    tally.waited_for_calm += by_ms > deadline + allowed
    if scope.native and not held and armed.held != WORKERS:
        spans = [*away, *windows.exchange_away(history, KEYS[scope.account][0])]
        spans = windows.union([*spans, *windows.held_off(history, history.bounds.countdowns)])
        if windows.calm_from(spans, armed.told_ms, ARM_MS) < min(deadline, _ended_ms(scope)):
            yield Violation(UNARMED, scope.pair, _about(history, scope))
    for order in scope.orders:
        if order.status == "filled":
            continue
        if order.closed_ms is not None and order.closed_ms <= by_ms:
            continue
        jobs = _jobs(history, scope, order)
        if any(job.id in history.dead_alerts for job in jobs):
            continue  # a person was notified
        spans = windows.union([*away, *windows.thwarted(history, jobs)])
        excused_ms = windows.calm_from(spans, deadline, allowed)
        if not held and (order.closed_ms or history.end_ms) <= excused_ms:
            tally.thwarted += 1
            continue
        late = "never" if order.closed_ms is None else f"{order.closed_ms - deadline:.0f} ms"
        what = f"order {order.order_id} on {scope.pair}: {late} after the deadline"
        yield Violation(LATE, what, (*_about(history, scope), *jobs))
        return


def _jobs(history: History, scope: Scope, order: Order) -> list[Job]:
    """Return the jobs that were to take an order of a scope off the book."""
    exchange = KEYS[scope.account][0]
    own = history.jobs_by_order.get((exchange, order.order_id), [])
    return [*own, *history.scope_jobs.get((scope.account, scope.pair), [])]


def _exchange_held_up_ms(history: History, deadline: float) -> float:
    """Return for how long the machine kept the exchange from firing its own timer."""
    spans = windows.union(windows.of(history.faults, "machine", after_ms=SLACK_MS))
    return windows.overlap_ms(spans, deadline, deadline + NATIVE_LATE_MS) + SLACK_MS


def _stale(history: History, scope: Scope, stopped: list[windows.Span]) -> Iterator[Violation]:
    """Find a countdown that would fire later than any deadline set by then.

    A worker that the machine stops between its last look and the send cannot know it.
    It does once it continues, and must set the timer right at once.
    """
    disarmed = _disarmed(scope)
    stopped_ms = float("inf")
    arrivals = [
        arrival
        for arrival in history.countdowns.get((scope.account, scope.pair), ())
        if arrival.applied and arrival.countdown_ms is not None
    ]
    for n, arrival in enumerate(arrivals):
        assert arrival.countdown_ms is not None
        if arrival.countdown_ms == 0:
            if disarmed is None or arrival.at_ms < disarmed.sent_ms:
                yield Violation(LATE, f"{scope.pair} was stopped", _about(history, scope))
                return
            stopped_ms = min(stopped_ms, arrival.at_ms)
            continue
        over = _over_ms(scope, arrival)
        if over <= 0 and arrival.at_ms <= stopped_ms:
            continue
        frozen = windows.overlap_ms(stopped, arrival.at_ms - FROZEN_MS, arrival.at_ms) > 0
        soon = [
            later
            for later in arrivals[n + 1 :]
            if later.at_ms <= arrival.at_ms + RIGHT_AGAIN_MS and _over_ms(scope, later) <= 0
        ]
        if frozen and soon:
            continue
        what = f"{scope.pair}: set to fire {over + NATIVE_LATE_MS:.0f} ms after the deadline"
        yield Violation(STALE, what, _about(history, scope))
        return


def _over_ms(scope: Scope, arrival: Arrival) -> float:
    """Return by how much more than is allowed a timer outlives any deadline set by then."""
    fires_ms = arrival.at_ms + (arrival.countdown_ms or 0)
    return fires_ms - scope.latest_ms(arrival.at_ms) - NATIVE_LATE_MS
