"""Brings an exchange's timers in line with the switches, at the moment of sending.

The lane is held while this runs, so that of one account one countdown request
is under way at a time and none overtakes another. Right before each request a
script looks a last time: whether the hold is still ours, every switch still
stands as planned, and there is a rate slot; the countdown is what is left then.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Mapping

from worker import clock
from worker.config.settings import Settings
from worker.errors import InvalidCommand, NotSent, ReplyLost
from worker.exchanges.base import Stamp
from worker.gateway.account import AccountSession, AccountSessions
from worker.gateway.http.transport import Transport
from worker.gateway.round_trips import RoundTrips
from worker.model.commands import SetCountdown
from worker.model.names import exchange_of, lane_of
from worker.model.outcomes import CountdownSet, Outcome, Unproven
from worker.model.switches import NO_REST, Launch, Rest
from worker.policy.pauses import THROTTLED_MAX_MS
from worker.policy.phases import holds_timers
from worker.policy.timers import LAUNCH_MAX_MS, Terms, budget_of, shortest_native_ms
from worker.store.limiter import Limiter
from worker.store.nonces import Nonces
from worker.store.switches import Switches
from worker.switches.hold import Hold, Part, Sent
from worker.switches.plan import Sync, countdown_ms, plan
from worker.switches.refused_pairs import Refusals
from worker.telemetry import metrics
from worker.telemetry.alerts import alert

log = logging.getLogger(__name__)

SLOW_KEPT_MS = 600_000
"""How long a way that was found to be slow counts for what is armed."""
BACKOFF_MS = 200
BACKOFF_MAX_MS = 5_000
REFUSED_MS = 1_000
REFUSED_MAX_MS = 30_000
"""What is refused for good costs a slot each time that it is tried again."""
THROTTLED_MS = 1_000


PARTS_MS = 12_000
"""How long what a turn has sent of a long list counts in the next: a window, and the way."""


class _LaneLostError(Exception):
    """The lane is another's by now."""


