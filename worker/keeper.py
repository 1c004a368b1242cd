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
from collections.abc import Mapping
from dataclasses import dataclass

from worker import clock
from worker.alerts import alert
from worker.commands import SetCountdown
from worker.countdowns import Sync, countdown_ms, plan
from worker.errors import InvalidCommand, NotSent, ReplyLost
from worker.exchanges.base import Stamp
from worker.outcomes import Answer, CountdownSet, Outcome, Unproven
from worker.pipeline import Lane
from worker.settings import Settings
from worker.store.ledger import SUFFIX
from worker.store.limiter import Limiter
from worker.store.nonces import Nonces
from worker.store.switches import Launch, NativeSwitch, Switches
from worker.transport import Transport

log = logging.getLogger(__name__)

TEND_MS = 3_000
"""How long the lane is held for each request; as in `lanes.lua`."""
HTTP_MARGIN_MS = 500
LAUNCH_MAX_MS = 50
"""A leave to send that is older than this is given up: the countdown was
reckoned for the moment of the leave."""
BACKOFF_MS = 100
BACKOFF_MAX_MS = 5_000
THROTTLED_MS = 1_000


@dataclass(frozen=True, slots=True)
class _Rest:
    """No more can be sent now.

    Attributes:
        pause_ms: When to look at the lane again.
        keep_hold: Whether what shares the hold must wait too.
        lost: Whether the lane is another's already.
    """

    pause_ms: int = 0
    keep_hold: bool = False
    lost: bool = False


