"""The client of a strategy: enqueue cancels, arm switches, wait for results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.client.direct_verbs import DirectVerbs
from worker.client.switch import Switch
from worker.client.ticket import Ticket
from worker.client.verbs import Kinds, Panic, Verbs
from worker.config.client_settings import ProducerSettings, load_client_settings
from worker.exchanges.base import Exchange
from worker.model.jobs import Job
from worker.model.switches import SwitchRecord
from worker.store.ledger import Ledger
from worker.store.opening import build_store
from worker.store.switches import Switches


class Producer(DirectVerbs):
    """Enqueues commands for the workers. Needs Redis and account aliases, no secrets.

    The exchange of an account comes from the settings, else from the workers'
    registration in Redis. Safe to use from many threads, and after a fork.

    Args:
        settings: Default: read from `worker.toml` and the environment.
    """

    def __init__(self, settings: ProducerSettings | None = None) -> None:
        super().__init__(load_client_settings() if settings is None else settings)
        store = build_store(self._settings, promising=True)
        self._ledger = Ledger(store)
        self._switches = Switches(store)
        self._store = store
        self._verbs = Verbs(self._settings, Kinds(self._ticket, self._switch))

    def cancel(
        self,
        account: str,
        order_id: str | None = None,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_id: str | None = None,
    ) -> Ticket:
        """Enqueue the cancel of one order, named by `order_id` or by `client_order_id`.

        Returns once Redis has recorded the job. It then survives the death of any
        process.

        Args:
            account: Alias from the settings.
            order_id: The exchange's order id.
            client_order_id: The id that the strategy gave the order. It cancels an order
                whose placing was not answered. Give each order an id of its own: a proof
                is about the order that the exchange finds under this id.
            pair: If the exchange needs it, such as `btc_idr`.
            side: `buy` or `sell`, if the exchange needs it.

        Raises:
            UnknownAccount: No account has this alias. Nothing was queued.
            InvalidCommand: An argument is missing or wrong. Nothing was queued.
            StoreUnavailable: Redis did not answer within a second. The job may
                have been queued; retrying is safe.
        """
        return self._store.carry(
            self._verbs.cancel(
                account, order_id, pair=pair, side=side, client_order_id=client_order_id
            )
        )

    def cancel_many(
        self,
        account: str,
        order_ids: Sequence[str] = (),
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> list[Ticket]:
        """Enqueue the cancels of several orders in one round trip.

        Returns:
            One ticket for each order, in the given order; those named by client ids last.

        Raises:
            UnknownAccount: No account has this alias. Nothing was queued.
            InvalidCommand: The list is empty, or an argument is missing or
                wrong. Nothing was queued.
            StoreUnavailable: Redis did not answer. Some jobs may have been
                queued; retrying is safe.
        """
        return self._store.carry(
            self._verbs.cancel_many(
                account, order_ids, pair=pair, side=side, client_order_ids=client_order_ids
            )
        )

    def check_cancels(
        self,
        account: str,
        order_ids: Sequence[str],
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> None:
        """Raise what `cancel_many` would raise for these arguments; enqueue nothing.

        Raises:
            UnknownAccount: No account has this alias.
            InvalidCommand: The list is empty, or an argument is missing or wrong.
            StoreUnavailable: Redis did not answer.
        """
        self._store.carry(
            self._verbs.check_cancels(
                account, order_ids, pair=pair, side=side, client_order_ids=client_order_ids
            )
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
    ) -> Ticket:
        """Enqueue the cancel of all open orders of a scope.

        The job ends when the exchange lists no open order in the scope; if its first
        list is empty, a second one must be empty too. Until then the job also cancels
        orders that are placed there later. An exchange may return an empty list for a
        pair that it does not know: use the exchange's spelling. With a
        `client_id_prefix`, only orders whose client order id begins with it are canceled.
        Stop orders are canceled too, unless `stops` is `keep`.

        Args:
            account: Alias from the settings.
            pair: Only orders of this pair.
            side: Only `buy` or `sell` orders.
            client_id_prefix: Only orders whose client order id begins with it.
            stops: `take` cancels stop orders too, `keep` leaves them.
            hold_ms: Keep the scope empty for so long, at most an hour: list it and cancel
                what a bot still places, until the time is over.

        Raises:
            UnknownAccount: No account has this alias. Nothing was queued.
            InvalidCommand: The exchange needs a narrower scope, or an argument
                is wrong. Nothing was queued.
            StoreUnavailable: Redis did not answer. The job may have been queued;
                retrying is safe.
        """
        return self._store.carry(
            self._verbs.cancel_all(
                account,
                pair=pair,
                side=side,
                client_id_prefix=client_id_prefix,
                stops=stops,
                hold_ms=hold_ms,
            )
        )

    def panic(self, accounts: Sequence[str] | None = None) -> Panic[Ticket]:
        """Cancel everything open of all accounts, or of some, ahead of all other work.

        Args:
            accounts: Aliases; by default all of the settings and of the workers.

        Returns:
            A ticket of each account, and the accounts whose exchange cannot list all
            open orders at once.

        Raises:
            UnknownAccount: No account has one of these aliases. Nothing was queued.
            StoreUnavailable: Redis did not answer. The jobs may have been queued;
                retrying is safe.
        """
        return self._store.carry(self._verbs.panic(accounts))

    def check_cancel_all(
        self,
        account: str,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_id_prefix: str | None = None,
        stops: str = "take",
    ) -> None:
        """Raise what `cancel_all` would raise for these arguments; enqueue nothing.

        Raises:
            UnknownAccount: No account has this alias.
            InvalidCommand: The exchange needs a narrower scope, or an argument is wrong.
            StoreUnavailable: Redis did not answer.
        """
        self._store.carry(
            self._verbs.check_cancel_all(
                account, pair=pair, side=side, client_id_prefix=client_id_prefix, stops=stops
            )
        )

    def replay(self, job_id: str) -> Ticket:
        """Enqueue the command of a dead letter again, as a new job.

        The new job has the dead letter as its parent. The dead letter is removed
        only after the new job is recorded.

        Raises:
            UnknownAccount: Its account is no longer configured. Nothing was queued.
            InvalidCommand: There is no such dead letter, or it cannot be replayed.
                Nothing was queued.
            StoreUnavailable: Redis did not answer. The job may have been queued;
                retrying is safe.
        """
        return self._store.carry(self._verbs.replay(job_id))

    def check_replay(self, dead: Job) -> Exchange:
        """Return the exchange that a replay of a dead letter would use.

        Raises:
            UnknownAccount: Its account is no longer configured.
            InvalidCommand: It cannot be replayed.
            StoreUnavailable: Redis did not answer.
        """
        return self._store.carry(self._verbs.check_replay(dead))

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
    ) -> Switch:
        """Arm a switch: workers cancel the scope's orders if no heartbeat arrives in time.

        If the same scope is armed already, it is taken over: heartbeats of the
        former holder then raise. Once this returns, no cancel of a former switch
        that tripped cancels an order placed in its pairs afterwards.

        Args:
            account: Alias from the settings.
            pairs: Covers all open orders of these pairs.
            order_ids: Covers these orders; `Switch.track` adds more.
            client_order_ids: Covers orders to which the strategy gave these ids.
            client_id_prefix: Of the pairs, or of the whole account without pairs, only
                orders whose client order id begins with this. It covers orders whose
                placing was not answered. Workers hold such a deadline.
            stops: `take` cancels stop, take-profit and trigger orders too; `keep` leaves
                them, so that a position stays protected.
            everything: Covers all orders of the account, without pairs or order ids. No
                other switch of the account can be armed beside it. Only such a switch
                uses an exchange's timer that is for the whole account.
            timeout_ms: From each heartbeat to the deadline.
            name: 1 to 64 letters, digits, `_`, `.` and `-`; unique among the armed
                switches of the account. A takeover without a name keeps the former.
            replace: If a switch with this name covers another scope, end it in the
                same step. Orders of both scopes are covered at every moment; those
                of the former scope alone stay open. Its holder's calls raise
                `SwitchReplaced`. At most 20,000 order ids.
            clear_wait_ms: Maximum wait for a former switch of these pairs that
                tripped, until the exchange has listed their open orders once.

        Raises:
            UnknownAccount: No account has this alias. Nothing was armed.
            SwitchOverlap: Another armed switch covers part of the scope, or has this
                name and another scope, or one of the two covers everything. Nothing
                was armed.
            SwitchClearing: A former switch of one of the pairs tripped and may still
                cancel orders placed now. Nothing was armed.
            SwitchError: The switch tripped, or was armed or disarmed elsewhere,
                while a long list of orders was added. Not all are tracked.
            InvalidCommand: An argument is missing or wrong. Nothing was armed.
            StoreUnavailable: Redis did not answer. The switch may be armed;
                retrying is safe.
        """
        return self._store.carry(
            self._verbs.arm(
                account,
                pairs=pairs,
                order_ids=order_ids,
                client_order_ids=client_order_ids,
                client_id_prefix=client_id_prefix,
                stops=stops,
                everything=everything,
                timeout_ms=timeout_ms,
                name=name,
                replace=replace,
                clear_wait_ms=clear_wait_ms,
            )
        )

    def countdown(
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
    ) -> Switch:
        """Arm a switch for a `with` block. A clean exit disarms it, an exception does not."""
        return self.arm(
            account,
            pairs=pairs,
            order_ids=order_ids,
            client_order_ids=client_order_ids,
            client_id_prefix=client_id_prefix,
            stops=stops,
            everything=everything,
            timeout_ms=timeout_ms,
            name=name,
            replace=replace,
            clear_wait_ms=clear_wait_ms,
        )

    def switch(
        self,
        switch_id: str | None = None,
        *,
        name: str | None = None,
        account: str | None = None,
        epoch: int = 0,
    ) -> Switch:
        """Return a switch armed elsewhere, by its id, or by its name and account.

        Args:
            switch_id: Id that `arm` returned.
            name: Name of an armed switch.
            account: Alias of the account of `name`.
            epoch: Act as the holder of this epoch; with 0, as any holder.

        Raises:
            InvalidCommand: Neither an id nor a name with its account is given.
            UnknownAccount: No account has this alias.
            SwitchUnknown: No such switch, its record has expired, or no armed switch
                of the account has this name.
            StoreUnavailable: Redis did not answer.
        """
        return self._store.carry(
            self._verbs.switch(switch_id, name=name, account=account, epoch=epoch)
        )

    def switches(self, *, limit: int = 100) -> list[SwitchRecord]:
        """Return switches, the most recently changed first.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return self._switches.recent(limit=limit)

    def ticket(self, job_id: str) -> Ticket | None:
        """Return the ticket of an accepted job, or None if its record has expired.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return self._store.carry(self._verbs.ticket(job_id))

    def _ticket(
        self,
        job_id: str,
        account: str,
        order_id: str | None,
        fresh: bool,  # noqa: FBT001  as `Kinds` asks
        client_order_id: str | None,
    ) -> Ticket:
        return Ticket(
            job_id,
            account,
            order_id,
            fresh,
            self._ledger,
            client_order_id,
            self._settings.jobs.max_age_ms,
        )

    def _switch(self, exchange: Exchange, **known: Any) -> Switch:  # noqa: ANN401  as `Switch`
        return Switch(self._switches, exchange, **known)
