"""What producers ask of Redis, as procedures: `Producer` and `AsyncProducer` carry them.

A verb that comes or changes is written here once; see `worker.store.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from worker.client.arming import HeldSwitchT, Scope, arming_switch
from worker.client.bells import bells
from worker.client.commands import cancel_of_all, cancels, one_order
from worker.client.finding import finding_switch, named_switch
from worker.client.pair_names import naming_pairs
from worker.client.replays import check_replay, refuse_replay, replaying
from worker.config.aliases import announced_exchange, unknown_account
from worker.config.client_settings import ProducerSettings
from worker.errors import InvalidCommand, UnknownAccount
from worker.exchanges.base import Exchange
from worker.model.jobs import Job, NewJob, State
from worker.model.messages import DRAIN
from worker.model.names import exchange_of
from worker.model.settlements import Accepted
from worker.store.doorbell import URGENT, ring
from worker.store.job_steps import accepting, reading_accounts, reading_job, retiring
from worker.store.steps import Steps

TicketT = TypeVar("TicketT")


@dataclass(frozen=True, slots=True)
class Kinds(Generic[TicketT, HeldSwitchT]):
    """What a producer returns.

    Attributes:
        ticket: Makes a ticket: job id, account, order id, fresh, client order id.
        switch: Makes a switch, as `HeldSwitch` is made.
    """

    ticket: Callable[[str, str, str | None, bool, str | None], TicketT]
    switch: Callable[..., HeldSwitchT]


@dataclass(frozen=True, slots=True)
class Panic(Generic[TicketT]):
    """What `panic` has enqueued.

    Attributes:
        tickets: One of each account, whose job cancels all of its open orders.
        refused: By alias, why an account's orders cannot be canceled all at once, such as
            an exchange that lists open orders of one pair only. Cancel these by pair.
    """

    tickets: list[TicketT]
    refused: dict[str, str]


class Verbs(Generic[TicketT, HeldSwitchT]):
    """The verbs of one producer; see `Producer` for what each does and raises."""

    def __init__(self, settings: ProducerSettings, kinds: Kinds[TicketT, HeldSwitchT]) -> None:
        self._settings = settings
        self._kinds = kinds
        self._announced: dict[str, str] = {}

    def cancel(
        self,
        account: str,
        order_id: str | None = None,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_id: str | None = None,
    ) -> Steps[TicketT]:
        """Cancel one order."""
        names = one_order(order_id, client_order_id)
        return (yield from self.cancel_many(account, **names, pair=pair, side=side))[0]

    def cancel_many(
        self,
        account: str,
        order_ids: Sequence[str] = (),
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> Steps[list[TicketT]]:
        """Cancel several orders."""
        exchange = yield from self.exchange(account)
        jobs = cancels(
            exchange, account, order_ids, client_order_ids=client_order_ids, pair=pair, side=side
        )
        accepted = yield from accepting(jobs, bells(exchange.name, account, jobs))
        return [self._ticket(each, account, job) for each, job in zip(accepted, jobs, strict=True)]

    def check_cancels(
        self,
        account: str,
        order_ids: Sequence[str],
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> Steps[None]:
        """Raise what `cancel_many` would raise."""
        exchange = yield from self.exchange(account)
        cancels(
            exchange, account, order_ids, client_order_ids=client_order_ids, pair=pair, side=side
        )

    def cancel_all(
        self,
        account: str,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_id_prefix: str | None = None,
        stops: str = "take",
        hold_ms: int = 0,
    ) -> Steps[TicketT]:
        """Cancel all open orders of a scope."""
        exchange = yield from self.exchange(account)
        job = cancel_of_all(
            exchange,
            account,
            pair=(yield from self._pair(exchange, account, pair)),
            side=side,
            client_id_prefix=client_id_prefix,
            stops=stops,
            hold_ms=hold_ms,
        )
        bell = ring(DRAIN, {"exchange": exchange.name}, queue=exchange.name)
        (accepted,) = yield from accepting([job], [bell])
        return self._ticket(accepted, account, job)

    def check_cancel_all(
        self,
        account: str,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_id_prefix: str | None = None,
        stops: str = "take",
    ) -> Steps[None]:
        """Raise what `cancel_all` would raise."""
        exchange = yield from self.exchange(account)
        named = yield from self._pair(exchange, account, pair)
        cancel_of_all(
            exchange, account, pair=named, side=side, client_id_prefix=client_id_prefix, stops=stops
        )

    def panic(self, accounts: Sequence[str] | None = None) -> Steps[Panic[TicketT]]:
        """Cancel everything open of all accounts, or of some."""
        if isinstance(accounts, str):
            raise InvalidCommand("accounts must be a list")
        every = accounts is None
        if accounts is None:
            self._announced = yield from reading_accounts()
            accounts = sorted({*self._settings.accounts, *self._announced})
        jobs: list[tuple[str, NewJob]] = []
        refused: dict[str, str] = {}
        named = list(dict.fromkeys(accounts))
        for account in named:
            try:
                exchange = yield from self.exchange(account)
                job = cancel_of_all(exchange, account, pair=None, side=None, urgent=True)
            except UnknownAccount as error:
                if not every:
                    raise
                refused[account] = str(error)
            except InvalidCommand as error:
                refused[account] = str(error)
            else:
                jobs.append((account, job))
        queues = dict.fromkeys(exchange_of(job.lane) for _, job in jobs)
        rung = [ring(DRAIN, {"exchange": name}, queue=name, priority=URGENT) for name in queues]
        accepted = yield from accepting([job for _, job in jobs], rung)
        found = zip(accepted, jobs, strict=True)
        return Panic([self._ticket(each, account, job) for each, (account, job) in found], refused)

    def replay(self, job_id: str) -> Steps[TicketT]:
        """Enqueue the command of a dead letter again."""
        dead = yield from reading_job(job_id)
        if dead is None or dead.state is not State.DEAD:
            raise InvalidCommand("no such dead letter")
        exchange = yield from self.check_replay(dead)
        accepted = yield from replaying(dead, exchange)
        yield from retiring(dead.id, keep_ms=self._settings.jobs.retention_ms)
        return self._ticket_of(dead, accepted.id, fresh=accepted.fresh)

    def check_replay(self, dead: Job) -> Steps[Exchange]:
        """Return the exchange that a replay would use."""
        refuse_replay(dead)
        exchange = yield from self.exchange(dead.account)
        check_replay(dead, exchange)
        return exchange

    def arm(
        self,
        account: str,
        *,
        pairs: Sequence[str] = (),
        order_ids: Sequence[str] = (),
        client_order_ids: Sequence[str] = (),
        client_id_prefix: str | None = None,
        stops: str = "take",
        everything: bool = False,
        timeout_ms: int,
        name: str | None = None,
        replace: bool = False,
        clear_wait_ms: int = 0,
    ) -> Steps[HeldSwitchT]:
        """Arm a switch."""
        exchange = yield from self.exchange(account)
        return (
            yield from arming_switch(
                self._kinds.switch,
                self._settings,
                exchange,
                account,
                scope=Scope(
                    pairs, order_ids, client_order_ids, client_id_prefix, everything, stops
                ),
                timeout_ms=timeout_ms,
                clear_wait_ms=clear_wait_ms,
                name=name,
                replace=replace,
            )
        )

    def switch(
        self,
        switch_id: str | None = None,
        *,
        name: str | None = None,
        account: str | None = None,
        epoch: int = 0,
    ) -> Steps[HeldSwitchT]:
        """Return a switch armed elsewhere."""
        if switch_id is None:
            if name is None or account is None:
                raise InvalidCommand("give the id of a switch, or its name and its account")
            exchange = yield from self.exchange(account)
            switch_id = yield from named_switch(exchange, account, name)
        return (yield from finding_switch(self._kinds.switch, switch_id, epoch=epoch))

    def ticket(self, job_id: str) -> Steps[TicketT | None]:
        """Return the ticket of an accepted job."""
        job = yield from reading_job(job_id)
        return self._ticket_of(job, job.id, fresh=False) if job is not None else None

    def exchange(self, account: str) -> Steps[Exchange]:
        """Return the exchange of an account: by the settings, else as workers registered it."""
        if not isinstance(account, str):
            raise UnknownAccount(unknown_account(account, self._settings.accounts))
        known = self._settings.accounts.get(account)
        if known is not None:
            return known.adapter
        if account not in self._announced:
            self._announced = yield from reading_accounts()
        try:
            return announced_exchange(account, self._announced, self._settings.accounts)
        except UnknownAccount:
            self._announced = {}
            raise

    def _pair(self, exchange: Exchange, account: str, pair: str | None) -> Steps[str | None]:
        """Return a scope's pair in the one spelling that is used inside."""
        if not isinstance(pair, str):
            return pair
        (named,) = yield from naming_pairs(exchange, account, [pair])
        return named

    def _ticket(self, accepted: Accepted, account: str, job: NewJob) -> TicketT:
        return self._kinds.ticket(
            accepted.id, account, job.order_id or None, accepted.fresh, job.client_order_id or None
        )

    def _ticket_of(self, job: Job, job_id: str, *, fresh: bool) -> TicketT:
        return self._kinds.ticket(job_id, job.account, job.order_id, fresh, job.client_order_id)
