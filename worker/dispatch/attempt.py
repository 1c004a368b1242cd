"""One attempt, top to bottom.

The job has been admitted (leased) and the thread counted in its bulkhead. Here:
token → rate slot → nonce → sign → send → classify → decide. What the attempt
came to is returned, not recorded: the dispatcher settles it with the ledger.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import tenacity

from worker import clock
from worker.config.settings import Settings
from worker.dispatch.completion import Attempted, attempted
from worker.errors import InvalidCommand, LaterFormat, NotSent, ReplyLost, StoreUnavailable
from worker.exchanges.base import Stamp
from worker.gateway.account import AccountSession, AccountSessions
from worker.gateway.http.transport import Transport
from worker.gateway.ports import Ports
from worker.gateway.tokens import Bearers, NoToken, Wait
from worker.model.commands import CancelOrders, Command, FetchToken
from worker.model.decisions import Dead, Decision
from worker.model.jobs import Job, Kind
from worker.model.limits import Grant
from worker.model.outcomes import Answer, ClosedMany, OpenOrders, Outcome, Unproven
from worker.model.settlements import Settlement, Verb
from worker.model.tokens import SharedToken
from worker.model.wire import Reply, Request
from worker.policy.batching import answer_to, together
from worker.policy.phases import asking_phase, command_of, next_phase
from worker.policy.retries import decide
from worker.policy.scopes import LISTED, closed_scope, emptied, listed
from worker.telemetry import metrics
from worker.telemetry.alerts import alert

log = logging.getLogger(__name__)

SETTLE_MARGIN_MS = 300
"""Part of a lease kept for recording what the attempt came to."""
OVERTAKEN = "the scope was armed again; the orders found at the deadline have jobs of their own"
UNASKED = Unproven(Outcome.UNKNOWN)
RETRY_WAIT_S = 0.05
RETRY_WAIT_MAX_S = 0.4


class AttemptRunner:
    """Carries out attempts for the accounts of one process.

    Safe to use from many threads. Raises `StoreUnavailable` when what is shared
    lies in Redis and that does not answer; then nothing was done to the order:
    no request was sent, or the exchange refused it for its token or nonce.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        lanes: AccountSessions,
        shared: Ports,
        transport: Transport,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._limiter = shared.limiter
        self._nonces = shared.nonces
        self._bearers = Bearers(shared.tokens, settings.http)
        self._switches = shared.switches
        self._transport = transport
        self._rng = rng
        self._astray: set[str] = set()
        """Accounts whose requests for several orders are not understood."""

    def attempt(self, job: Job, *, now_ms: int, held_ms: int = 0) -> Attempted:
        """Make one request for a claimed job.

        Args:
            job: Leased to the caller.
            now_ms: The time on Redis's clock, or for a job that Redis knows
                nothing of, on this process's.
            held_ms: How long ago it was claimed, which is off its lease.
        """
        if job.foreign:
            raise LaterFormat(f"job {job.id} is a newer version's")
        lane = self._lanes.of(job.lane)
        started = clock.monotonic_ms()
        phase = next_phase(job, lane.exchange)
        claimed = job
        if job.sends is not phase:
            # Never attempted: so it has not been listed either.
            job = replace(job, phase=phase, streak=max(job.streak, LISTED + 1))
        if self._overtaken(claimed):
            return self._given_up(job, started=started, now_ms=now_ms)
        command = command_of(job, phase)
        lease_ms = (job.lease_ms or self._settings.jobs.lease_ms) - held_ms
        accepted = (started - (now_ms - job.created_ms),) if job.attempts == 1 else ()
        answer = self._answer(lane, command, started, lease_ms, accepted)
        if isinstance(answer, OpenOrders) and answer.orders and self._overtaken(claimed):
            # What it shows may have been placed since, while it was on its way.
            return self._given_up(job, started=started, now_ms=now_ms)
        return self._conclude(lane, job, answer, started=started, now_ms=now_ms)

    def _given_up(self, job: Job, *, started: float, now_ms: int) -> Attempted:
        """End a job whose scope is another's by now, as what is known of it has it."""
        took_ms = round(clock.monotonic_ms() - started)
        end: Decision = Dead(Outcome.UNKNOWN, OVERTAKEN)
        if emptied(job):
            end = closed_scope(job, "; it is armed again")
        return attempted(job, UNASKED, end, now_ms=now_ms, took_ms=took_ms, pause_ms=0)

    def together(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, ...]]:
        """Group claimed jobs of one account by the request that each goes in."""
        lane = self._lanes.get(jobs[0].lane)
        most = lane.bulk_max if lane and lane.alias not in self._astray else 1
        return together(jobs, most)

    def attempt_together(
        self, jobs: Sequence[Job], *, now_ms: int, held_ms: int = 0
    ) -> list[Attempted]:
        """Make one request for jobs that `together` has grouped; arguments as for `attempt`.

        Returns:
            What came of it for each, in order.
        """
        if len(jobs) == 1:
            return [self.attempt(jobs[0], now_ms=now_ms, held_ms=held_ms)]
        lane = self._lanes.of(jobs[0].lane)
        started = clock.monotonic_ms()
        command = CancelOrders(tuple(job.order_id or "" for job in jobs))
        lease_ms = min(job.lease_ms or self._settings.jobs.lease_ms for job in jobs) - held_ms
        accepted = tuple(started - (now_ms - job.created_ms) for job in jobs)
        answer = self._answer(lane, command, started, lease_ms, accepted)
        if isinstance(answer, ClosedMany) and answer.others:
            self._astray.add(lane.alias)
            alert(
                "canceled unasked",
                f"a cancel of {len(jobs)} orders named {answer.others} others as canceled; "
                "from now on each order has a request of its own",
                account=lane.alias,
                exchange=lane.exchange.name,
            )
        return [
            self._conclude(
                lane,
                job,
                answer if isinstance(answer, Wait | NoToken) else answer_to(job, answer),
                started=started,
                now_ms=now_ms,
            )
            for job in jobs
        ]

    def _conclude(
        self,
        lane: AccountSession,
        job: Job,
        answer: Answer | Wait | NoToken,
        *,
        started: float,
        now_ms: int,
    ) -> Attempted:
        """Decide what follows from an answer."""
        pause_ms, no_token = 0, isinstance(answer, NoToken)
        if isinstance(answer, Wait):
            return Attempted(Settlement(Verb.WAIT, pause_ms=answer.pause_ms))
        if isinstance(answer, NoToken):
            pause_ms, answer = answer.pause_ms, answer.answer
        took_ms = round(clock.monotonic_ms() - started)
        decision = decide(
            job,
            answer,
            asks=asking_phase(job, lane.exchange) if isinstance(answer, Unproven) else None,
            now_ms=now_ms + took_ms,
            jobs=self._settings.jobs,
            rng=self._rng,
        )
        return attempted(
            job,
            answer,
            decision,
            now_ms=now_ms,
            took_ms=took_ms,
            pause_ms=pause_ms,
            no_token=no_token,
        )

    def _overtaken(self, job: Job) -> bool:
        """Whether a tripped switch's scope is armed again, its orders once listed.

        Those are being canceled one by one, if there were any. Another list would show
        orders that the strategy has placed since.
        """
        tripped = job.urgent and job.kind is Kind.CANCEL_ALL and job.pair is not None
        known = tripped and (listed(job) or emptied(job))
        return known and bool(self._switches.owners(job.lane, [job.pair or ""]))

    def _answer(
        self,
        lane: AccountSession,
        command: Command,
        started: float,
        lease_ms: int,
        accepted: tuple[float, ...],
    ) -> Answer | Wait | NoToken:
        shared: SharedToken | None = None
        if lane.exchange.capabilities.needs_token:
            fetch = partial(self._send, lane, FetchToken(), started, token=None, lease_ms=lease_ms)
            found = self._bearers.get(lane, lease_ms=lease_ms, fetch=fetch)
            if not isinstance(found, SharedToken):
                return found
            shared = found
        bearer = shared.token if shared else None
        answer = self._send(
            lane, command, started, token=bearer, lease_ms=lease_ms, accepted=accepted
        )
        if isinstance(answer, Unproven):
            if answer.token_refused and shared is not None:
                self._bearers.drop(lane, shared)
            if answer.clock_refused:
                lane.tell_clock_refused()
            if answer.nonce_floor is not None:
                self._nonces.raise_above(lane.access.api_key, answer.nonce_floor)
                metrics.nonce_refused(lane.exchange.name, lane.alias)
                alert(
                    "nonce refused",
                    "the exchange refused a nonce; the sequence was moved above its own",
                    account=lane.alias,
                    exchange=lane.exchange.name,
                )
        return answer

    def _send(
        self,
        lane: AccountSession,
        command: Command,
        started: float,
        *,
        token: str | None,
        lease_ms: int,
        accepted: tuple[float, ...] = (),
    ) -> Answer | Wait:
        """Reserve, stamp, sign, send, read: in this order, with nothing in between."""
        http = self._settings.http
        until_ms = started + lease_ms - SETTLE_MARGIN_MS
        left_ms = round(until_ms - clock.monotonic_ms())
        if left_ms <= 0:
            return Unproven(Outcome.UNAVAILABLE, "not sent: no time left")
        flight_ms = min(left_ms, http.deadline_ms + http.resend_budget_ms)
        # Past that the slot counts no more, though it has not been used.
        until_ms = min(until_ms, clock.monotonic_ms() + flight_ms)
        grant = self._limiter.reserve(lane.rules_for(command), flight_ms=flight_ms)
        if grant.wait_ms:
            metrics.held_back(grant.keys, grant.wait_ms)
            return Wait(grant.wait_ms)
        nonce = self._nonces.allocate(lane.access.api_key) if lane.uses_nonce else None
        stamp = Stamp(now_ms=lane.skew.now_ms(), nonce=nonce, token=token)
        try:
            request = lane.exchange.sign(command, lane.access, stamp)
        except InvalidCommand as error:
            self._landed(grant, sent=False)
            return Unproven(Outcome.REJECTED, str(error), final=True)
        sent_ms = clock.now_ms()
        metrics.leaving(lane.exchange.name, accepted)
        try:
            reply = self._deliver(lane, request, until_ms)
        except NotSent as error:
            self._landed(grant, sent=False)
            return Unproven(Outcome.UNAVAILABLE, f"not sent: {error}")
        except ReplyLost as error:
            return Unproven(Outcome.UNKNOWN, f"no reply: {error}")
        self._landed(grant)
        lane.learn_clock(reply, sent_ms=sent_ms)
        return lane.read(command, reply, token=token)

    def _deliver(self, lane: AccountSession, request: Request, until_ms: float) -> Reply:
        """Send; again within a small budget, and only while it surely never left."""
        begun = clock.monotonic_ms()
        failed: list[NotSent] = []
        try:
            return self._send_once(lane, request, until_ms, begun)
        except NotSent as error:
            failed.append(error)
        # Only now: what tenacity does about one that goes out at once costs as much as signing it.

        def again() -> Reply:
            if failed:
                raise failed.pop()
            return self._send_once(lane, request, until_ms, clock.monotonic_ms())

        budget_ms = self._settings.http.resend_budget_ms - (clock.monotonic_ms() - begun)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NotSent),
            stop=tenacity.stop_before_delay(budget_ms / 1_000),
            wait=tenacity.wait_random_exponential(multiplier=RETRY_WAIT_S, max=RETRY_WAIT_MAX_S),
            sleep=lambda seconds: clock.sleep_ms(seconds * 1_000),
            reraise=True,
        )
        return retrying(again)

    def _send_once(
        self, lane: AccountSession, request: Request, until_ms: float, at_ms: float
    ) -> Reply:
        left_ms = round(min(self._settings.http.deadline_ms, until_ms - at_ms))
        if left_ms <= 0:
            raise NotSent("no time left")
        return self._transport.send(request, egress_ip=lane.egress_ip, deadline_ms=left_ms)

    def _landed(self, grant: Grant, *, sent: bool = True) -> None:
        try:
            self._limiter.landed(grant, sent=sent)
        except StoreUnavailable:
            log.warning("Redis is away: a rate slot stays taken for longer than it need be")
