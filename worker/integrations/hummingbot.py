"""A dead man's switch for a strategy of hummingbot (`StrategyV2Base`)."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any

from worker import clock as local
from worker.client.async_heartbeat import AsyncHeartbeat
from worker.client.async_producer import AsyncProducer
from worker.client.async_switch import AsyncSwitch
from worker.errors import CancelWorkerError, SwitchReplaced

RETRY_SHARE = 3
"""Attempts to arm in one timeout."""
ARMING_S = 10
"""Longest wait, when stopping, for an attempt that is under way."""


class NotCoveredError(CancelWorkerError):
    """No switch covers orders at the moment; nothing was placed."""


class SwitchMixin:
    """Comes before `StrategyV2Base` among the bases; call `use_switch` in `__init__`.

    The switches cover all orders of the strategy's trading pairs: one switch for each account.
    They are armed in the background when the strategy starts; until then it is not ticked, and
    `buy` and `sell` are refused. Each tick that ends without an error is progress, so that a
    stuck event loop, and a strategy that only fails, let the switch trip. Calls and heartbeats
    never block the event loop.

    `on_stop` disarms, after the strategy's own stop; a crash does not. If a switch ends,
    `on_switch_error` is called, and the switches are armed again, unless another process has
    taken one over: then the strategy stays without ticks until it is restarted.

    A strategy that overrides `start`, `tick` or `on_stop` calls it by `super()`.
    """

    _switch_guard: _Covers | None = None

    def use_switch(
        self,
        accounts: Mapping[str, str],
        *,
        timeout_ms: int,
        name: str,
        producer: AsyncProducer | None = None,
    ) -> None:
        """Say what the switches cover; nothing is armed yet.

        Args:
            accounts: By connector, the alias of its account in the settings of cancel-worker.
                Orders at other connectors, such as those of paper trading, are not covered.
            timeout_ms: From the latest tick to the deadline; at least several ticks.
            name: Of the switches; a restarted strategy takes them over.
            producer: Default: one from the settings.
        """
        self._switch_guard = _Covers(
            dict(accounts), timeout_ms=timeout_ms, name=name, producer=producer
        )

    def start(self: Any, clock: object, timestamp: float) -> None:
        """Begin to arm the switches."""
        super().start(clock, timestamp)  # type: ignore[misc]
        self._arm_in_background()

    def tick(self: Any, timestamp: float) -> None:
        """Tick the strategy while the switches are armed, and report progress after it."""
        guard = self._switch_guard
        if guard is None:
            super().tick(timestamp)  # type: ignore[misc]
            return
        for error in guard.take_errors():
            self.on_switch_error(error)
        if not guard.covered:
            self._arm_in_background()
            return
        super().tick(timestamp)  # type: ignore[misc]
        guard.progress()

    def buy(self: Any, connector_name: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401  hummingbot's
        """Place a buy order, if a switch covers it.

        Raises:
            NotCoveredError: No switch does.
        """
        self._require_switch(connector_name)
        return super().buy(connector_name, *args, **options)  # type: ignore[misc]

    def sell(self: Any, connector_name: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401  hummingbot's
        """Place a sell order, if a switch covers it.

        Raises:
            NotCoveredError: No switch does.
        """
        self._require_switch(connector_name)
        return super().sell(connector_name, *args, **options)  # type: ignore[misc]

    def on_stop(self: Any) -> Any:  # noqa: ANN401  None, or what newer versions await
        """Disarm, after the strategy's own stop; if that fails, the switches stay armed."""
        own = super().on_stop()  # type: ignore[misc]
        if inspect.isawaitable(own):
            return self._disarm_after(own)
        _soon(self._disarm())
        return None

    def on_switch_error(self: Any, error: CancelWorkerError) -> None:
        """Log that a switch has ended, or that it cannot be armed: orders are refused."""
        self.logger().error(f"no dead man's switch, orders are refused: {error}")

    async def _disarm_after(self, own: Awaitable[object]) -> None:
        await own
        await self._disarm()

    async def _disarm(self: Any) -> None:
        guard, self._switch_guard = self._switch_guard, None
        if guard is not None:
            for error in await guard.stop():
                self.logger().warning(f"a switch was not disarmed: {error}")

    def _arm_in_background(self: Any) -> None:
        guard = self._switch_guard
        if guard is not None:
            guard.arm_soon(self.connectors, self.markets)

    def _require_switch(self: Any, connector_name: str) -> None:
        guard = self._switch_guard
        if guard is not None and connector_name in guard.accounts and not guard.covered:
            raise NotCoveredError(f"no switch covers orders at {connector_name}")


