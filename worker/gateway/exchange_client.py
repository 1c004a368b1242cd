"""Ask an exchange something for a job: bearer token, rate slot, request, answer."""

from __future__ import annotations

import logging
from functools import partial

from worker import clock
from worker.config.settings import Http
from worker.errors import StoreUnavailable
from worker.gateway.account import AccountSession
from worker.gateway.bans import note_ban
from worker.gateway.http.transport import Transport
from worker.gateway.ports import Ports
from worker.gateway.sender import NO_TIME, Bounds, Delivery, Sender
from worker.gateway.tokens import Bearers, NoToken, Wait
from worker.model.commands import Command, FetchToken, ListPairs
from worker.model.limits import Grant
from worker.model.outcomes import Answer, Unproven
from worker.model.tokens import SharedToken
from worker.telemetry import metrics

log = logging.getLogger(__name__)


class ExchangeClient:
    """Asks for the jobs of one process. Safe to use from many threads.

    Args:
        shared: What workers share, or the threads of one process.
        transport: Carries the requests.
        http: Bounds on a request.
    """

    def __init__(self, shared: Ports, transport: Transport, http: Http) -> None:
        self._limiter = shared.limiter
        self._bearers = Bearers(shared.tokens, http)
        self._sender = Sender(shared.nonces, transport, http)
        self._http = http

    def ask(
        self,
        session: AccountSession,
        command: Command,
        *,
        until_ms: float,
        accepted: tuple[float, ...] = (),
        asset: str = "",
        nonce: str = "",
    ) -> Answer | Wait | NoToken:
        """Send a command, with a token if the exchange needs one.

        Args:
            session: Of the account.
            command: What to ask.
            until_ms: By when it ends, on the local monotonic clock.
            accepted: When the jobs were accepted whose first request this is, on the same
                clock.
            asset: As `Stamp.asset`.
            nonce: As `Job.nonce`.

        Returns:
            The answer, or why the command was not sent.

        Raises:
            StoreUnavailable: Redis did not answer. Nothing was sent, or the exchange refused
                the token or the nonce: in either case it did nothing.
        """
        if not session.exchange.capabilities.needs_token or isinstance(command, ListPairs):
            return self._send(session, command, None, until_ms, accepted, asset=asset, nonce=nonce)
        fetch = partial(self._send, session, FetchToken(), None, until_ms)
        lease_ms = round(until_ms - clock.monotonic_ms())
        if lease_ms <= 0:
            return NO_TIME
        shared = self._bearers.get(session, lease_ms=lease_ms, fetch=fetch)
        if not isinstance(shared, SharedToken):
            return shared
        answer = self._send(session, command, shared.token, until_ms, accepted, asset=asset)
        if isinstance(answer, Unproven) and answer.token_refused:
            self._bearers.drop(session, shared)
        return answer

    def _send(
        self,
        session: AccountSession,
        command: Command,
        token: str | None,
        until_ms: float,
        accepted: tuple[float, ...] = (),
        *,
        asset: str = "",
        nonce: str = "",
    ) -> Answer | Wait:
        """Take a rate slot and send; give the slot back if nothing was sent."""
        http, now_ms = self._http, clock.monotonic_ms()
        left_ms = round(until_ms - now_ms)
        if left_ms <= 0:
            return NO_TIME
        # The longest of all, so that Redis waits for the others' after it has lost its data.
        flight_ms = http.deadline_ms + http.resend_budget_ms
        grant = self._limiter.reserve(session.rules_for(command), flight_ms=flight_ms)
        if grant.wait_ms:
            metrics.held_back(grant.keys, grant.wait_ms)
            return Wait(grant.wait_ms)
        # Past its flight the slot no longer counts, though nothing was sent.
        end_by_ms = min(until_ms, now_ms + flight_ms)
        bounds = Bounds(end_by_ms, end_by_ms, http.deadline_ms, http.resend_budget_ms)
        sent = self._sender.send(
            session,
            lambda _: command,
            bounds,
            token=token,
            accepted=accepted,
            asset=asset,
            nonce=nonce,
        )
        if sent.delivery is not Delivery.LOST:
            self._landed(grant.with_left(sent.left), sent=sent.delivery is Delivery.ANSWERED)
        if isinstance(sent.answer, Unproven) and sent.answer.banned:
            note_ban(self._limiter, session, sent.answer)
        return sent.answer

    def _landed(self, grant: Grant, *, sent: bool) -> None:
        """Report when a request has arrived; the answer is valid without Redis, too."""
        try:
            self._limiter.landed(grant, sent=sent)
        except StoreUnavailable:
            log.warning("Redis is down: a rate slot stays taken until its request has expired")
