"""hummingbot's own strategy base and clock, with a connector to the simulated exchange."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hummingbot.client.hummingbot_application import HummingbotApplication
from hummingbot.connector.exchange_base import ExchangeBase
from hummingbot.connector.markets_recorder import MarketsRecorder
from hummingbot.core.data_type.common import OrderType, TradeType
from hummingbot.core.data_type.trade_fee import AddedToCostTradeFee, TradeFeeSchema
from hummingbot.model.sql_connection_manager import SQLConnectionManager, SQLConnectionType

PAIR = "BTC-USDT"


def open_application(folder: Path) -> None:
    """Stand for hummingbot's application: its database, and no message broker."""
    HummingbotApplication._main_app = SimpleNamespace(_mqtt=None)  # noqa: SLF001
    config = SimpleNamespace(db_mode=SimpleNamespace(get_url=lambda path: f"sqlite:///{path}"))
    sql = SQLConnectionManager(config, SQLConnectionType.TRADE_FILLS, str(folder / "bot.sqlite"))
    MarketsRecorder._shared_instance = None  # noqa: SLF001  that of an earlier event loop
    MarketsRecorder.get_instance(sql, [], "grid.yml", "grid", SimpleNamespace())


class Connector(ExchangeBase):  # type: ignore[misc]
    """Places by a function in place of the network.

    Args:
        place: Takes a client order id.
    """

    def __init__(self, place: Callable[[str], None]) -> None:
        super().__init__()
        self.place = place
        self.placed = 0

    @property
    def name(self) -> str:
        """Name of the connector."""
        return "binance"

    @property
    def display_name(self) -> str:
        """The same."""
        return "binance"

    @property
    def ready(self) -> bool:
        """It needs nothing."""
        return True

    def trade_fee_schema(self) -> TradeFeeSchema:
        """No fees."""
        return TradeFeeSchema()

    def get_fee(self, *_: Any, **__: Any) -> Any:
        """No fees."""
        return AddedToCostTradeFee(percent=Decimal(0))

    async def exchange_symbol_associated_to_pair(self, trading_pair: str) -> str:
        """Return the exchange's name of a pair, as hummingbot's connectors do."""
        return trading_pair.replace("-", "")

    def buy(
        self,
        trading_pair: str,
        amount: Decimal,  # noqa: ARG002
        order_type: OrderType = OrderType.LIMIT,  # noqa: ARG002
        price: Decimal = Decimal(0),  # noqa: ARG002
        **_: Any,
    ) -> str:
        """Place an order; return its client order id."""
        return self._place(TradeType.BUY, trading_pair)

    def sell(
        self,
        trading_pair: str,
        amount: Decimal,  # noqa: ARG002
        order_type: OrderType = OrderType.LIMIT,  # noqa: ARG002
        price: Decimal = Decimal(0),  # noqa: ARG002
        **_: Any,
    ) -> str:
        """Place an order; return its client order id."""
        return self._place(TradeType.SELL, trading_pair)

    def _place(self, side: TradeType, trading_pair: str) -> str:
        self.placed += 1
        client_id = f"{side.name.lower()}-{trading_pair}-{self.placed}"
        self.place(client_id)
        return client_id
