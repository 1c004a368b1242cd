"""What a strategy imports: enqueue cancels, wait for what came of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence

from worker.client.arming import Scope, arm_switch
from worker.client.commands import cancel_of_all, cancels
from worker.client.switch import Switch
from worker.client.ticket import Result, Ticket, read_result
from worker.config.settings import Settings, announced_exchange, load_settings, unknown_account
from worker.direct.runner import Direct
from worker.errors import InvalidCommand, SwitchUnknown, UnknownAccount
from worker.exchanges import EXCHANGES
from worker.exchanges.base import Exchange
from worker.factory import build_direct, build_store
from worker.model.jobs import Job, Kind, NewJob, State
from worker.model.messages import CANCEL, DRAIN
from worker.model.names import exchange_of
from worker.model.settlements import new_id
from worker.model.switches import SwitchRecord, why_held
from worker.policy.phases import check_cancel, check_cancel_all, spelled
from worker.store.doorbell import ring
from worker.store.ledger import Ledger
from worker.store.switches import Switches

MANY_BELLS = 8
"""Doorbells for a burst; a woken worker goes on with whatever is due."""
DIRECT_MS = 30_000
"""How long a cancel that this process sends itself is tried."""


class Producer:
    """Enqueues for the workers. Needs Redis and account aliases, no secrets.

    An account's exchange is read from the settings, else from what the workers
    have told Redis. Safe to use from many threads, and after a fork.

    Args:
        settings: Read from `worker.toml` and the environment if not given.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = load_settings() if settings is None else settings
        store = build_store(self._settings, promising=True)
        self._ledger = Ledger(store)
        self._switches = Switches(store)
        self._announced: dict[str, str] = {}
        self._direct: tuple[int, Direct] | None = None
        self._lock = threading.Lock()

    def cancel(
        self, account: str, order_id: str, *, pair: str | None = None, side: str | None = None
    ) -> Ticket:
        """Have one order taken off the book.

        Returns once Redis has recorded it; it then survives whatever dies.

        Args:
            account: Alias from the settings.
            order_id: As the exchange gave it.
            pair: Where the exchange needs it, such as `btc_idr`.
            side: `buy` or `sell`, where the exchange needs it.

        Raises:
            UnknownAccount: No account has this alias. Nothing was queued.
            InvalidCommand: Something is missing or wrong. Nothing was queued.
            StoreUnavailable: Redis did not answer within a second. It may have
                been queued; asking again is safe.
        """
        return self.cancel_many(account, [order_id], pair=pair, side=side)[0]

    def cancel_many(
        self,
        account: str,
        order_ids: Sequence[str],
        *,
        pair: str | None = None,
        side: str | None = None,
    ) -> list[Ticket]:
        """Have these orders taken off the book; one round trip for many.

        Returns:
            One ticket an order, in order.

        Raises:
            UnknownAccount: No account has this alias. Nothing was queued.
            InvalidCommand: The list is empty, or something is missing or
                wrong. Nothing was queued.
            StoreUnavailable: Redis did not answer. Some may have been queued;
                asking again is safe.
        """
        exchange = self._exchange(account)
        jobs = cancels(exchange, account, order_ids, pair=pair, side=side)
        accepted = self._ledger.accept(jobs, _bells(exchange.name, account, jobs))
        return [
            Ticket(a.id, account, job.order_id, a.fresh, self._ledger)
            for a, job in zip(accepted, jobs, strict=True)
        ]

    def cancel_all(
        self, account: str, *, pair: str | None = None, side: str | None = None
    ) -> Ticket:
        """Have all open orders of a scope taken off the book.

        The job ends when the exchange lists no open order in the scope, at a second
        look if it showed none at the first. Until then it takes off what is placed
        there meanwhile, too. An exchange may show nothing for a pair that it does not
        know: name it as the exchange writes it.

        Raises:
            UnknownAccount: No account has this alias. Nothing was queued.
            InvalidCommand: The exchange needs a narrower scope, or something
                is wrong. Nothing was queued.
            StoreUnavailable: Redis did not answer. It may have been queued;
                asking again is safe.
        """
        exchange = self._exchange(account)
        job = cancel_of_all(exchange, account, pair=pair, side=side)
        bell = ring(DRAIN, {"exchange": exchange.name}, queue=exchange.name)
        (accepted,) = self._ledger.accept([job], [bell])
        return Ticket(accepted.id, account, None, accepted.fresh, self._ledger)

    def cancel_direct(
        self,
        account: str,
        order_id: str,
        *,
        pair: str | None = None,
        side: str | None = None,
        timeout_ms: int = DIRECT_MS,
    ) -> Result:
        """Take one order off the book from this process, without the workers.

        For when Redis is away. The account's credentials are needed here. The
        requests, and what they prove, are those of a worker; but nothing is
        recorded: once the time is up nobody goes on. Where Redis answers,
        limits and nonces are shared with the workers; where it does not, they
        are this process's own, and workers that still run do not know of them.

        Args:
            account: Alias from the settings.
            order_id: As the exchange gave it.
            pair: Where the exchange needs it, such as `btc_idr`.
            side: `buy` or `sell`, where the exchange needs it.
            timeout_ms: How long to try.

        Returns:
            What is proven; `UNKNOWN` with the state `dead` if nothing is in time, and
            `UNAUTHORIZED` once the exchange has refused the credentials for 3 s.

        Raises:
            UnknownAccount: The settings have no such account. Nothing was sent.
            InvalidCommand: Something is missing or wrong. Nothing was sent.
            SettingsError: A secret is missing. Nothing was sent.
        """
        exchange = self._settings.account(account).adapter
        jobs = cancels(exchange, account, [order_id], pair=pair, side=side)
        return read_result(self._sender.run(jobs, timeout_ms=timeout_ms).jobs[0])

    def cancel_all_direct(
        self,
        account: str,
        *,
        pair: str | None = None,
        side: str | None = None,
        timeout_ms: int = DIRECT_MS,
    ) -> Result:
        """Take all open orders of a scope off the book from this process.

        As `cancel_direct`; proven once the exchange lists no open order in the
        scope.

        Raises:
            UnknownAccount: The settings have no such account. Nothing was sent.
            InvalidCommand: The exchange needs a narrower scope, or something
                is wrong. Nothing was sent.
            SettingsError: A secret is missing. Nothing was sent.
        """
        exchange = self._settings.account(account).adapter
        job = cancel_of_all(exchange, account, pair=pair, side=side)
        return read_result(self._sender.run([job], timeout_ms=timeout_ms).jobs[0])

    def replay(self, job_id: str) -> Ticket:
        """Give the command of a dead letter to the workers again, as a new job.

        The new job has the old one as its parent. Once it is recorded, the dead
        letter leaves their list; until then it stays on it, whatever dies.

        Raises:
            UnknownAccount: Its account is no longer set up. Nothing was queued.
            InvalidCommand: There is no such dead letter, or no job can be made
                of it. Nothing was queued.
            StoreUnavailable: Redis did not answer. It may have been queued;
                asking again is safe.
        """
        dead = self._ledger.get(job_id)
        if dead is None or dead.state is not State.DEAD:
            raise InvalidCommand("no such dead letter")
        exchange = self.check_replay(dead)
        job = NewJob(
            id=new_id(),
            lane=dead.lane,
            kind=dead.kind,
            order_id=dead.order_id or "",
            pair=spelled(exchange, dead.pair) or "",
            side=dead.side or "",
            parent=dead.id,
        )
        bell = ring(DRAIN, {"exchange": exchange.name}, queue=exchange.name)
        (accepted,) = self._ledger.accept([job], [bell])
        self._ledger.retire(dead.id, keep_ms=self._settings.jobs.retention_ms)
        return Ticket(accepted.id, dead.account, dead.order_id, accepted.fresh, self._ledger)

    def check_replay(self, dead: Job) -> Exchange:
        """Return the exchange that a dead letter would be replayed to.

        Raises:
            UnknownAccount: Its account is no longer set up.
            InvalidCommand: No job can be made of it.
            StoreUnavailable: Redis did not answer.
        """
        if dead.kind is Kind.MALFORMED:
            raise InvalidCommand("a malformed message cannot be replayed; send it anew, or discard")
        if dead.foreign:
            raise InvalidCommand(f"{dead.id} is a newer version's: replay it with that")
        exchange = self._exchange(dead.account)
        if exchange.name != dead.exchange:
            raise InvalidCommand(
                f"account {dead.account} is on {exchange.name} now, the order on {dead.exchange}"
            )
        if dead.kind is Kind.CANCEL:
            check_cancel(exchange, order_id=dead.order_id or "", pair=dead.pair, side=dead.side)
        else:
            check_cancel_all(exchange, pair=dead.pair, side=dead.side)
        return exchange

    def arm(
        self,
        account: str,
        *,
        pairs: Sequence[str] = (),
        order_ids: Sequence[str] = (),
        timeout_ms: int,
        clear_wait_ms: int = 0,
    ) -> Switch:
        """Arm a switch: the scope's orders come off if no beat comes in time.

        The same scope armed before is taken over from its former holder, whose
        beats then raise. Once this has returned, no cancel of a former switch that
        tripped takes off an order that is placed in its pairs afterwards.

        Args:
            account: Alias from the settings.
            pairs: All open orders of these pairs.
            order_ids: These orders; `Switch.track` adds more.
            timeout_ms: From each beat to the deadline.
            clear_wait_ms: How long to wait at most for a former switch of these pairs
                that tripped, until the exchange has listed their open orders once.

        Raises:
            UnknownAccount: No account has this alias. Nothing was armed.
            SwitchOverlap: Another armed switch holds a part of the scope.
            SwitchClearing: A former switch of one of the pairs tripped, and may still
                cancel what is placed now. Nothing was armed.
            SwitchError: While very many orders were being tracked it tripped, or was
                armed or disarmed elsewhere; not all of them are tracked.
            InvalidCommand: Something is missing or wrong. Nothing was armed.
            StoreUnavailable: Redis did not answer. It may be armed; arming
                again is safe.
        """
        return arm_switch(
            self._switches,
            self._settings,
            self._exchange(account),
            account,
            scope=Scope(pairs, order_ids),
            timeout_ms=timeout_ms,
            clear_wait_ms=clear_wait_ms,
        )

    def countdown(
        self,
        account: str,
        *,
        pairs: Sequence[str] = (),
        order_ids: Sequence[str] = (),
        timeout_ms: int,
        clear_wait_ms: int = 0,
    ) -> Switch:
        """Arm a switch for a `with` block: a clean exit disarms, an exception does not."""
        return self.arm(
            account,
            pairs=pairs,
            order_ids=order_ids,
            timeout_ms=timeout_ms,
            clear_wait_ms=clear_wait_ms,
        )

    def switch(self, switch_id: str, *, epoch: int = 0) -> Switch:
        """Return a switch armed elsewhere.

        Args:
            switch_id: As `arm` gave it.
            epoch: Act only as the holder of this epoch; 0 acts whoever holds it.

        Raises:
            SwitchUnknown: There is none.
            StoreUnavailable: Redis did not answer.
        """
        record = self._switches.get(switch_id) if switch_id.isalnum() else None
        if record is None:
            raise SwitchUnknown(f"switch {switch_id[:64]!r} is not known, or has been forgotten")
        return Switch(
            self._switches,
            EXCHANGES[exchange_of(record.lane)],
            switch_id=switch_id,
            account=record.account,
            epoch=epoch,
            deadline_ms=record.deadline_ms,
            held=record.held,
            held_why=why_held(record.held_why, native=record.native),
        )

    def switches(self, *, limit: int = 100) -> list[SwitchRecord]:
        """Return switches, those changed last ahead.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return self._switches.recent(limit=limit)

    def ticket(self, job_id: str) -> Ticket | None:
        """Return the ticket of a job accepted earlier, or None if it is forgotten.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        job = self._ledger.get(job_id)
        if job is None:
            return None
        return Ticket(job.id, job.account, job.order_id, fresh=False, _ledger=self._ledger)

    @property
    def _sender(self) -> Direct:
        """What sends from this process; a forked child gets its own."""
        with self._lock:
            if self._direct is None or self._direct[0] != os.getpid():
                self._direct = os.getpid(), build_direct(self._settings)
            return self._direct[1]

    def _exchange(self, account: str) -> Exchange:
        if not isinstance(account, str):
            raise UnknownAccount(unknown_account(account, self._settings.accounts))
        known = self._settings.accounts.get(account)
        if known is not None:
            return known.adapter
        if account not in self._announced:
            self._announced = self._ledger.accounts()
        try:
            return announced_exchange(account, self._announced, self._settings.accounts)
        except UnknownAccount:
            self._announced = {}
            raise


def _bells(exchange: str, account: str, jobs: Sequence[NewJob]) -> Iterable[tuple[str, str]]:
    """Ring for one job by name, so that it is seen in Flower; for many, a few times."""
    if len(jobs) == 1:
        (job,) = jobs
        named = {"account": account, "order_id": job.order_id, "job": job.id}
        scope = {"pair": job.pair, "side": job.side}
        kwargs = {**named, **{name: value for name, value in scope.items() if value}}
        return [ring(CANCEL, kwargs, queue=exchange)]
    return [
        ring(DRAIN, {"exchange": exchange}, queue=exchange)
        for _ in range(min(MANY_BELLS, len(jobs)))
    ]
