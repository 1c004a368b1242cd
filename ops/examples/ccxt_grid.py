"""A strategy on ccxt: its orders of one symbol come off if it falls silent for 30 s."""

from __future__ import annotations

import signal
import threading

import ccxt

from worker.integrations.ccxt import guard


def main() -> None:
    """Quote until asked to stop; needs the account `bn` in the settings of cancel-worker."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    exchange = ccxt.binance({"apiKey": "…", "secret": "…"})
    with guard(exchange, "bn", symbols=["BTC/USDT"], timeout_ms=30_000, name="grid") as safe:
        while not stopping.is_set():
            order = exchange.create_order("BTC/USDT", "limit", "buy", 0.001, 20_000)
            stopping.wait(5)
            safe.progress()
            safe.cancel(order)


if __name__ == "__main__":
    main()
