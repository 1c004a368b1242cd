"""A strategy on ccxt: its orders of one symbol come off if it falls silent for 30 s."""

from __future__ import annotations

import ccxt

from worker.integrations.ccxt import guard


def main() -> None:
    """Quote until interrupted; needs the account `bn` in the settings of cancel-worker."""
    exchange = ccxt.binance({"apiKey": "…", "secret": "…"})
    with guard(exchange, "bn", symbols=["BTC/USDT"], timeout_ms=30_000, name="grid") as safe:
        while True:
            order = exchange.create_order("BTC/USDT", "limit", "buy", 0.001, 20_000)
            exchange.sleep(5_000)
            safe.progress()
            safe.cancel(order)


if __name__ == "__main__":
    main()
