"""Heartbeats from a task of the event loop, as long as the strategy makes progress."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self

from worker import clock
from worker.client.async_switch import AsyncSwitch
from worker.client.beating import Beating, OnError, timeout_of


class AsyncHeartbeat(Beating[AsyncSwitch]):
    """Sends a switch's heartbeats from a task while the strategy reports progress.

    As `Heartbeat`, in the event loop: a loop that is blocked sends none.

        async with AsyncHeartbeat(switch) as heart:
            async for trade in trades():
                heart.progress()

    `await heart` waits until the switch has ended or Redis was down up to the deadline, and
    raises that; after `stop` it returns. A task of a task group ends the group so:
    `group.create_task(heart.ended())`.

    Leaving the block stops the heartbeats and nothing else: `await switch.disarm()` ends the
    switch. A heartbeat that is cancelled may have taken effect.

    Args:
        switch: An armed switch of an `AsyncProducer`.
        on_error: Called in the event loop, once, as for `Heartbeat`.
    """

    def __init__(self, switch: AsyncSwitch, *, on_error: OnError | None = None) -> None:
        super().__init__(switch, on_error=on_error)
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._over.set()
        self._task: asyncio.Task[None] | None = None

    def progress(self) -> None:
        """Report that the strategy makes progress; call it in the event loop.

        Raises:
            SwitchTripped: The deadline has passed; the orders are being canceled.
            SwitchReplaced: The same scope or name was armed again, elsewhere.
            SwitchError: The switch has ended otherwise.
            StoreUnavailable: No heartbeat has reached Redis by the deadline.
        """
        pulse = self._pulse
        pulse.progress_ms = now_ms = clock.monotonic_ms()
        if pulse.error is not None:
            raise pulse.error.with_traceback(None)
        if now_ms >= pulse.prompt_ms and self._task is not None:
            pulse.prompt_ms = math.inf
            self._wake.set()

    async def start(self) -> None:
        """Start the heartbeats, which counts as progress. Starting twice is no error.

        Raises:
            InvalidCommand: The switch was armed elsewhere, and its record has expired.
            StoreUnavailable: Redis did not answer the question for that record.
        """
        if self._task is not None and not self._task.done():
            return
        if not self._pulse.timeout_ms:
            self._pulse.timeout_ms = timeout_of(self.switch, await self.switch.record())
        self._begin()
        self._wake.clear()
        self._over.clear()
        self._task = asyncio.create_task(self._run(), name=f"heartbeat {self.switch.id}")

    async def stop(self) -> None:
        """Stop the heartbeats. The switch stays armed, and trips unless it is disarmed."""
        task, self._task = self._task, None
        try:
            if task is not None and task is not asyncio.current_task():
                task.cancel()
                await asyncio.wait([task])
        finally:
            self._over.set()

    async def ended(self) -> None:
        """Wait until the strategy must learn of something, and raise it; return once stopped.

        Raises:
            SwitchError: The switch has ended: see `progress`.
            StoreUnavailable: No heartbeat has reached Redis by the deadline.
        """
        while True:
            await self._over.wait()
            if self._pulse.error is not None:
                raise self._pulse.error.with_traceback(None)
            if self._task is None:
                return
            self._over.clear()  # Redis has answered since

    def __await__(self) -> Generator[Any, None, None]:
        """Wait as `ended` does."""
        return self.ended().__await__()

    async def __aenter__(self) -> Self:
        """Start the heartbeats."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the heartbeats."""
        await self.stop()

    async def _run(self) -> None:
        due_ms = 0.0
        while not self._pulse.ended:
            wait_ms = max(0.0, due_ms - clock.monotonic_ms())
            try:
                async with asyncio.timeout(wait_ms / 1_000):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            due_ms = await self._beat()

    async def _beat(self) -> float:
        """Send one heartbeat; return when the next one is due."""
        pulse = self._pulse
        sent_ms, since_ms = clock.monotonic_ms(), pulse.progress_ms
        try:
            await self.switch.beat(since_ms=since_ms)
        except Exception as error:  # noqa: BLE001  the strategy learns of it by the deadline
            due_ms = self._failed(error)
            if pulse.error is not None:
                self._over.set()
            return due_ms
        return pulse.beaten(since_ms, sent_ms=sent_ms)
