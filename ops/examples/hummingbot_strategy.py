"""A hummingbot strategy whose orders come off if the bot falls silent for 30 s."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

from hummingbot.core.data_type.common import MarketDict, OrderType
from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase

from worker.integrations.hummingbot import SwitchMixin


class QuoterConfig(StrategyV2ConfigBase):  # type: ignore[misc]
    """Copy the file to `scripts`; the account `bn` is in the settings of cancel-worker."""

    script_file_name: str = os.path.basename(__file__)  # noqa: PTH119  as hummingbot has it

    def update_markets(self, markets: MarketDict) -> MarketDict:
        """Trade one pair."""
        return markets.add_or_update("binance", "BTC-USDT")


class Quoter(SwitchMixin, StrategyV2Base):  # type: ignore[misc]
    """Keeps one order."""

    def __init__(self, connectors: dict[str, Any], config: QuoterConfig | None = None) -> None:
        super().__init__(connectors, config)
        self.use_switch({"binance": "bn"}, timeout_ms=30_000, name="quoter")

    def on_tick(self) -> None:
        """Trade here: the switch is armed."""
        if not self.get_active_orders("binance"):
            self.buy("binance", "BTC-USDT", Decimal("0.001"), OrderType.LIMIT, Decimal(20_000))
