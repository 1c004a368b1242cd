"""A dead man's switch for a strategy that trades by ccxt, blocking or asyncio."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

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
PARAMS_AT = 5
"""Position of the parameters in those of `create_order`."""
RANDOM = 12
"""Characters of a client order id that are made here, after its prefix."""
TAKES_IDS = ("binance", "bybit", "gate", "kraken", "kucoin", "okx")
"""How ccxt's ids of exchanges begin to which it passes on a new order's `clientOrderId`."""


class Guard:
    """Covers all orders of some symbols while its block runs; see `guard`.

    An order whose placing was not answered is covered too: the switch is on the pair, or on
    the beginning of the client order ids, and each order gets its id before it is sent.
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
                args, options = self._named(name, args, options)
                return await method(*args, **options)

            return place_async

        @functools.wraps(method)
        def place(*args: Any, **options: Any) -> Any:  # noqa: ANN401  as ccxt
            self._admit(name, args, options)
            args, options = self._named(name, args, options)
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

    def _named(
        self, name: str, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a call, with client order ids that the switch covers."""
        if self._session.client_id_prefix is None:
            return args, options
        if name.startswith("edit"):
            raise InvalidCommand(
                "an edited order may lose its client order id, and so its switch; "
                "cancel it and place another"
            )
        if "rders" in name:
            rows = [
                {**row, "params": self._own(row.get("params"))}
                for row in (args[0] if args else options.get("orders", ()))
            ]
            return ((rows, *args[1:]), options) if args else ((), {**options, "orders": rows})
        if len(args) > PARAMS_AT:
            own = self._own(args[PARAMS_AT])
            return (*args[:PARAMS_AT], own, *args[PARAMS_AT + 1 :]), options
        return args, {**options, "params": self._own(options.get("params"))}

    def _own(self, params: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return an order's parameters with a client order id that the switch covers.

        Raises:
            InvalidCommand: They have another one.
        """
        prefix = self._session.client_id_prefix or ""
        given = dict(params or {})
        client_id = str(given.setdefault("clientOrderId", prefix + uuid4().hex[:RANDOM]))
        if not client_id.startswith(prefix):
            raise InvalidCommand(f"the client order id must begin with {prefix}")
        return given


def guard(
    exchange: Any,  # noqa: ANN401  ccxt has no types
    account: str,
    *,
    symbols: Sequence[str],
    timeout_ms: int,
    name: str,
    client_id_prefix: str | None = None,
    producer: Producer | None = None,
) -> Guard:
    """Return a block in which all orders of some symbols come off if the strategy falls silent.

        with guard(exchange, "bn", symbols=["BTC/USDT"], timeout_ms=30_000, name="grid") as safe:
            while trading():
                order = exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 30_000)
                safe.progress()

    In the block the exchange object refuses to place orders of other symbols, and any order
    after the switch has ended. With ccxt's asyncio exchanges use `async with`.

    All orders of these symbols are covered, also those of others. With `client_id_prefix` only
    the orders of this block are: each gets a client order id that begins with it before it is
    sent, unless it has one. `edit_order` is refused then.

    Args:
        exchange: Of ccxt; its markets are loaded if they are not.
        account: Alias of the same account in the settings of cancel-worker.
        symbols: As ccxt writes them.
        timeout_ms: From the latest progress to the deadline.
        name: Of the switch; a restarted strategy takes it over.
        client_id_prefix: In the characters that the exchange allows, and so short that 12 more
            fit; on Binance, Bybit, Gate, Kraken, KuCoin and OKX.
        producer: Default: one from the settings.

    Raises:
        InvalidCommand: The exchange takes no `client_id_prefix`.
        SettingsError: A setting is wrong.
    """
    if client_id_prefix is not None and not str(exchange.id).startswith(TAKES_IDS):
        raise InvalidCommand(f"client_id_prefix is not offered by {exchange.id}; leave it out")
    session = Session(
        account,
        name=name,
        timeout_ms=timeout_ms,
        producer=producer,
        client_id_prefix=client_id_prefix,
    )
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
