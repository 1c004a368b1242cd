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
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from worker import clock, metrics
from worker.alerts import alert
from worker.commands import SetCountdown
from worker.countdowns import Sync, Way, countdown_ms, plan
from worker.errors import InvalidCommand, NotSent, ReplyLost
from worker.exchanges.base import Stamp
from worker.lane import Lane, Lanes
from worker.names import exchange_of
from worker.outcomes import Answer, CountdownSet, Outcome, Unproven
from worker.refusals import Refusals
from worker.retries import THROTTLED_MAX_MS
from worker.settings import Settings
from worker.store.limiter import Limiter
from worker.store.nonces import Nonces
from worker.store.switches import NO_REST, Launch, NativeSwitch, Rest, Switches
from worker.transport import Transport

log = logging.getLogger(__name__)

TEND_MS = 3_000
"""How long the lane is held for each request; as in `lanes.lua`."""
HTTP_MARGIN_MS = 500
LAUNCH_MAX_MS = 500
"""A leave to send that was asked for longer ago than this is given up, as others
wait for it. What it took is taken off the countdown."""
WAY_DECAY = 0.9
"""How the longest way to an exchange is forgotten with each reply."""
AHEAD_MAX_MS = 1_000
"""How far ahead of the exchange's clock a timestamp may be and yet be taken."""
BACKOFF_MS = 200
BACKOFF_MAX_MS = 5_000
REFUSED_MS = 1_000
REFUSED_MAX_MS = 30_000
"""What is refused for good costs a slot each time that it is tried again."""
THROTTLED_MS = 1_000


LAG_SHARE = 4
"""As in `switches.lua`: a timer that lags by that part of its timeout is renewed."""
PARTS_MS = 12_000
"""How long what a turn has sent of a long list counts in the next: a window, and the way."""


Members = tuple[tuple[str, int], ...]
Part = tuple[Members, bool, tuple[str, ...]]
"""The switches and their epochs, whether it stops the timer, the pairs."""


class _LaneLostError(Exception):
    """The lane is another's by now."""


@dataclass(frozen=True, slots=True)
class _Hold:
    """A lane in hand.

    Attributes:
        known: Its switches, by id.
        short: Those of them that are asked for without a pair that was refused.
        parts: Those of long lists of pairs that are done, here or in the turn
            before, and when their timers fire (0: stopped).
        fires: When the timers fire that the parts of a list of pairs have set, by
            the switches they are for.
    """

    lane: Lane
    name: str
    holder: str
    known: Mapping[str, NativeSwitch]
    short: Collection[str]
    parts: dict[Part, int]
    fires: dict[Members, list[int]] = field(default_factory=lambda: defaultdict(list))

    def stands(self, sync: Sync) -> bool:
        """Whether this part of a long list is done, and its timer still near the deadline."""
        fires_ms = self.parts.get((sync.members, sync.stop, sync.pairs))
        if fires_ms is None or sync.last:
            return False
        if not sync.stop:
            for switch_id, _ in sync.members:
                switch = self.known[switch_id]
                if not 0 <= switch.deadline_ms - fires_ms < switch.timeout_ms / LAG_SHARE:
                    return False
            self.fires[sync.members].append(fires_ms)
        return True


@dataclass(frozen=True, slots=True)
class _Sent:
    """What came of one request.

    Attributes:
        answer: None if it was not sent.
        left_ms: What the timer was set to.
        at: When it left, on the local monotonic clock.
        took_ms: From then to the reply.
    """

    answer: Answer | None
    left_ms: int = 0
    at: float = 0.0
    took_ms: float = 0.0


