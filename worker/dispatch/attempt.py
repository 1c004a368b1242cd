"""One attempt: from a leased job to the decision that follows from the exchange's answer.

The job has been admitted (leased), and its thread is within the exchange's limit. The
result is returned, not recorded: the dispatcher settles it with the ledger.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from worker import clock
from worker.config.settings import Jobs, Settings
from worker.errors import LaterFormat
from worker.exchanges.base import Exchange
from worker.gateway.account import AccountSession, AccountSessions
from worker.gateway.exchange_client import ExchangeClient
from worker.gateway.http.transport import Transport
from worker.gateway.pages import read_pages
from worker.gateway.pair_lists import PairLists
from worker.gateway.ports import Ports
from worker.gateway.tokens import NoToken, Wait
from worker.model.commands import CancelOrders, Command, ListOpenOrders, ListStopOrders
from worker.model.constants import EVERYTHING
from worker.model.decisions import Dead, Decision, PutBack
from worker.model.jobs import Job, Kind
from worker.model.outcomes import Answer, CancelAccepted, ClosedMany, OpenOrders, Outcome, Unproven
from worker.model.settlements import Settlement
from worker.model.switch_scopes import scope_items
from worker.policy.batching import answer_to, together
from worker.policy.pair_proofs import PairDoubt, doubt_of, lists_pairs, shown
from worker.policy.phases import (
    asking_phase,
    command_of,
    next_phase,
    repeated_phase,
    takes_apart,
    unasked,
)
from worker.policy.retries import decide
from worker.policy.scopes import closed_scope
from worker.policy.settling import settlement_of
from worker.telemetry.alerts import alert

SETTLE_MARGIN_MS = 300
"""Part of a lease kept for recording the attempt."""
OVERTAKEN = "the scope was armed again; the orders found at the deadline have jobs of their own"
OPEN_ENDED = (Unproven, CancelAccepted)
"""Answers after which the exchange may be asked about the order."""
NO_ASSET = Unproven(Outcome.UNAVAILABLE, "not sent: the pair's asset id is not known yet")
Ask = Callable[[Command], Answer | Wait | NoToken]
UNASKED = Unproven(Outcome.UNKNOWN)


class AttemptRunner:
    """Carries out attempts for the accounts of one process.

    Safe to use from many threads. Raises `StoreUnavailable` if Redis does not answer;
    then nothing was done to the order: no request was sent, or the exchange refused its
    token or its nonce.

    Args:
        settings: The budgets of a job and of a request.
        lanes: The accounts.
        shared: Rate slots, nonces, tokens and scopes: in Redis, or of this process.
        transport: Carries the requests.
        rng: For the jitter of retries.
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
        self.client = ExchangeClient(shared, transport, settings.http)
        self.pair_lists = PairLists(shared.pairs, self.client)
        self._switches = shared.switches
        self._rng = rng
        self._jobs: dict[str, Jobs] = {}
        self._astray: set[str] = set()
        """Accounts whose cancels of several orders named orders that were not asked for."""

    def attempt(self, job: Job, *, now_ms: int, held_ms: int = 0) -> Settlement:
        """Make one request for a claimed job.

        Args:
            job: Leased to the caller.
            now_ms: Redis time; for a job that is not in Redis, this process's.
            held_ms: How long ago the job was claimed; the lease is shorter by as much.
        """
        if job.foreign:
            raise LaterFormat(f"job {job.id} is a newer version's")
        lane = self._lanes.of(job.lane)
        started = clock.monotonic_ms()
        phase = next_phase(job, lane.exchange)
        if lane.site in self.pair_lists.books:
            job = self._respelled(lane, job)
        claimed = job
        if job.sends is not phase:
            job = replace(job, phase=phase)
        if self._overtaken(claimed):
            return self._given_up(job, started=started, now_ms=now_ms)
        command = command_of(job, phase)
        accepted = (started - (now_ms - job.created_ms),) if job.attempts == 1 else ()
        until_ms = started + self._left_ms([job], held_ms)
        plain = partial(
            self.client.ask, lane, until_ms=until_ms, accepted=accepted, nonce=job.nonce
        )
        needs_asset = lane.exchange.capabilities.needs_asset
        ask: Ask = self._with_asset(lane, command, plain, until_ms) if needs_asset else plain
        doubt = None
        if isinstance(command, ListOpenOrders | ListStopOrders):
            traits = lane.exchange.capabilities
            hasty = traits.pages_apart and job.attempts == 1
            answer = read_pages(
                ask, command, until_ms=until_ms, shift=traits.pages_shift, hasty=hasty
            )
            doubt = self._doubt(lane, job, answer, until_ms=until_ms)
        else:
            answer = ask(command)
        if isinstance(answer, OpenOrders) and answer.orders and self._overtaken(claimed):
            # The strategy may have placed these orders while the list was on its way.
            return self._given_up(job, started=started, now_ms=now_ms)
        return self._conclude(lane, job, answer, started=started, now_ms=now_ms, doubt=doubt)

    def _respelled(self, lane: AccountSession, job: Job) -> Job:
        """Return a job with its pair as the exchange's list of pairs has it, if that is known."""
        book = self.pair_lists.known(lane)
        if book is None or not job.pair:
            return job
        found = book.find(job.pair, lane.exchange.capabilities.spelling)
        return job if found is None or found.pair == job.pair else replace(job, pair=found.pair)

    def _with_asset(
        self,
        lane: AccountSession,
        command: Command,
        ask: partial[Answer | Wait | NoToken],
        until_ms: float,
    ) -> Ask:
        """Return `ask` with the asset id of a command's pair.

        A pair that is not known is looked for in a newer list; if it is not there, its command
        is not sent.
        """
        pair: object = getattr(command, "pair", None)
        if not isinstance(pair, str):
            return ask
        if named := lane.exchange.capabilities.asset_in(pair):
            return partial(ask, asset=named)
        for look in (self.pair_lists.shared, partial(self.pair_lists.fetch, until_ms=until_ms)):
            book = look(lane)
            found = book.find(pair, lane.exchange.capabilities.spelling) if book else None
            if found is not None and found.asset:
                return partial(ask, asset=found.asset)
        return lambda _: NO_ASSET

    def _doubt(
        self,
        lane: AccountSession,
        job: Job,
        answer: Answer | Wait | NoToken,
        *,
        until_ms: float,
    ) -> PairDoubt | None:
        """Return why an empty list proves nothing; None if it does, or is none.

        Before a pair counts as one that the exchange does not have, the exchange's list is
        fetched again: the pair may have been listed since.
        """
        empty = isinstance(answer, OpenOrders) and answer.complete and not answer.orders
        if not empty or job.kind is not Kind.CANCEL_ALL or shown(job, lane.exchange):
            return None
        book = self.pair_lists.shared(lane) if lists_pairs(lane.exchange) else None
        doubt = doubt_of(job, lane.exchange, book)
        if doubt is None or not lists_pairs(lane.exchange):
            return doubt
        book = self.pair_lists.shared(lane, newer_than_ms=job.created_ms)
        if book is None or book.fetched_ms <= job.created_ms:
            book = self.pair_lists.fetch(lane, until_ms=until_ms) or book
        return doubt_of(job, lane.exchange, book)

    def _given_up(self, job: Job, *, started: float, now_ms: int) -> Settlement:
        """End a job whose scope belongs to another switch, with what is known of it."""
        took_ms = round(clock.monotonic_ms() - started)
        end: Decision = Dead(Outcome.UNKNOWN, OVERTAKEN)
        if job.empty:
            lane = self._lanes.get(job.lane)
            words = unasked(job, lane.exchange) if lane is not None else ""
            end = closed_scope(job, "; it is armed again", unasked=words)
        return settlement_of(job, UNASKED, end, now_ms=now_ms, took_ms=took_ms)

    def together(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, ...]]:
        """Group claimed jobs of one account, each group for one request."""
        lane = self._lanes.get(jobs[0].lane)
        most = lane.bulk_max if lane and lane.alias not in self._astray else 1
        return together(jobs, most)

    def attempt_together(
        self, jobs: Sequence[Job], *, now_ms: int, held_ms: int = 0
    ) -> list[Settlement]:
        """Make one request for jobs that `together` has grouped; arguments as for `attempt`.

        Returns:
            The result for each job, in order.
        """
        lane = self._lanes.of(jobs[0].lane)
        started = clock.monotonic_ms()
        command = CancelOrders(tuple(job.order_id or "" for job in jobs))
        accepted = tuple(started - (now_ms - job.created_ms) for job in jobs)
        until_ms = started + self._left_ms(jobs, held_ms)
        answer = self.client.ask(lane, command, until_ms=until_ms, accepted=accepted)
        if isinstance(answer, ClosedMany) and answer.others:
            self._astray.add(lane.alias)
            alert(
                "unrequested cancel",
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
        doubt: PairDoubt | None = None,
    ) -> Settlement:
        """Decide what follows from an answer."""
        pause_ms, no_token = 0, isinstance(answer, NoToken)
        if isinstance(answer, Wait):
            return Settlement(job, PutBack(), pause_ms=answer.pause_ms)
        if isinstance(answer, NoToken):
            pause_ms, answer = answer.pause_ms, answer.answer
        took_ms = round(clock.monotonic_ms() - started)
        decision = decide(
            job,
            answer,
            asks=asking_phase(job, lane.exchange) if isinstance(answer, OPEN_ENDED) else None,
            now_ms=now_ms + took_ms,
            jobs=self._jobs_of(lane.exchange),
            rng=self._rng,
            stops=takes_apart(job, lane.exchange),
            past=lane.exchange.capabilities.asks_past,
            repeats=repeated_phase(job, lane.exchange),
            doubt=doubt,
            unasked=unasked(job, lane.exchange),
        )
        return settlement_of(
            job,
            answer,
            decision,
            now_ms=now_ms,
            took_ms=took_ms,
            pause_ms=pause_ms,
            no_token=no_token,
        )

    def _left_ms(self, jobs: Sequence[Job], held_ms: int) -> int:
        """Return how long a request for these jobs may take, claimed so long ago."""
        lease_ms = min(job.lease_ms or self._settings.jobs.lease_ms for job in jobs)
        return lease_ms - held_ms - SETTLE_MARGIN_MS

    def _jobs_of(self, exchange: Exchange) -> Jobs:
        """Return the budgets of a job on an exchange."""
        if exchange.name not in self._jobs:
            self._jobs[exchange.name] = self._settings.jobs.on(exchange.capabilities.missing_max_ms)
        return self._jobs[exchange.name]

    def _overtaken(self, job: Job) -> bool:
        """Return whether a tripped switch's scope, once listed, is armed again.

        The listed orders have jobs of their own. Another list would show orders that the
        strategy has placed since.
        """
        tripped = job.tripped and job.kind is Kind.CANCEL_ALL
        known = tripped and (job.listed or job.empty)
        (item,) = scope_items([job.pair or EVERYTHING], job.client_id_prefix)
        return known and bool(self._switches.owners(job.lane, [item]))
