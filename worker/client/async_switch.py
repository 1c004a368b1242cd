"""A dead man's switch, as an asyncio strategy uses it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from worker.client.orders import OrderResult, reading_orders
from worker.client.switch import Beat, HeldSwitch
from worker.exchanges.base import Exchange
from worker.model.switches import SwitchRecord
from worker.store.async_store import AsyncStore
from worker.store.switch_steps import reading_switch


class AsyncSwitch(HeldSwitch):
    """An armed switch, as `Switch`, with its calls awaited.

    As an asynchronous context manager it disarms on a clean exit only. After an exception,
    a cancellation or a crash it stays armed, so the orders are canceled at the deadline.
    A call that is cancelled may have taken effect.
    """

    def __init__(self, store: AsyncStore, exchange: Exchange, **known: Any) -> None:  # noqa: ANN401  as `HeldSwitch`
        super().__init__(exchange, **known)
        self._store = store

    async def beat(self, *, since_ms: float | None = None) -> Beat:
        """Send a heartbeat; see `Switch.beat`."""
        return await self._store.carry(self._beating(since_ms=since_ms))

    async def track(
        self,
        *order_ids: str,
        client_order_id: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> None:
        """Add orders to the scope; see `Switch.track`."""
        await self._store.carry(
            self._tracking(
                *order_ids, client_order_id=client_order_id, client_order_ids=client_order_ids
            )
        )

    async def untrack(
        self,
        *order_ids: str,
        client_order_id: str | None = None,
        client_order_ids: Sequence[str] = (),
    ) -> None:
        """Remove orders from the scope; see `Switch.untrack`."""
        await self._store.carry(
            self._untracking(
                *order_ids, client_order_id=client_order_id, client_order_ids=client_order_ids
            )
        )

    async def disarm(self) -> None:
        """End the switch; its orders stay open. See `Switch.disarm`."""
        await self._store.carry(self._disarming())

    async def record(self) -> SwitchRecord | None:
        """Return the current record, or None if it has expired; see `Switch.record`."""
        return await self._store.carry(reading_switch(self.id))

    async def orders(self) -> list[OrderResult]:
        """Return what a trip did, order by order; see `Switch.orders`."""
        return await self._store.carry(reading_orders(self.id))

    async def __aenter__(self) -> Self:
        """Return the armed switch."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disarm after a clean exit only."""
        if kind is None:
            await self.disarm()


class AsyncCountdown:
    """A switch for an `async with` block: armed on entry, disarmed on a clean exit.

    Args:
        arm: Arms it.
    """

    def __init__(self, arm: Callable[[], Coroutine[Any, Any, AsyncSwitch]]) -> None:
        self._arm = arm
        self._switch: AsyncSwitch | None = None

    async def __aenter__(self) -> AsyncSwitch:
        """Arm; if this is cancelled, the switch may be armed, and trips at its deadline."""
        self._switch = await self._arm()
        return self._switch

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disarm after a clean exit only."""
        if self._switch is not None:
            await self._switch.__aexit__(kind, error, trace)
