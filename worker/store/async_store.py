"""The store for asyncio: carries the same procedures as the blocking one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio.connection import AbstractConnection

from worker.store.async_connection import Turns, exchange_async, maker
from worker.store.calls import Caller
from worker.store.connection import local_ms, unavailable
from worker.store.opening import StoreSettings
from worker.store.steps import Ask, Drop, Exchange, Latest, Pause, Run, Steps, T, drive_async

STARTS = 8
"""Procedures that begin in one turn of the event loop."""


class AsyncStore(Caller):
    """One Redis, one key prefix, and the scripts by name; calls are awaited.

    A call that is cancelled may have taken effect. Its connection is closed, so that no
    later call reads its answer.

    Args:
        settings: Where Redis is. Calls wait for the replicas that they require.
        clock: Lua that defines `raw_ms()`, in place of `lib/raw_time`; tests step it.
        local: The local clock, in ms; tests step it with the other.
    """

    def __init__(
        self,
        settings: StoreSettings,
        *,
        clock: str | None = None,
        local: Callable[[], float] = local_ms,
    ) -> None:
        super().__init__(
            prefix=settings.key_prefix,
            clock=clock,
            replicas=(settings.redis_wait_replicas, settings.redis_wait_ms),
            local=local,
        )
        self._starts = asyncio.Semaphore(STARTS)
        make = maker(settings.redis_address, timeout_ms=settings.redis_timeout_ms)
        self._turns = Turns(make, patience_ms=settings.redis_timeout_ms)

    async def carry(self, steps: Steps[T]) -> T:
        """Carry out a procedure; return what it returns.

        Few begin in one turn of the loop, so that a thousand at once do not block it.

        Raises:
            StoreUnavailable: Redis did not answer, and the procedure does not handle it.
        """
        return await drive_async(steps, self._step, start=self._starts)

    async def close(self) -> None:
        """Close the connections."""
        await self._turns.close()

    async def _step(self, step: Run | Ask | Pause | Latest) -> Any:  # noqa: ANN401  Redis's answer
        match step:
            case Run():
                return await self._run(step)
            case Ask():
                return await self._ask(step)
            case Pause():
                return await asyncio.sleep(step.ms / 1_000)
            case Latest():
                return self.time.latest(step.local_ms)

    async def _run(self, step: Run) -> Any:  # noqa: ANN401  Redis's answer
        async with self._connected() as (connection, budget_ms):
            call = self.call(step.name, step.args, budget_ms=budget_ms, promised=step.promised)
            steps = self.calling(call, connection._writer)  # noqa: SLF001
            return await drive_async(steps, lambda each: self._on(connection, each))

    async def _ask(self, step: Ask) -> list[Any]:
        async with self._connected() as (connection, _):
            answers = await exchange_async(connection, self.named(step.commands))
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    async def _on(self, connection: AbstractConnection, step: Exchange | Pause | Drop) -> Any:  # noqa: ANN401
        match step:
            case Exchange():  # the whole call is bounded
                return await exchange_async(connection, step.commands, certain=step.certain)
            case Pause():
                return await asyncio.sleep(step.ms / 1_000)
            case Drop():
                return await connection.disconnect(nowait=True)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[AbstractConnection, float]]:
        """Lend a connection for as long as one call may take, in ms."""
        with unavailable():
            async with (
                self._turns.turn() as (connection, budget_ms),
                asyncio.timeout(budget_ms / 1_000),
            ):
                await connection.connect()  # type: ignore[no-untyped-call]
                yield connection, budget_ms
