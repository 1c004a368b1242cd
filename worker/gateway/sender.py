"""Send one signed request and classify its reply: the same steps for jobs and for timers.

The caller holds a rate slot, and the account where its requests must arrive in order.
The steps: allocate a nonce, stamp, sign, send, read the reply, classify it, and correct
what the exchange refuses of a stamp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

import tenacity

from worker import clock
from worker.config.settings import Http
from worker.errors import InvalidCommand, NotSent, ReplyLost
from worker.exchanges.base import Stamp
from worker.gateway.account import AccountSession
from worker.gateway.http.transport import Transport
from worker.gateway.ports import Sequences
from worker.model.commands import Command, ListPairs
from worker.model.limits import Left
from worker.model.outcomes import Answer, Outcome, Unproven
from worker.model.wire import Reply, Request
from worker.telemetry import metrics
from worker.telemetry.alerts import alert

LIST_MAX_BYTES = 16 * 1_048_576
"""Largest list of an exchange's pairs: some have more than a thousand, each with its rules."""
RETRY_WAIT_S = 0.05
RETRY_WAIT_MAX_S = 0.4
NO_TIME = Unproven(Outcome.UNAVAILABLE, "not sent: no time left")


class Delivery(Enum):
    """How far a request got."""

    ANSWERED = "answered"
    """The exchange replied, so the request has arrived."""
    LOST = "lost"
    """It left and no reply came: it may have arrived, or may arrive yet."""
    NOT_SENT = "not sent"
    """No byte of it left."""
    EXPIRED = "expired"
    """The same: the moment by which it had to be sent had passed."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When one request may be sent. Moments are ms on the local monotonic clock.

    Attributes:
        begin_by_ms: It is not signed after this moment.
        end_by_ms: It has ended by this moment, with a reply or without.
        call_ms: How long it may take, from its stamp to the end of the reply.
        resend_ms: How long it may be sent again while no byte of it has left; 0 for never.
    """

    begin_by_ms: float
    end_by_ms: float
    call_ms: int
    resend_ms: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one request.

    Attributes:
        answer: What the reply says; without a reply, why there is none.
        delivery: How far the request got.
        at_ms: When it was stamped, on the local monotonic clock.
        took_ms: From then to the reply, or to the end of the call without one.
        left: What the reply says is left of the limits.
    """

    answer: Answer
    delivery: Delivery
    at_ms: float
    took_ms: float = 0.0
    left: Sequence[Left] = ()


class Sender:
    """Sends the requests of one process. Safe to use from many threads.

    Args:
        nonces: The sequences of the API keys.
        transport: Carries the requests.
        http: Bounds on a connection.
    """

    def __init__(self, nonces: Sequences, transport: Transport, http: Http) -> None:
        self._nonces = nonces
        self._transport = transport
        self._http = http

    def connect(self, session: AccountSession) -> Unproven | None:
        """Open a connection, so that the next request of this thread leaves at once.

        Returns:
            Why the exchange cannot be reached; None if it can.
        """
        try:
            self._transport.connect(
                session.access.base_url,
                egress_ip=session.egress_ip,
                deadline_ms=self._http.connect_ms,
            )
        except NotSent as error:
            return _not_sent(error)
        return None

    def send(
        self,
        session: AccountSession,
        command_at: Callable[[float], Command],
        bounds: Bounds,
        *,
        token: str | None = None,
        window_ms: int | None = None,
        accepted: tuple[float, ...] = (),
        asset: str = "",
        nonce: str = "",
    ) -> Sent:
        """Send one request, and read and classify its reply.

        A nonce or a timestamp that the exchange refuses is corrected for the next request,
        and raises an alert.

        Args:
            session: Of the account.
            command_at: Returns the command, given the moment of its stamp on the local
                monotonic clock.
            bounds: When it may be sent.
            token: Bearer token, where the exchange needs one.
            window_ms: For how long after its stamp the exchange may accept it; None for the
                exchange's default.
            accepted: When the jobs were accepted whose first request this is, on the local
                monotonic clock.
            asset: As `Stamp.asset`.
            nonce: What a claim has offered; see `store.nonces`.

        Raises:
            StoreUnavailable: Redis did not answer. Nothing was sent, or the exchange refused
                the nonce: in either case it did nothing.
        """
        wanted = session.uses_nonce or session.exchange.capabilities.unordered_nonce
        number = self._nonces.allocate(session.access.api_key, nonce) if wanted else None
        stamp = Stamp(session.skew.now_ms(), number, token, window_ms, asset)
        # After the stamp: a process that is stopped from here on sends a stamp that is too old.
        at_ms = clock.monotonic_ms()
        if at_ms > bounds.begin_by_ms:
            return Sent(NO_TIME, Delivery.EXPIRED, at_ms)
        command = command_at(at_ms)
        try:
            request = session.exchange.sign(command, session.access, stamp)
        except InvalidCommand as error:
            refused = Unproven(Outcome.REJECTED, str(error), final=True)
            return Sent(refused, Delivery.NOT_SENT, at_ms)
        sent_ms = clock.now_ms()
        metrics.leaving(session.exchange.name, accepted)
        try:
            most = LIST_MAX_BYTES if isinstance(command, ListPairs) else 0
            reply = self._deliver(session, request, bounds, at_ms, body_max=most)
        except NotSent as error:
            return Sent(_not_sent(error), Delivery.NOT_SENT, at_ms, clock.monotonic_ms() - at_ms)
        except ReplyLost as error:
            lost = Unproven(Outcome.UNKNOWN, f"no reply: {error}")
            return Sent(lost, Delivery.LOST, at_ms, clock.monotonic_ms() - at_ms)
        took_ms = clock.monotonic_ms() - at_ms
        session.learn_clock(reply, sent_ms=sent_ms)
        answer = session.read(command, reply, token=token)
        if isinstance(answer, Unproven):
            self._correct(session, answer)
        left = session.left(command, reply)
        return Sent(answer, Delivery.ANSWERED, at_ms, took_ms, left)

    def _correct(self, session: AccountSession, answer: Unproven) -> None:
        """Correct what the exchange refused of the stamp."""
        if answer.clock_refused:
            session.tell_clock_refused()
        if answer.nonce_floor is not None:
            self._nonces.raise_above(session.access.api_key, answer.nonce_floor)
            metrics.nonce_refused(session.exchange.name, session.alias)
            told = answer.nonce_floor > 0
            alert(
                "nonce refused",
                "the exchange refused a nonce; the next ones are above the exchange's last"
                if told
                else "the exchange refused a nonce: another program may use the same API key",
                account=session.alias,
                exchange=session.exchange.name,
            )

    def _deliver(
        self,
        session: AccountSession,
        request: Request,
        bounds: Bounds,
        at_ms: float,
        *,
        body_max: int,
    ) -> Reply:
        """Send; within a small budget again, and only while no byte has left."""
        end_by_ms = min(bounds.end_by_ms, at_ms + bounds.call_ms + bounds.resend_ms)
        begun = clock.monotonic_ms()
        send = partial(
            self._transport.send, request, egress_ip=session.egress_ip, body_max=body_max
        )
        failed: list[NotSent] = []
        try:
            left_ms = _left_ms(bounds, end_by_ms - begun)
            return send(deadline_ms=left_ms)
        except NotSent as error:
            failed.append(error)
        # Only now: tenacity's part of a request that leaves at once costs as much as signing.

        def again() -> Reply:
            if failed:
                raise failed.pop()
            left_ms = _left_ms(bounds, end_by_ms - clock.monotonic_ms())
            return send(deadline_ms=left_ms)

        budget_ms = bounds.resend_ms - (clock.monotonic_ms() - begun)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NotSent),
            stop=tenacity.stop_before_delay(budget_ms / 1_000),
            wait=tenacity.wait_random_exponential(multiplier=RETRY_WAIT_S, max=RETRY_WAIT_MAX_S),
            sleep=lambda seconds: clock.sleep_ms(seconds * 1_000),
            reraise=True,
        )
        return retrying(again)


def _left_ms(bounds: Bounds, left_ms: float) -> int:
    """Return how long a request may take now; raise `NotSent` if there is no time left."""
    whole_ms = round(min(bounds.call_ms, left_ms))
    if whole_ms <= 0:
        raise NotSent("no time left")
    return whole_ms


def _not_sent(error: NotSent) -> Unproven:
    return Unproven(Outcome.UNAVAILABLE, f"not sent: {error}")