class Keeper:
    """Keeps the native switches of one worker's accounts."""

    def __init__(
        self,
        *,
        settings: Settings,
        lanes: Mapping[str, Lane],
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
        self._alone: set[str] = set()

    def tend(self, lane_name: str, holder: str) -> None:
        """Send what is due of a lane that `holder` holds, then give it up.

        Raises:
            StoreUnavailable: Redis did not answer. The hold runs out.
        """
        lane = self._lanes[lane_name.removesuffix(SUFFIX).partition(":")[2]]
        _, switches = self._switches.survey(lane_name)
        known = {switch.id: switch for switch in switches}
        rest = _Rest()
        for sync in plan(switches, max_pairs=self._settings.switches.max_pairs, alone=self._alone):
            failed = self._sync(lane, lane_name, holder, sync, known)
            if failed is not None:
                rest = failed
                break
        if not rest.lost:
            self._switches.rest(lane_name, holder, pause_ms=rest.pause_ms, keep_hold=rest.keep_hold)

    def tripped(self) -> None:
        """Raise an alert for each switch that has tripped.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        while switch_id := self._switches.take_tripped():
            record = self._switches.get(switch_id)
            alert(
                "switch tripped",
                f"switch {switch_id} tripped: its strategy fell silent; canceling its orders",
                account=record.account if record else "",
                exchange=record.lane.partition(":")[0] if record else "",
            )

    def _sync(
        self,
        lane: Lane,
        lane_name: str,
        holder: str,
        sync: Sync,
        known: Mapping[str, NativeSwitch],
    ) -> _Rest | None:
        """Send one request; None if the exchange is in line."""
        launch = self._switches.launch(
            lane=lane_name,
            holder=holder,
            lease_ms=TEND_MS,
            urgent=sync.urgent,
            flight_ms=TEND_MS,
            rules=lane.rules_for(SetCountdown(sync.pairs, 0)),
            members=sync.members,
        )
        match launch.verdict:
            case "go":
                pass
            case "wait":
                return _Rest(pause_ms=launch.wait_ms)
            case "stale":
                return _Rest()
            case _:
                return _Rest(lost=True)
        begun = clock.monotonic_ms()
        timeout_ms = min(known[switch_id].timeout_ms for switch_id, _ in sync.members)
        left_ms = countdown_ms(
            launch.deadline_ms,
            launch.now_ms,
            timeout_ms,
            transit_ms=self._settings.switches.transit_ms,
        )
        command = SetCountdown(sync.pairs, 0 if sync.stop else left_ms)
        answer = self._send(lane, command, launch, begun)
        if isinstance(answer, CountdownSet):
            self._failures.pop(lane_name, None)
            if sync.last:
                fires_ms = 0 if sync.stop else launch.now_ms + left_ms
                self._switches.synced(lane_name, holder, fires_ms, sync.members)
            return None
        return self._failed(lane, lane_name, sync, answer, begun)

    def _send(
        self, lane: Lane, command: SetCountdown, launch: Launch, begun: float
    ) -> Answer | None:
        """Stamp, sign and send; None if the leave was given up."""
        try:
            nonce = self._nonces.allocate(lane.access.api_key) if lane.uses_nonce else None
            stamp = Stamp(now_ms=lane.skew.now_ms(), nonce=nonce)
            request = lane.exchange.sign(command, lane.access, stamp)
            if clock.monotonic_ms() - begun > LAUNCH_MAX_MS:
                self._limiter.landed(launch.grant, sent=False)
                return None
            sent_ms = clock.now_ms()
            reply = self._transport.send(
                request,
                egress_ip=lane.egress_ip,
                deadline_ms=min(self._settings.http.deadline_ms, TEND_MS - HTTP_MARGIN_MS),
            )
        except InvalidCommand as error:
            self._limiter.landed(launch.grant, sent=False)
            return Unproven(Outcome.REJECTED, str(error))
        except NotSent as error:
            self._limiter.landed(launch.grant, sent=False)
            return Unproven(Outcome.UNAVAILABLE, f"not sent: {error}")
        except ReplyLost as error:
            return Unproven(Outcome.UNKNOWN, f"no reply: {error}")
        self._limiter.landed(launch.grant)
        lane.skew.learn(reply, sent_ms=sent_ms)
        return lane.exchange.classify(command, reply)

    def _failed(
        self, lane: Lane, lane_name: str, sync: Sync, answer: Answer | None, begun: float
    ) -> _Rest:
        if answer is None:
            return _Rest()
        if not isinstance(answer, Unproven):
            answer = Unproven(Outcome.UNKNOWN, "an answer out of place")
        context = {"account": lane.alias, "exchange": lane.exchange.name}
        detail = f"countdown of {', '.join(sync.pairs)}: {answer.detail or answer.outcome}"
        log.warning(detail, extra={**context, "outcome": answer.outcome})
        if answer.nonce_floor is not None:
            self._nonces.raise_above(lane.access.api_key, answer.nonce_floor)
            alert("nonce refused", "a nonce was refused; the sequence was raised", **context)
            return _Rest()
        pause_ms = self._backoff_ms(lane_name)
        match answer.outcome:
            case Outcome.UNKNOWN if not lane.uses_nonce:
                # It may yet arrive, and must not do so after the next one.
                spent_ms = clock.monotonic_ms() - begun
                stale_ms = round(lane.exchange.capabilities.stale_ms - spent_ms)
                return _Rest(pause_ms=max(pause_ms, stale_ms), keep_hold=True)
            case Outcome.THROTTLED:
                return _Rest(pause_ms=max(pause_ms, answer.retry_after_ms or THROTTLED_MS))
            case Outcome.REJECTED if len(sync.members) > 1:
                # One of them may be at fault for all: from now on each by itself.
                with self._lock:
                    self._alone |= {switch_id for switch_id, _ in sync.members}
                return _Rest()
            case Outcome.REJECTED | Outcome.UNAUTHORIZED:
                alert("switch not armed", f"the exchange refuses the {detail}", **context)
                return _Rest(pause_ms=max(pause_ms, THROTTLED_MS))
            case _:
                return _Rest(pause_ms=pause_ms)

    def _backoff_ms(self, lane_name: str) -> int:
        with self._lock:
            failures = self._failures[lane_name] = self._failures.get(lane_name, 0) + 1
        bound = min(BACKOFF_MAX_MS, BACKOFF_MS << min(failures, 10))
        return random.randint(bound // 2, bound)  # noqa: S311  jitter
