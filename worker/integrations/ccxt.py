"""A dead man's switch for a strategy that trades by ccxt, blocking or asyncio."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from worker.client.producer import Producer
from worker.client.ticket import Ticket
from worker.errors import InvalidCommand
from worker.integrations.session import Session

CREATING = (
    *("create_order", "create_orders", "edit_order"),
    *("create_order_ws", "create_orders_ws", "edit_order_ws"),
    *("createOrder", "createOrders", "editOrder"),
    *("createOrderWs", "createOrdersWs", "editOrderWs"),
)
"""Methods of ccxt that place an order; its others call these."""
SYMBOL_AT = {"edit": 1, "create": 0}
"""Position of the symbol in their arguments."""


class Guard:
    """Covers all orders of some symbols while its block runs; see `guard`.

    An order whose placing was not answered is covered too: the switch is on the pair.
    """

    def __init__(self, exchange: Any, symbols: Sequence[str], session: Session) -> None:  # noqa: ANN401  ccxt has no types
        self._exchange = exchange
        self._symbols = frozenset(symbols)
        self._session = session
        self._replaced: dict[str, Any] = {}

    def progress(self) -> None:
        """Report progress of the strategy's loop; it takes about a microsecond.

        Raises:
            SwitchError: The switch has ended: its orders are being canceled, or another
                process has taken it over.
            StoreUnavailable: No heartbeat has reached Redis by the deadline.
        """
        self._session.progress()

    def cancel(self, order: Mapping[str, Any]) -> Ticket:
        """Enqueue the cancel of an order as ccxt returns it.

        Raises:
            CancelWorkerError: As for `Producer.cancel`.
        """
        named = {"order_id": order.get("id")}
        if not named["order_id"]:
            named = {"client_order_id": order.get("clientOrderId")}
        return self._session.producer.cancel(
            self._session.account, **named, pair=self._pair(order["symbol"]), side=order.get("side")
        )

    def __enter__(self) -> Self:
        """Arm the switch; from now on the exchange object places only what it covers."""
        self._session.start(self._pair(symbol) for symbol in self._symbols)
        self._wrap()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disarm after a clean exit only; after an exception the orders come off in time."""
        self._unwrap()
        if kind is None:
            self._session.stop()
        else:
            self._session.leave()

    async def __aenter__(self) -> Self:
        """Do as `__enter__`, without blocking the event loop."""
        await self._exchange.load_markets()
        pairs = [self._pair(symbol) for symbol in self._symbols]
        await asyncio.to_thread(self._session.start, pairs)
        self._wrap()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do as `__exit__`, without blocking the event loop."""
        await asyncio.to_thread(self.__exit__, kind, error, trace)

    def _pair(self, symbol: str) -> str:
        """Return a symbol as the exchange writes it."""
        return str(self._exchange.market(symbol)["id"])

    def _wrap(self) -> None:
        for name in CREATING:
            method = getattr(self._exchange, name, None)
            if method is not None:
                self._replaced[name] = self._exchange.__dict__.get(name)
                setattr(self._exchange, name, self._guarded(name, method))

    def _unwrap(self) -> None:
        for name, method in self._replaced.items():
            if method is None:
                self._exchange.__dict__.pop(name, None)
            else:
                setattr(self._exchange, name, method)
        self._replaced = {}

    def _guarded(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(method):

            @functools.wraps(method)
            async def place_async(*args: Any, **options: Any) -> Any:  # noqa: ANN401  as ccxt
                self._admit(name, args, options)
                return await method(*args, **options)

            return place_async

        @functools.wraps(method)
        def place(*args: Any, **options: Any) -> Any:  # noqa: ANN401  as ccxt
            self._admit(name, args, options)
            return method(*args, **options)

        return place

    def _admit(self, name: str, args: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Refuse an order that the switch does not cover."""
        self._session.progress()
        for symbol in _symbols(name, args, options):
            if symbol not in self._symbols:
                raise InvalidCommand(
                    f"{symbol} is not guarded; give it to guard(symbols=...) with the others"
                )


def guard(
    exchange: Any,  # noqa: ANN401  ccxt has no types
    account: str,
    *,
    symbols: Sequence[str],
    timeout_ms: int,
    name: str,
    producer: Producer | None = None,
) -> Guard:
    """Return a block in which all orders of some symbols come off if the strategy falls silent.

        with guard(exchange, "bn", symbols=["BTC/USDT"], timeout_ms=30_000, name="grid") as safe:
            while trading():
                order = exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 30_000)
                safe.progress()

    In the block the exchange object refuses to place orders of other symbols, and any order
    after the switch has ended. With ccxt's asyncio exchanges use `async with`.

    Args:
        exchange: Of ccxt; its markets are loaded if they are not.
        account: Alias of the same account in the settings of cancel-worker.
        symbols: As ccxt writes them.
        timeout_ms: From the latest progress to the deadline.
        name: Of the switch; a restarted strategy takes it over.
        producer: Default: one from the settings.

    Raises:
        SettingsError: A setting is wrong.
    """
    session = Session(account, name=name, timeout_ms=timeout_ms, producer=producer)
    if not exchange.markets and not inspect.iscoroutinefunction(exchange.load_markets):
        exchange.load_markets()
    return Guard(exchange, symbols, session)


def _symbols(name: str, args: Sequence[Any], options: Mapping[str, Any]) -> list[str]:
    """Return the symbols of a call that places orders."""
    if "rders" in name:  # create_orders, createOrders
        rows = args[0] if args else options.get("orders", ())
        return [str(row["symbol"]) for row in rows]
    at = SYMBOL_AT["edit" if name.startswith("edit") else "create"]
    return [str(args[at] if len(args) > at else options.get("symbol"))]