class Keeper:
    """Keeps the native switches of one worker's accounts."""

    def __init__(
        self,
        *,
        settings: Settings,
        lanes: Lanes,
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
        self._way_ms: dict[str, float] = {}
        """How long requests of a lane have lately taken, at most."""
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
        now_ms, switches = self._switches.survey(lane_name)
        at, parts = self._parts.pop(lane_name, (0.0, {}))
        parts = parts if clock.monotonic_ms() - at < PARTS_MS else {}
        known = {switch.id: switch for switch in switches}
        with self._lock:
            at = clock.monotonic_ms()
            asked = [self._refusals.without(switch, now_ms=at) for switch in switches]
        short = {switch.id for switch in asked if switch.pairs != known[switch.id].pairs}
        hold = _Hold(lane, lane_name, holder, known, short, parts)
        rest: Rest | None = None
        try:
            for sync in plan(
                asked,
                now_ms=now_ms,
                max_pairs=self._settings.switches.max_pairs,
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

    def _sync(self, hold: _Hold, sync: Sync) -> Rest | None:
        """Send one request; None if the exchange is in line, else no more can go now."""
        lane = hold.lane
        try:
            # Before the countdown is computed, which connecting would make late.
            self._transport.connect(
                lane.access.base_url,
                egress_ip=lane.egress_ip,
                deadline_ms=self._settings.http.connect_ms,
            )
        except NotSent as error:
            answer = Unproven(Outcome.UNAVAILABLE, f"not sent: {error}")
            return self._failed(hold, sync, answer, clock.monotonic_ms())
        # Before the leave is asked for: what holds its answer up counts too.
        begun = clock.monotonic_ms()
        rules, flight_ms = lane.rules_for(SetCountdown(sync.pairs, 0)), _flight_ms(lane)
        launch = self._switches.launch(
            lane=hold.name,
            holder=hold.holder,
            lease_ms=TEND_MS,
            urgent=sync.urgent,
            flight_ms=flight_ms,
            rules=rules,
            members=sync.members,
        )
        left_for_ms = clock.monotonic_ms()
        match launch.verdict:
            case "go":
                self._limiter.remember(launch.grant, rules, flight_ms=flight_ms)
                hold.parts.pop((sync.members, sync.stop, sync.pairs), None)
            case "wait":
                metrics.held_back([rule.key for rule in rules], launch.wait_ms)
                return Rest(pause_ms=launch.wait_ms)
            case "stale":
                return NO_REST
            case _:
                raise _LaneLostError
        timeout_ms = min(hold.known[switch_id].timeout_ms for switch_id, _ in sync.members)
        way = Way(self._settings.switches.transit_ms, self._way_ms.get(hold.name, 0.0), timeout_ms)
        sent = self._send(lane, sync, launch, begun, way)
        if not isinstance(sent.answer, CountdownSet):
            return self._failed(hold, sync, sent.answer, begun)
        with self._lock:
            self._failures.pop(hold.name, None)
            if len(sync.members) == 1:
                self._alone.discard(sync.members[0][0])
            self._way_ms[hold.name] = max(sent.took_ms, WAY_DECAY * way.lately_ms)
        if sync.stop:
            fires_ms = 0
        elif sent.took_ms > way.allowed_ms and not way.longest:
            return NO_REST  # the timer may outlive the deadline: set it again, with more taken off
        else:
            waited_ms = round(sent.at - left_for_ms)
            fires_ms = launch.now_ms + waited_ms + sent.left_ms
        return self._landed(hold, sync, fires_ms, deadline_ms=launch.deadline_ms)

    def _landed(self, hold: _Hold, sync: Sync, fires_ms: int, *, deadline_ms: int) -> Rest | None:
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
            self._switches.synced(hold.name, hold.holder, min(times), sync.members)
        return None

    def _send(self, lane: Lane, sync: Sync, launch: Launch, begun: float, way: Way) -> _Sent:
        """Stamp, sign and send; the answer is None if the leave was given up."""
        left_ms, at = 0, begun
        try:
            nonce = self._nonces.allocate(lane.access.api_key) if lane.uses_nonce else None
            stamp = Stamp(now_ms=lane.skew.now_ms(), nonce=nonce)
            at = clock.monotonic_ms()
            if at - begun > LAUNCH_MAX_MS:
                self._limiter.landed(launch.grant, sent=False)
                return _Sent(None)
            if not sync.stop:
                # The leave may have been given at the moment it was asked for.
                now_ms = launch.now_ms + round(at - begun)
                left_ms = countdown_ms(launch.deadline_ms, now_ms, way)
            command = SetCountdown(sync.pairs, left_ms)
            request = lane.exchange.sign(command, lane.access, stamp)
            sent_ms = clock.now_ms()
            reply = self._transport.send(
                request,
                egress_ip=lane.egress_ip,
                deadline_ms=min(self._settings.http.deadline_ms, TEND_MS - HTTP_MARGIN_MS),
            )
        except InvalidCommand as error:
            self._limiter.landed(launch.grant, sent=False)
            return _Sent(Unproven(Outcome.REJECTED, str(error)))
        except NotSent as error:
            self._limiter.landed(launch.grant, sent=False)
            return _Sent(Unproven(Outcome.UNAVAILABLE, f"not sent: {error}"))
        except ReplyLost as error:
            return _Sent(Unproven(Outcome.UNKNOWN, f"no reply: {error}"))
        took_ms = clock.monotonic_ms() - at
        self._limiter.landed(launch.grant)
        lane.learn_clock(reply, sent_ms=sent_ms)
        return _Sent(lane.read(command, reply), left_ms, at, took_ms)

    def _failed(self, hold: _Hold, sync: Sync, answer: Answer | None, begun: float) -> Rest:
        lane, lane_name = hold.lane, hold.name
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
                left_ms = round(_flight_ms(lane) - (clock.monotonic_ms() - begun))
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

    def _refused(self, hold: _Hold, sync: Sync, said: str, context: Mapping[str, str]) -> Rest:
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


def _flight_ms(lane: Lane) -> int:
    """Return how long after its leave a request may arrive, its sender dead or not.

    The exchange itself refuses one that comes after another with a higher
    nonce. A timestamp is good for a while, and nothing may be sent until it is
    over.
    """
    if lane.uses_nonce:
        return TEND_MS
    return max(TEND_MS, lane.exchange.capabilities.stale_ms + AHEAD_MAX_MS + LAUNCH_MAX_MS)


def _put_off(members: tuple[str, ...], first_ms: int, longest_ms: int) -> Rest:
    """Leave others their turn before these are tried again."""
    return Rest(failed=members, first_ms=_jittered(first_ms), longest_ms=_jittered(longest_ms))


def _jittered(bound_ms: int) -> int:
    return random.randint(bound_ms // 2, bound_ms)  # noqa: S311  jitter
