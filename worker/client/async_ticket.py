"""Ticket of an accepted cancel, for asyncio."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from worker.client.orders import OrderResult
from worker.client.ticket import Result
from worker.client.watcher import Watcher


@dataclass(frozen=True, slots=True)
class AsyncTicket:
    """Proof that a cancel was accepted; `await ticket` waits until its job has ended.

    Attributes:
        id: Id of the job; the same for the same order while it is pending.
        order_id: The exchange's id of the order; None if it was named by `client_order_id`.
        fresh: False if a job for the order was already pending.
    """

    id: str
    account: str
    order_id: str | None
    fresh: bool
    _watcher: Watcher
    client_order_id: str | None = None

    def __repr__(self) -> str:
        """Return job, account and order."""
        client = f", client_order_id={self.client_order_id!r}" if self.client_order_id else ""
        order = f"order_id={self.order_id!r}{client}"
        return f"AsyncTicket(id={self.id!r}, account={self.account!r}, {order})"

    def __await__(self) -> Generator[Any, None, Result]:
        """Wait until the job has ended; see `wait`."""
        return self.wait().__await__()

    async def result(self) -> Result:
        """Return the current state of the job.

        Raises:
            StoreUnavailable: Redis did not answer. Workers continue the job.
        """
        return await self._watcher.result(self.id)

    def on_outcome(self, callback: Callable[[Result], None]) -> None:
        """Have a function called in the event loop once the job has ended.

        While Redis is down, and after the producer was closed, it is not called.
        """
        self._watcher.call(self.id, callback)

    async def orders(self) -> list[OrderResult]:
        """Return what the job did, order by order; see `Ticket.orders`."""
        return await self._watcher.orders(self.id)

    async def wait(self, *, timeout_ms: int | None = None) -> Result:
        """Wait until the job has ended, at most `timeout_ms`.

        A cancellation ends the waiting alone: workers continue the job.

        Returns:
            Its state then. If `state` is `pending`, the time was up, and workers
            continue the job.

        Raises:
            StoreUnavailable: Redis did not answer. Workers continue the job.
        """
        return await self._watcher.ended(self.id, timeout_ms=timeout_ms)
