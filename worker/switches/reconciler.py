"""Bring an exchange's timers in line with the switches.

The worker holds the lane throughout, so that one countdown request of an account is under
way at a time and none overtakes another. Right before each request a script checks that
the hold is still this worker's, that every switch is as planned, and that a rate slot is
free; the countdown is what is left of the deadline at that moment. What came of a request
is recorded with the next step: together with giving the lane up, or before another request.
"""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import replace

from worker import clock
from worker.config.settings import Settings
from worker.gateway.account import AccountSessions
from worker.gateway.sender import Delivery, Sender, Sent
from worker.model.names import exchange_of
from worker.model.outcomes import CountdownSet
from worker.model.switches import AT_ONCE, Release, Report, SwitchRecord, Timers
from worker.policy.timers import LAUNCH_MAX_MS
from worker.store.limiter import Limiter
from worker.store.switches import Switches
from worker.store.trips import Trips
from worker.switches.countdowns import Countdowns, LaneLostError, Requested
from worker.switches.failures import (
    BACKOFF_MAX_MS,
    REFUSED_MS,
    after_failure,
    after_refusal,
    deferral,
    unproven,
)
from worker.switches.hold import Hold, Part
from worker.switches.one_list import plan_list
from worker.switches.plan import Sync, brief_of, plan
from worker.switches.refused_pairs import Refusals
from worker.switches.terms import (
    doubt_ms,
    has_list,
    max_pairs_of,
    registered_terms,
    terms_of,
    timer_of,
)
from worker.telemetry import metrics
from worker.telemetry.alerts import alert

log = logging.getLogger(__name__)

BRIEF_MS = 500
BRIEF_MAX_MS = 1_000
"""When a switch is looked at again whose deadline is too near for the exchange's timer."""
FIRINGS_LEFT = 3
"""With so few firings of a timer left in a day, people are notified."""
PARTS_MS = 12_000
"""How long the parts of a long list that one turn has sent count in the next: the window of
a rate limit, and the way."""


