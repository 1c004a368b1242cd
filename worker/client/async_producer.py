"""The client of an asyncio strategy: the verbs of `Producer`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from worker.client.async_switch import AsyncCountdown, AsyncSwitch
from worker.client.async_ticket import AsyncTicket
from worker.client.commands import cancel_of_all, cancels, one_order
from worker.client.direct_verbs import DIRECT_MS
from worker.client.ticket import Result
from worker.client.verbs import Kinds, Panic, Verbs
from worker.client.watcher import Watcher
from worker.config.client_settings import ProducerSettings, load_client_settings
from worker.exchanges.base import Exchange
from worker.extras import needing
from worker.model.jobs import Job
from worker.model.switches import SwitchRecord
from worker.store.async_store import AsyncStore
from worker.store.switch_steps import recent_switches

if TYPE_CHECKING:
    from worker.client.direct import DirectSender


class AsyncProducer:
    """Enqueues commands for the workers; `Producer` for asyncio.

    It does the same by the same steps, and raises the same errors. Its calls never block the
    event loop for Redis, and start no threads. Use it in one event loop: `async with
    AsyncProducer() as producer`, or call `aclose` at the end.

    A call that is cancelled may have taken effect, as one that raises `StoreUnavailable`:
    calling again is safe.

    Args:
        settings: Default: read from `worker.toml` and the environment.
    """

    def __init__(self, settings: ProducerSettings | None = None) -> None:
        self._settings = load_client_settings() if settings is None else settings
        self._store = AsyncStore(self._settings)
        self._watcher = Watcher(self._store)
        self._verbs = Verbs(self._settings, Kinds(self._ticket, self._switch))
        self._direct: DirectSender | None = None

    async def __aenter__(self) -> Self:
        """Return the producer; it connects at its first call."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections to Redis. Jobs continue, and armed switches stay armed."""
        await self._watcher.close()
        await self._store.close()

    async def cancel(
        self,
        account: str,
        order_id: str | None = None,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_id: str | None = None,
    ) -> AsyncTicket:
        """Cancel one order; see `Producer.cancel`."""
        return await self._store.carry(
            self._verbs.cancel(
                account, order_id, pair=pair, side=side, client_order_id=client_order_id
            )
        )

    async def cancel_many(
        self,
        account: str,
        order_ids: Sequence[str] = (),
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> list[AsyncTicket]:
        """Cancel several orders; see `Producer.cancel_many`."""
        return await self._store.carry(
            self._verbs.cancel_many(
                account, order_ids, pair=pair, side=side, client_order_ids=client_order_ids
            )
        )

    async def check_cancels(
        self,
        account: str,
        order_ids: Sequence[str],
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> None:
        """Raise what `cancel_many` would raise; see `Producer.check_cancels`."""
        await self._store.carry(
            self._verbs.check_cancels(
                account, order_ids, pair=pair, side=side, client_order_ids=client_order_ids
            )
        )

    async def cancel_all(
        self,
        account: str,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_id_prefix: str | None = None,
        stops: str = "take",
        hold_ms: int = 0,
    ) -> AsyncTicket:
        """Cancel all open orders of a scope; see `Producer.cancel_all`."""
        return await self._store.carry(
            self._verbs.cancel_all(
                account,
                pair=pair,
                side=side,
                client_id_prefix=client_id_prefix,
                stops=stops,
                hold_ms=hold_ms,
            )
        )

    async def panic(self, accounts: Sequence[str] | None = None) -> Panic[AsyncTicket]:
        """Cancel everything open; see `Producer.panic`."""
        return await self._store.carry(self._verbs.panic(accounts))

    async def check_cancel_all(
        self,
        account: str,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_id_prefix: str | None = None,
        stops: str = "take",
    ) -> None:
        """Raise what `cancel_all` would raise; see `Producer.check_cancel_all`."""
        await self._store.carry(
            self._verbs.check_cancel_all(
                account, pair=pair, side=side, client_id_prefix=client_id_prefix, stops=stops
            )
        )

    async def replay(self, job_id: str) -> AsyncTicket:
        """Enqueue the command of a dead letter again; see `Producer.replay`."""
        return await self._store.carry(self._verbs.replay(job_id))

    async def check_replay(self, dead: Job) -> Exchange:
        """Return the exchange that a replay would use; see `Producer.check_replay`."""
        return await self._store.carry(self._verbs.check_replay(dead))

    async def arm(
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
    ) -> AsyncSwitch:
        """Arm a switch; see `Producer.arm`."""
        return await self._store.carry(
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

    async def switch(
        self,
        switch_id: str | None = None,
        *,
        name: str | None = None,
        account: str | None = None,
        epoch: int = 0,
    ) -> AsyncSwitch:
        """Return a switch armed elsewhere; see `Producer.switch`."""
        return await self._store.carry(
            self._verbs.switch(switch_id, name=name, account=account, epoch=epoch)
        )

    async def ticket(self, job_id: str) -> AsyncTicket | None:
        """Return the ticket of an accepted job; see `Producer.ticket`."""
        return await self._store.carry(self._verbs.ticket(job_id))

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
    ) -> AsyncCountdown:
        """Arm a switch for an `async with` block; see `Producer.countdown`."""
        return AsyncCountdown(
            lambda: self.arm(
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

    async def cancel_direct(
        self,
        account: str,
        order_id: str | None = None,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_order_id: str | None = None,
        timeout_ms: int = DIRECT_MS,
    ) -> Result:
        """Cancel one order from this process, in a thread; see `Producer.cancel_direct`.

        A cancellation ends the waiting alone: the thread tries on until `timeout_ms`.
        """
        sender, names = await self._sender(), one_order(order_id, client_order_id)
        jobs = cancels(sender.exchange(account), account, **names, pair=pair, side=side)
        return (await asyncio.to_thread(sender.run, jobs, timeout_ms=timeout_ms))[0]

    async def cancel_all_direct(
        self,
        account: str,
        *,
        pair: str | None = None,
        side: str | None = None,
        client_id_prefix: str | None = None,
        stops: str = "take",
        timeout_ms: int = DIRECT_MS,
    ) -> Result:
        """Cancel all open orders of a scope from this process; see `cancel_direct`."""
        sender = await self._sender()
        job = cancel_of_all(
            sender.exchange(account),
            account,
            pair=pair,
            side=side,
            client_id_prefix=client_id_prefix,
            stops=stops,
        )
        return (await asyncio.to_thread(sender.run, [job], timeout_ms=timeout_ms))[0]

    async def switches(self, *, limit: int = 100) -> list[SwitchRecord]:
        """Return switches, the most recently changed first; see `Producer.switches`."""
        return await self._store.carry(recent_switches(limit=limit))

    async def wait_all(
        self, tickets: Sequence[AsyncTicket], *, timeout_ms: int | None = None
    ) -> list[Result]:
        """Wait until the jobs of all tickets have ended, at most `timeout_ms` in all.

        Returns:
            Their states then, in the order of the tickets.

        Raises:
            StoreUnavailable: Redis did not answer. Workers continue the jobs.
        """
        waiting = [asyncio.ensure_future(each.wait(timeout_ms=timeout_ms)) for each in tickets]
        try:
            return await asyncio.gather(*waiting)
        finally:
            for each in waiting:
                each.cancel()

    async def as_completed(
        self, tickets: Sequence[AsyncTicket], *, timeout_ms: int | None = None
    ) -> AsyncIterator[tuple[AsyncTicket, Result]]:
        """Yield each ticket with its result as its job ends, at most `timeout_ms` in all.

        Raises:
            StoreUnavailable: Redis did not answer. Workers continue the jobs.
        """

        async def waited(ticket: AsyncTicket) -> tuple[AsyncTicket, Result]:
            return ticket, await ticket.wait(timeout_ms=timeout_ms)

        waiting = [asyncio.ensure_future(waited(each)) for each in tickets]
        try:
            for ended in asyncio.as_completed(waiting):
                yield await ended
        finally:
            for each in waiting:
                each.cancel()

    async def _sender(self) -> DirectSender:
        def build() -> DirectSender:
            with needing("a direct cancel"):
                from worker.client.direct import DirectSender  # noqa: PLC0415  needs [worker]

                return DirectSender(self._settings)

        if self._direct is None:
            self._direct = await asyncio.to_thread(build)
        return self._direct

    def _ticket(
        self,
        job_id: str,
        account: str,
        order_id: str | None,
        fresh: bool,  # noqa: FBT001  as `Kinds` asks
        client_order_id: str | None,
    ) -> AsyncTicket:
        return AsyncTicket(job_id, account, order_id, fresh, self._watcher, client_order_id)

    def _switch(self, exchange: Exchange, **known: Any) -> AsyncSwitch:  # noqa: ANN401  as `AsyncSwitch`
        return AsyncSwitch(self._store, exchange, **known)