class _Covers:
    """The switches of one strategy, with their heartbeats; all calls are of its event loop."""

    def __init__(
        self,
        accounts: Mapping[str, str],
        *,
        timeout_ms: int,
        name: str,
        producer: AsyncProducer | None,
    ) -> None:
        self.accounts = accounts
        self._timeout_ms = timeout_ms
        self._name = name
        self._given = producer
        self._producer: AsyncProducer | None = producer
        self._hearts: list[AsyncHeartbeat] = []
        self._errors: list[CancelWorkerError] = []
        self._arming: asyncio.Task[None] | None = None
        self._again_ms = 0.0
        self._replaced = False

    @property
    def covered(self) -> bool:
        """Whether all switches are armed, as far as the heartbeats know."""
        return bool(self._hearts)

    def take_errors(self) -> list[CancelWorkerError]:
        """Return what has happened since the last call."""
        taken, self._errors = self._errors, []
        return taken

    def progress(self) -> None:
        """Report progress to all switches; `on_error` of their heartbeats reports what is wrong."""
        for heart in self._hearts:
            with contextlib.suppress(CancelWorkerError):
                heart.progress()

    def arm_soon(self, connectors: Mapping[str, Any], markets: Mapping[str, Any]) -> None:
        """Begin to arm, unless that is under way, was tried just now, or is another's to do."""
        now_ms = local.monotonic_ms()
        busy = self._arming is not None and not self._arming.done()
        if busy or self.covered or self._replaced or now_ms < self._again_ms:
            return
        self._again_ms = now_ms + self._timeout_ms / RETRY_SHARE
        self._arming = asyncio.create_task(
            self._arm(dict(connectors), {name: sorted(pairs) for name, pairs in markets.items()})
        )

    async def stop(self) -> list[CancelWorkerError]:
        """Stop the heartbeats and disarm; return what failed. What is not disarmed trips."""
        if self._arming is not None and not self._arming.done():
            await asyncio.wait([self._arming], timeout=ARMING_S)
            self._arming.cancel()
        failed = []
        for heart in self._hearts:
            await heart.stop()
            try:
                await heart.switch.disarm()
            except CancelWorkerError as error:
                failed.append(error)
        self._hearts = []
        if self._producer is not None and self._given is None:
            await self._producer.aclose()
        return failed

    async def _arm(self, connectors: Mapping[str, Any], markets: Mapping[str, list[str]]) -> None:
        hearts: list[AsyncHeartbeat] = []
        try:
            for connector, account in self.accounts.items():
                pairs = [await _pair(connectors[connector], each) for each in markets[connector]]
                switch = await self._armed(account, pairs)
                heart = AsyncHeartbeat(switch, on_error=self._ended)
                hearts.append(heart)
                await heart.start()
            for heart in hearts:
                heart.progress()  # raises if a switch has ended since
            self._hearts = hearts
        except CancelWorkerError as error:
            self._errors.append(error)
        except Exception as error:  # noqa: BLE001  hummingbot's connectors raise anything
            self._errors.append(NotCoveredError(f"{type(error).__name__}: {error}"))
        finally:
            if self._hearts is not hearts:
                for heart in hearts:
                    await heart.stop()

    async def _armed(self, account: str, pairs: list[str]) -> AsyncSwitch:
        if self._producer is None:
            self._producer = AsyncProducer()
        return await self._producer.arm(
            account, pairs=pairs, timeout_ms=self._timeout_ms, name=self._name, replace=True
        )

    def _ended(self, error: CancelWorkerError) -> None:
        """Note that a switch has ended: none of them counts until all are armed again."""
        self._errors.append(error)
        self._replaced = self._replaced or isinstance(error, SwitchReplaced)
        hearts, self._hearts = self._hearts, []
        for heart in hearts:
            _soon(heart.stop())


_running: set[asyncio.Task[None]] = set()
"""Tasks that nothing awaits; the event loop itself keeps only weak references."""


def _soon(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)


async def _pair(connector: Any, trading_pair: str) -> str:  # noqa: ANN401  hummingbot's class
    """Return a trading pair as the exchange writes it, or in ccxt's form."""
    symbol_of = getattr(connector, "exchange_symbol_associated_to_pair", None)
    if symbol_of is None:
        return trading_pair.replace("-", "/")
    found: Awaitable[Any] = symbol_of(trading_pair=trading_pair)
    return str(await found)
