"""ccxt's Binance, answered by the simulated exchange."""

from __future__ import annotations

import sys
from typing import Any

import ccxt

from worker.simulator import SimulatorClient

KEY = "simulated-key"
SIM = SimulatorClient(sys.argv[1])
MARKET = {
    "id": "BTCUSDT",
    "symbol": "BTC/USDT",
    "spot": True,
    "type": "spot",
    "base": "BTC",
    "quote": "USDT",
    "active": True,
    "precision": {"amount": 1e-6, "price": 0.01},
    "limits": {each: {} for each in ("amount", "price", "cost", "leverage")},
    **dict.fromkeys(("contract", "swap", "future", "option", "margin", "linear", "inverse"), False),
    "info": {"orderTypes": ["LIMIT"]},
}


class Simulated(ccxt.binance):  # type: ignore[misc]
    """Places at the simulated exchange, below ccxt's own methods."""

    def load_markets(self, *_: Any, **__: Any) -> Any:
        """Set the one market."""
        return self.set_markets([MARKET])

    def private_post_order(self, params: dict[str, Any]) -> dict[str, Any]:
        """Place an order, and answer as Binance does."""
        client_id = str(params.get("newClientOrderId", ""))
        ids = SIM.place("binance", KEY, params["symbol"], "buy", client_ids=[client_id])
        answer = {"symbol": params["symbol"], "orderId": ids[0], "clientOrderId": client_id}
        return {**answer, "status": "NEW", "side": params["side"], "type": params["type"]}

    privatePostOrder = private_post_order  # noqa: N815  ccxt's other name
