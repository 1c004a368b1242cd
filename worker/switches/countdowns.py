"""Send one countdown request: ask for leave, compute what is left of the deadline, send."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from worker import clock
from worker.config.settings import Settings
from worker.exchanges.timer import Reach
from worker.gateway.bans import note_ban
from worker.gateway.round_trips import RoundTrips
from worker.gateway.sender import Bounds, Delivery, Sender, Sent
from worker.model.commands import SetCountdown
from worker.model.constants import EVERYTHING
from worker.model.holders import HeldWhy
from worker.model.outcomes import CountdownSet, Unproven
from worker.model.switches import AT_ONCE, Launch, LaunchVerdict, Release, Report
from worker.policy.timers import LAUNCH_MAX_MS, shortest_native_ms
from worker.store.limiter import Limiter
from worker.store.switches import Switches
from worker.switches.hold import Hold
from worker.switches.plan import Sync, countdown_ms
from worker.switches.terms import doubt_ms, terms_of, timer_of
from worker.telemetry import metrics

log = logging.getLogger(__name__)

SLOW_KEPT_MS = 600_000
"""How long workers hold the deadlines of what is armed after the exchange was too slow."""


DENIED_KEPT_MS = 3_600_000
"""The same of what is armed after the exchange has denied an account its timer."""


class LaneLostError(Exception):
    """Another worker holds the lane."""


@dataclass(frozen=True, slots=True)
class Requested:
    """What came of a request that had leave.

    Attributes:
        sent: The request.
        launch: Its leave.
        call_ms: How long it might take.
        way_ms: What was taken off the countdown for that, by rounding, and for doubt about
            the exchange's clock.
        report: What is known of its arrival; None if nothing is.
        fires_ms: When the timer fires at the earliest, in Redis time; 0 if it is stopped.
            None if the exchange did not confirm it, or so late that the timer may outlive
            the deadline.
    """

    sent: Sent
    launch: Launch
    call_ms: int
    way_ms: int
    report: Report | None
    fires_ms: int | None


class Countdowns:
    """Sends the countdown requests of one worker. Safe to use from many threads.

    Args:
        settings: Bounds on requests.
        switches: The switches in Redis.
        limiter: Remembers the rate slots of this process.
        sender: Sends the requests.
    """

    def __init__(
        self, settings: Settings, switches: Switches, limiter: Limiter, sender: Sender
    ) -> None:
        self._switches = switches
        self._limiter = limiter
        self._sender = sender
        self._ways = RoundTrips(settings)

    def request(self, hold: Hold, sync: Sync) -> Requested | Release:
        """Send one request of a plan.

        Returns:
            What came of it; how the lane is given up if there is no leave to send.

        Raises:
            LaneLostError: Another worker holds the lane. Nothing was sent.
            StoreUnavailable: Redis did not answer. Where the timer is, is then unknown,
                and is recorded as such before any request leaves.
        """
        terms = terms_of(hold.session)
        timeout_ms = min(hold.known[switch_id].timeout_ms for switch_id, _ in sync.members)
        longest_ms = self._ways.longest_ms(terms, timeout_ms, stop=sync.stop)
        call_ms = self._ways.call_ms(hold.lane, longest_ms=longest_ms)
        off_ms = call_ms + doubt_ms(hold.session)
        # Before the leave is asked for: the time that its answer takes counts as well.
        asked_ms = clock.monotonic_ms()
        launch = self._launch(hold, sync, call_ms)
        if isinstance(launch, Release):
            return launch
        granted_ms = clock.monotonic_ms()

        timer = timer_of(hold.session)

        def left_ms(at_ms: float) -> int:
            """Return what is left at a moment, if the leave was given when it was asked for."""
            now_ms = launch.now_ms + round(at_ms - asked_ms)
            return 0 if sync.stop else countdown_ms(launch.deadline_ms, now_ms, off_ms)

        begin_by_ms = asked_ms + LAUNCH_MAX_MS
        if timer.least_ms and not sync.stop:
            # Later than this it would be rounded to what stops the timer.
            settable_ms = launch.deadline_ms - launch.now_ms - off_ms - timer.least_ms
            begin_by_ms = min(begin_by_ms, asked_ms + settable_ms)
        whole = sync.pairs == (EVERYTHING,) or (sync.stop and timer.reach is Reach.LIST)
        named = () if whole else sync.pairs
        sent = self._sender.send(
            hold.session,
            lambda at_ms: SetCountdown(named, timer.setting_ms(left_ms(at_ms))),
            Bounds(begin_by_ms, begin_by_ms + call_ms, call_ms),
            window_ms=terms.window_ms(call_ms),
        )
        report = None
        if sent.delivery is not Delivery.LOST:
            report = Report(
                launch.grant.with_left(sent.left), arrived=sent.delivery is Delivery.ANSWERED
            )
            self._limiter.note_arrival(launch.grant, arrived=report.arrived)
        if isinstance(sent.answer, Unproven) and sent.answer.banned:
            note_ban(self._limiter, hold.session, sent.answer)
        confirmed = isinstance(sent.answer, CountdownSet)
        if self._ways.learn(hold.lane, sent.took_ms, call_ms, longest_ms, answered=confirmed):
            self._leave_to_workers(hold, sync)
        fires_ms, way_ms = None, off_ms
        if confirmed and sync.stop:
            fires_ms = 0
        elif confirmed and sent.took_ms <= call_ms:
            exact_ms = left_ms(sent.at_ms)
            set_ms = timer.setting_ms(exact_ms)
            fires_ms = launch.now_ms + round(sent.at_ms - granted_ms) + set_ms
            way_ms += exact_ms - set_ms
        return Requested(sent, launch, call_ms, way_ms, report, fires_ms)

    def call_ms(self, lane: str) -> int:
        """Return how long the next request of a lane may take."""
        return self._ways.call_ms(lane)

    def leave_denied(self, hold: Hold, sync: Sync) -> None:
        """Have workers hold the deadlines of an account for which no timer is kept."""
        why = HeldWhy.DENIED.value
        self._switches.give_up_timers(
            hold.lane, hold.holder, 0, DENIED_KEPT_MS, sync.members, why=why
        )

    def _launch(self, hold: Hold, sync: Sync, call_ms: int) -> Launch | Release:
        """Ask for leave to send; return it, or how the lane is given up."""
        rules, terms = hold.session.rules_for(SetCountdown((), 0)), terms_of(hold.session)
        launch = self._switches.launch(
            lane=hold.lane,
            holder=hold.holder,
            lease_ms=terms.hold_ms(call_ms),
            urgent=sync.urgent,
            flight_ms=terms.flight_ms(call_ms),
            rules=rules,
            members=sync.members,
            dropped=sync.dropped,
        )
        match launch.verdict:
            case LaunchVerdict.GO:
                self._limiter.remember(launch.grant, rules, flight_ms=terms.flight_ms(call_ms))
                return launch
            case LaunchVerdict.WAIT:
                metrics.held_back([rule.key for rule in rules], launch.wait_ms)
                return Release(pause_ms=launch.wait_ms)
            case LaunchVerdict.STALE:
                return AT_ONCE
            case LaunchVerdict.LOST:
                raise LaneLostError

    def _leave_to_workers(self, hold: Hold, sync: Sync) -> None:
        """Have workers hold the deadlines of switches whose timers cannot be kept."""
        call_ms = self._ways.call_ms(hold.lane)
        shortest_ms = shortest_native_ms(terms_of(hold.session), call_ms)
        self._switches.give_up_timers(
            hold.lane, hold.holder, shortest_ms, SLOW_KEPT_MS, sync.members
        )
        log.warning(
            "the exchange answers too slowly for the timers of %s: workers hold the deadline",
            sync.scope,
            extra={"account": hold.session.alias, "exchange": hold.session.exchange.name},
        )
