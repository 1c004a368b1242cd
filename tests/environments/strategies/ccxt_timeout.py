"""Places an order whose answer is lost, beside an order that was placed by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import ccxt

from tests.environments.ccxt_bot import KEY, SIM, Simulated
from worker.integrations.ccxt import guard


class Lossy(Simulated):
    """The order arrives, the answer does not."""

    def private_post_order(self, params: dict[str, Any]) -> dict[str, Any]:
        """Place, and time out."""
        super().private_post_order(params)
        raise ccxt.RequestTimeout("no answer")

    privatePostOrder = private_post_order  # noqa: N815  ccxt's other name


def main() -> None:
    """Run until killed."""
    exchange = Lossy({"apiKey": "k", "secret": "s", "enableRateLimit": False})
    options: dict[str, Any] = {"timeout_ms": 20_000, "name": "own", "client_id_prefix": "own-"}
    with guard(exchange, "bn", symbols=["BTC/USDT"], **options) as safe:
        SIM.place("binance", KEY, "BTCUSDT", client_ids=["manual-1"])
        try:
            exchange.create_order("BTC/USDT", "limit", "buy", 0.001, 20_000)
        except ccxt.RequestTimeout:
            while True:
                safe.progress()
                exchange.sleep(500)


if __name__ == "__main__":
    main()