class Reconciler:
    """Keeps the native switches of one worker's accounts."""

    def __init__(
        self,
        *,
        settings: Settings,
        lanes: AccountSessions,
        switches: Switches,
        limiter: Limiter,
        nonces: Nonces,
        transport: Transport,
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._switches = switches
        self._limiter = limiter
        self._nonces = nonces
        self._transport = transport
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._ways = RoundTrips(settings)
        self._alone: set[str] = set()
        self._refusals = Refusals()
        self._parts: dict[str, tuple[float, dict[Part, int]]] = {}
        """Lanes whose last turn ended within a long list, mostly for want of a slot: when,
        and what of it was done."""

    def tend(self, lane_name: str, holder: str, stopping: threading.Event | None = None) -> None:
        """Send what is due of a lane that `holder` holds, then give it up.

        Once `stopping` is set no further request is sent; the lane stays due.

        Raises:
            StoreUnavailable: Redis did not answer. The hold runs out.
        """
        lane = self._lanes.of(lane_name)
        unreachable = self._connect(lane)
        now_ms, switches = self._switches.survey(lane_name, holder)
        at, parts = self._parts.pop(lane_name, (0.0, {}))
        parts = parts if clock.monotonic_ms() - at < PARTS_MS else {}
        known = {switch.id: switch for switch in switches}
        with self._lock:
            at = clock.monotonic_ms()
            asked = [self._refusals.without(switch, now_ms=at) for switch in switches]
        short = {switch.id for switch in asked if switch.pairs != known[switch.id].pairs}
        hold = Hold(lane, lane_name, holder, known, short, parts, unreachable)
        rest: Rest | None = None
        try:
            for sync in plan(
                asked,
                now_ms=now_ms,
                max_pairs=self._pairs_max(lane),
                alone=self._alone | short,
            ):
                if stopping is not None and stopping.is_set():
                    break
                if hold.stands(sync):
                    continue
                rest = self._sync(hold, sync)
                if rest is not None:
                    break
        except _LaneLostError:
            return
        if rest is not None and hold.parts:
            self._parts[lane_name] = (clock.monotonic_ms(), hold.parts)
        self._switches.rest(lane_name, holder, rest or NO_REST)

    def register(self) -> None:
        """Tell those who arm what the exchange's timers can be used for.

        Raises:
            StoreUnavailable: Redis did not answer. Registering again is safe.
        """
        shares: Counter[str] = Counter()
        native = [lane for lane in self._lanes.accounts if holds_timers(lane.exchange)]
        for lane in native:
            shares.update(rule.key for rule in lane.rules_for(SetCountdown((), 0)))
        terms = []
        for lane in native:
            name = lane_of(lane.exchange.name, lane.alias)
            shortest_ms = shortest_native_ms(terms_of(lane), self._settings.switches.transit_ms)
            budgets = [
                budget_of(rule.max_requests, rule.window_ms, accounts=shares[rule.key])
                for rule in lane.rules_for(SetCountdown((), 0))
            ]
            pairs = self._pairs_max(lane)
            terms.append((name, shortest_ms, min(budgets, default=0), pairs))
        if terms:
            self._switches.register_terms(terms)

    def _pairs_max(self, lane: AccountSession) -> int:
        """Return the most pairs that one request for timers may name."""
        return min(self._settings.switches.max_pairs, lane.exchange.capabilities.timer_pairs)

    def tripped(self) -> None:
        """Raise an alert for each switch that has tripped.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        while switch_id := self._switches.next_tripped():
            record = self._switches.get(switch_id)
            if record and record.tripped_ms:
                late_ms = record.tripped_ms - record.deadline_ms
                metrics.tripped(exchange_of(record.lane), late_ms)
            alert(
                "switch tripped",
                f"switch {switch_id} tripped: its strategy fell silent; canceling its orders",
                account=record.account if record else "",
                exchange=exchange_of(record.lane) if record else "",
            )
            self._switches.told(switch_id)

    def _sync(self, hold: Hold, sync: Sync) -> Rest | None:
        """Send one request; None if the exchange is in line, else no more can go now."""
        lane = hold.lane
        if hold.unreachable is not None:
            return self._failed(hold, sync, Sent(hold.unreachable, at=clock.monotonic_ms()), 0)
        # Before the leave is asked for: what holds its answer up counts too.
        begun = clock.monotonic_ms()
        rules, terms = lane.rules_for(SetCountdown(sync.pairs, 0)), terms_of(lane)
        timeout_ms = min(hold.known[switch_id].timeout_ms for switch_id, _ in sync.members)
        longest_ms = self._ways.longest_ms(terms, timeout_ms, stop=sync.stop)
        call_ms = self._ways.call_ms(hold.name, longest_ms=longest_ms)
        launch = self._switches.launch(
            lane=hold.name,
            holder=hold.holder,
            lease_ms=terms.hold_ms(call_ms),
            urgent=sync.urgent,
            flight_ms=terms.flight_ms(call_ms),
            rules=rules,
            members=sync.members,
        )
        left_for_ms = clock.monotonic_ms()
        match launch.verdict:
            case "go":
                self._limiter.remember(launch.grant, rules, flight_ms=terms.flight_ms(call_ms))
                hold.parts.pop((sync.members, sync.stop, sync.pairs), None)
            case "wait":
                metrics.held_back([rule.key for rule in rules], launch.wait_ms)
                return Rest(pause_ms=launch.wait_ms)
            case "stale":
                return NO_REST
            case _:
                raise _LaneLostError
        sent = self._send(lane, sync, launch, begun, call_ms)
        answered = isinstance(sent.answer, CountdownSet)
        if self._ways.learn(hold.name, sent.took_ms, call_ms, longest_ms, answered=answered):
            self._yield(hold, sync, terms)
        if not isinstance(sent.answer, CountdownSet):
            return self._failed(hold, sync, sent, call_ms)
        with self._lock:
            self._failures.pop(hold.name, None)
            if len(sync.members) == 1:
                self._alone.discard(sync.members[0][0])
        if sync.stop:
            fires_ms = 0
        elif sent.took_ms > call_ms:
            return NO_REST  # the timer may outlive the deadline: set it again, with more taken off
        else:
            waited_ms = round(sent.at - left_for_ms)
            fires_ms = launch.now_ms + waited_ms + sent.left_ms
        return self._landed(hold, sync, fires_ms, call_ms, deadline_ms=launch.deadline_ms)

    def _connect(self, lane: AccountSession) -> Unproven | None:
        """Connect before a countdown is computed, which connecting would make late."""
        try:
            self._transport.connect(
                lane.access.base_url,
                egress_ip=lane.egress_ip,
                deadline_ms=self._settings.http.connect_ms,
            )
        except NotSent as error:
            return Unproven(Outcome.UNAVAILABLE, f"not sent: {error}")
        return None

    def _yield(self, hold: Hold, sync: Sync, terms: Terms) -> None:
        """Leave the deadlines of switches to workers, as their timers cannot be kept."""
        lane = hold.lane
        shortest_ms = shortest_native_ms(terms, self._ways.call_ms(hold.name))
        self._switches.give_up_timers(
            hold.name, hold.holder, shortest_ms, SLOW_KEPT_MS, sync.members
        )
        log.warning(
            "the exchange answers too slowly for the timers of %s: workers hold the deadline",
            ", ".join(sync.pairs),
            extra={"account": lane.alias, "exchange": lane.exchange.name},
        )

    def _landed(
        self, hold: Hold, sync: Sync, fires_ms: int, call_ms: int, *, deadline_ms: int
    ) -> Rest | None:
        """Record what is known once the exchange has taken a request."""
        times = hold.fires[sync.members]
        times.append(fires_ms)
        if not sync.last:
            hold.parts[sync.members, sync.stop, sync.pairs] = fires_ms
        elif len(times) > 1 and max(times) > deadline_ms and not sync.stop:
            return NO_REST  # the deadline was moved closer after the first parts were set
        elif sync.stop and sync.members[0][0] in hold.short:
            # A timer that was set before its pair was refused is not stopped by this.
            return _put_off((sync.members[0][0],), REFUSED_MS, BACKOFF_MAX_MS)
        else:
            self._switches.synced(hold.name, hold.holder, min(times), sync.members, way_ms=call_ms)
        return None

    def _send(
        self, lane: AccountSession, sync: Sync, launch: Launch, begun: float, call_ms: int
    ) -> Sent:
        """Stamp, sign and send; the answer is None if the leave was given up."""
        left_ms, at = 0, begun
        try:
            nonce = self._nonces.allocate(lane.access.api_key) if lane.uses_nonce else None
            window_ms = terms_of(lane).window_ms(call_ms)
            stamp = Stamp(now_ms=lane.skew.now_ms(), nonce=nonce, window_ms=window_ms)
            at = clock.monotonic_ms()
            if at - begun > LAUNCH_MAX_MS:
                self._limiter.landed(launch.grant, sent=False)
                return Sent(None)
            if not sync.stop:
                # The leave may have been given at the moment it was asked for.
                now_ms = launch.now_ms + round(at - begun)
                left_ms = countdown_ms(launch.deadline_ms, now_ms, call_ms)
            command = SetCountdown(sync.pairs, left_ms)
            request = lane.exchange.sign(command, lane.access, stamp)
            sent_ms = clock.now_ms()
            reply = self._transport.send(
                request,
                egress_ip=lane.egress_ip,
                deadline_ms=round(at + call_ms - clock.monotonic_ms()),
            )
        except InvalidCommand as error:
            self._limiter.landed(launch.grant, sent=False)
            return Sent(Unproven(Outcome.REJECTED, str(error)))
        except NotSent as error:
            self._limiter.landed(launch.grant, sent=False)
            answer = Unproven(Outcome.UNAVAILABLE, f"not sent: {error}")
            return Sent(answer, at=at, took_ms=clock.monotonic_ms() - at)
        except ReplyLost as error:
            answer = Unproven(Outcome.UNKNOWN, f"no reply: {error}")
            return Sent(answer, at=at, took_ms=clock.monotonic_ms() - at)
        took_ms = clock.monotonic_ms() - at
        self._limiter.landed(launch.grant)
        lane.learn_clock(reply, sent_ms=sent_ms)
        return Sent(lane.read(command, reply), left_ms, at, took_ms)

    def _failed(self, hold: Hold, sync: Sync, sent: Sent, call_ms: int) -> Rest:
        lane, lane_name, answer = hold.lane, hold.name, sent.answer
        context = {"account": lane.alias, "exchange": lane.exchange.name}
        if answer is None:
            log.warning("Redis is slow: a countdown was too old to be sent", extra=context)
            return Rest(pause_ms=self._backoff_ms(lane_name))
        if not isinstance(answer, Unproven):
            answer = Unproven(Outcome.UNKNOWN, "an answer out of place")
        detail = f"countdown of {', '.join(sync.pairs)}: {answer.detail or answer.outcome}"
        log.warning(detail, extra={**context, "outcome": answer.outcome})
        if answer.nonce_floor is not None:
            self._nonces.raise_above(lane.access.api_key, answer.nonce_floor)
            metrics.nonce_refused(lane.exchange.name, lane.alias)
            alert("nonce refused", "a nonce was refused; the sequence was raised", **context)
            return NO_REST
        members = tuple(switch_id for switch_id, _ in sync.members)
        match answer.outcome:
            case _ if answer.clock_refused:
                lane.tell_clock_refused()
                return Rest(pause_ms=self._backoff_ms(lane_name))  # the next timestamp is mended
            case Outcome.UNKNOWN if not lane.uses_nonce:
                # It may yet arrive, and must not do so after the next one.
                flight_ms = terms_of(lane).flight_ms(call_ms) - LAUNCH_MAX_MS
                left_ms = round(flight_ms - (clock.monotonic_ms() - sent.at))
                return Rest(pause_ms=max(self._backoff_ms(lane_name), left_ms), quiet=True)
            case Outcome.THROTTLED:
                asked_ms = min(answer.retry_after_ms or THROTTLED_MS, THROTTLED_MAX_MS)
                return Rest(pause_ms=max(self._backoff_ms(lane_name), asked_ms))
            case Outcome.UNAUTHORIZED:
                alert("lost account", f"switch not armed: {detail}", **context)
                return Rest(pause_ms=max(self._backoff_ms(lane_name), THROTTLED_MS))
            case Outcome.REJECTED if len(members) > 1:
                # One of them may be at fault for all: for now each by itself.
                with self._lock:
                    self._alone.update(members)
                return NO_REST
            case Outcome.REJECTED:
                return self._refused(hold, sync, answer.detail, context)
            case _:
                return _put_off(members, BACKOFF_MS, BACKOFF_MAX_MS)

    def _refused(self, hold: Hold, sync: Sync, said: str, context: Mapping[str, str]) -> Rest:
        """Put the switch off, and leave out the pairs at fault where they are named."""
        ((switch_id, _),) = sync.members
        with self._lock:
            aside = self._refusals.learn(hold.known[switch_id], said, now_ms=clock.monotonic_ms())
        pairs = ", ".join(aside or sync.pairs)
        alert(
            "switch not armed", f"the exchange refuses the countdown of {pairs}: {said}", **context
        )
        longest_ms = BACKOFF_MAX_MS if aside else REFUSED_MAX_MS
        return _put_off((switch_id,), REFUSED_MS, longest_ms)

    def _backoff_ms(self, lane_name: str) -> int:
        with self._lock:
            failures = self._failures[lane_name] = self._failures.get(lane_name, 0) + 1
        return _jittered(min(BACKOFF_MAX_MS, BACKOFF_MS << min(failures - 1, 10)))


def terms_of(lane: AccountSession) -> Terms:
    """Return how an account's countdown requests go."""
    rules = lane.rules_for(SetCountdown((), 0))
    steps = [rule.window_ms // rule.max_requests for rule in rules]
    return Terms(nonce=lane.uses_nonce, step_ms=max(steps, default=0))


def _put_off(members: tuple[str, ...], first_ms: int, longest_ms: int) -> Rest:
    """Leave others their turn before these are tried again."""
    return Rest(failed=members, first_ms=_jittered(first_ms), longest_ms=_jittered(longest_ms))


def _jittered(bound_ms: int) -> int:
    return random.randint(bound_ms // 2, bound_ms)  # noqa: S311  jitter