class Reconciler:
    """Keeps the native switches of one worker's accounts. Safe to use from many threads.

    Args:
        settings: Bounds on requests.
        lanes: The accounts.
        switches: The switches in Redis.
        trips: Keeps tripped switches until a person has acknowledged them.
        limiter: Remembers the rate slots of this process.
        sender: Sends the requests.
        rng: For the jitter of retries.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        lanes: AccountSessions,
        switches: Switches,
        trips: Trips,
        limiter: Limiter,
        sender: Sender,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._switches = switches
        self._trips = trips
        self._sender = sender
        self._rng = rng
        self._countdowns = Countdowns(settings, switches, limiter, sender)
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        """Per lane, how many failures in a row have paused it."""
        self._alone: set[str] = set()
        """Switches that share no request, since a shared one was refused."""
        self._refusals = Refusals()
        self._parts: dict[str, tuple[float, dict[Part, int]]] = {}
        """Lanes whose last turn ended within a long list, mostly as no slot was free: when,
        and which parts of the list were sent."""

    def tend(self, lane: str, holder: str, stopping: threading.Event | None = None) -> None:
        """Send what is due of a lane that `holder` holds, then give the lane up.

        Once `stopping` is set no further request is sent; the lane stays due.

        Raises:
            StoreUnavailable: Redis did not answer. The hold expires, and timers whose state
                is not recorded are set again.
        """
        hold, syncs = self._planned(lane, holder)
        report: Report | None = None
        release: Release | None = None
        try:
            for sync in syncs:
                if stopping is not None and stopping.is_set():
                    break
                if hold.stands(sync):
                    continue
                if report is not None:
                    self._switches.report(lane, holder, report)
                report, release = self._sync(hold, sync)
                if release is not None:
                    break
        except LaneLostError:
            return
        if release is not None and hold.parts:
            self._parts[lane] = (clock.monotonic_ms(), hold.parts)
        self._switches.report(lane, holder, report, release=release or self._rest(hold))

    def register(self) -> None:
        """Register the shortest native timeouts and the budgets of the accounts.

        Raises:
            StoreUnavailable: Redis did not answer. Registering again is safe.
        """
        if terms := registered_terms(self._lanes.accounts, self._settings.switches):
            self._switches.register_terms(terms)

    def tripped(self) -> None:
        """Raise an alert for each switch that has tripped, and keep it to be acknowledged.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        while switch_id := self._switches.next_tripped():
            record = self._switches.get(switch_id)
            if record and record.tripped_ms:
                self._trips.add(record)
                late_ms = record.tripped_ms - record.deadline_ms
                metrics.tripped(exchange_of(record.lane), late_ms)
            name = record.name if record else ""
            shown = f"{switch_id} ({name})" if name else switch_id
            alert(
                "switch tripped",
                f"switch {shown} tripped: its strategy fell silent; canceling its orders",
                switch=switch_id,
                switch_name=name,
                account=record.account if record else "",
                exchange=exchange_of(record.lane) if record else "",
            )
            if record:
                self._count_firings(record)
            self._switches.told(switch_id)

    def _count_firings(self, record: SwitchRecord) -> None:
        """Raise an alert when a timer that fires only so often in a day has few firings left."""
        session = self._lanes.get(record.lane)
        if session is None or not timer_of(session).firings_max:
            return
        count, most = self._switches.firings(record.lane)
        if most - count <= FIRINGS_LEFT:
            alert(
                "timer spent",
                f"the exchange's timer has fired {count} times today, of {most} that it does in a "
                "day (UTC); after that workers hold the deadlines",
                account=session.alias,
                exchange=session.exchange.name,
            )

    def _rest(self, hold: Hold) -> Release:
        """Return how a lane is given up after its plan: what could not be set is looked at soon."""
        if not hold.brief:
            return AT_ONCE
        return deferral(hold.brief, BRIEF_MS, BRIEF_MAX_MS, self._rng)

    def _planned(self, lane: str, holder: str) -> tuple[Hold, list[Sync]]:
        """Read the switches of a lane; return them, and the requests that are due."""
        session = self._lanes.of(lane)
        # First, as connecting would make a countdown late that is computed before.
        unreachable = self._sender.connect(session)
        now_ms, switches = self._switches.survey(lane, holder, every=has_list(session))
        at_ms, parts = self._parts.pop(lane, (0.0, {}))
        parts = parts if clock.monotonic_ms() - at_ms < PARTS_MS else {}
        known = {switch.id: switch for switch in switches}
        with self._lock:
            at_ms = clock.monotonic_ms()
            asked = [self._refusals.without(switch, now_ms=at_ms) for switch in switches]
            alone = set(self._alone)
        short = {switch.id for switch in asked if switch.pairs != known[switch.id].pairs}
        max_pairs = max_pairs_of(session, self._settings.switches)
        least_ms = timer_of(session).least_ms
        least_ms += self._countdowns.call_ms(lane) + doubt_ms(session) if least_ms else 0
        alone |= short
        brief = brief_of(asked, now_ms=now_ms, least_ms=least_ms)
        skipped = tuple(switch.id for switch in brief if switch.due)
        if has_list(session):
            listed = plan_list(
                asked,
                now_ms=now_ms,
                max_pairs=max_pairs,
                alone=alone,
                least_ms=least_ms,
                way_ms=self._countdowns.call_ms(lane) + timer_of(session).unit_ms - 1,
            )
            if listed.left_out:
                self._switches.leave_to_workers(lane, holder, listed.left_out)
            syncs, skipped = listed.syncs, (*skipped, *listed.put_off)
        else:
            syncs = plan(asked, now_ms=now_ms, max_pairs=max_pairs, alone=alone, least_ms=least_ms)
        return Hold(session, lane, holder, known, short, parts, unreachable, skipped), syncs

    def _sync(self, hold: Hold, sync: Sync) -> tuple[Report | None, Release | None]:
        """Send one request.

        Returns:
            What is known of the request; how the lane is given up, None if the next request
            can be sent.
        """
        if hold.unreachable is not None:
            unsent = Sent(hold.unreachable, Delivery.NOT_SENT, clock.monotonic_ms())
            return None, self._failed(hold, sync, unsent, 0)
        requested = self._countdowns.request(hold, sync)
        if isinstance(requested, Release):
            return None, requested
        hold.parts.pop((sync.members, sync.stop, sync.pairs), None)
        report = requested.report
        if report is None or not isinstance(requested.sent.answer, CountdownSet):
            return report, self._failed(hold, sync, requested.sent, requested.call_ms)
        with self._lock:
            self._failures.pop(hold.lane, None)
            if len(sync.members) == 1:
                self._alone.discard(sync.members[0][0])
        timers, release = self._confirmed(hold, sync, requested)
        return replace(report, timers=timers), release

    def _confirmed(
        self, hold: Hold, sync: Sync, requested: Requested
    ) -> tuple[Timers | None, Release | None]:
        """Return where the timers of the switches are, and how the lane is given up."""
        if requested.fires_ms is None:
            return None, AT_ONCE
        times = hold.fires[sync.members]
        times.append(requested.fires_ms)
        if not sync.last:
            hold.parts[sync.members, sync.stop, sync.pairs] = requested.fires_ms
            return None, None
        if len(times) > 1 and max(times) > requested.launch.deadline_ms and not sync.stop:
            return None, AT_ONCE  # the deadline was moved closer after the first parts were set
        if sync.stop and sync.members[0][0] in hold.short and not has_list(hold.session):
            # This does not stop the timer of a pair that was set before it was refused.
            members = (sync.members[0][0],)
            return None, deferral(members, REFUSED_MS, BACKOFF_MAX_MS, self._rng)
        listed = sync.pairs if has_list(hold.session) and not sync.stop else ()
        return Timers(min(times), requested.way_ms, sync.members, sync.dropped, listed), None

    def _failed(self, hold: Hold, sync: Sync, sent: Sent, call_ms: int) -> Release:
        """Log a failure, and carry out what follows from it."""
        answer, terms = unproven(sent.answer), terms_of(hold.session)
        context = {"account": hold.session.alias, "exchange": hold.session.exchange.name}
        detail = f"countdown of {sync.scope}: {answer.detail or answer.outcome}"
        log.warning(detail, extra={**context, "outcome": answer.outcome})
        members = tuple(switch_id for switch_id, _ in sync.members)
        arrives_by_ms = sent.at_ms + terms.flight_ms(call_ms) - LAUNCH_MAX_MS
        with self._lock:
            failures = self._failures.get(hold.lane, 0)
            failure = after_failure(
                answer,
                members,
                expired=sent.delivery is Delivery.EXPIRED,
                ordered=terms.nonce,
                arrives_ms=round(arrives_by_ms - clock.monotonic_ms()),
                failures=failures,
                rng=self._rng,
            )
            if failure.release.pause_ms:
                self._failures[hold.lane] = failures + 1
            if failure.split:
                self._alone.update(members)
        if failure.lost_account:
            alert("credentials refused", f"timer not set: {detail}", **context)
        if answer.timer_denied:
            self._countdowns.leave_denied(hold, sync)
            alert("timer refused", f"the exchange keeps no timer: {answer.detail}", **context)
            return AT_ONCE
        if not failure.refused:
            return failure.release
        with self._lock:
            known, now_ms = hold.known[members[0]], clock.monotonic_ms()
            named = self._refusals.learn(known, answer.detail, now_ms=now_ms)
        pairs = ", ".join(named) or sync.scope
        refused = f"the exchange refuses the countdown of {pairs}: {answer.detail}"
        alert("timer refused", refused, **context)
        return after_refusal(members, named=bool(named), rng=self._rng)
