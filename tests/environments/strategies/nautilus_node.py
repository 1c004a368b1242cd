"""`ops/examples/nautilus_strategy.py` in a live node of nautilus_trader without venues."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from nautilus_trader.config import LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from worker.simulator import SimulatorClient

sys.path.insert(0, str(Path(__file__).parents[3] / "ops" / "examples"))

from nautilus_strategy import Quoter

INSTRUMENT = TestInstrumentProvider.btcusdt_binance()


class Placing(Quoter):  # type: ignore[misc]
    """The example, with an order at the simulated exchange."""

    def __init__(self, url: str) -> None:
        super().__init__(INSTRUMENT.id)
        self.url = url

    def on_start(self) -> None:
        """Arm, by the example, then place."""
        super().on_start()
        SimulatorClient(self.url).place("binance", "simulated-key", "BTCUSDT")


def main(url: str) -> None:
    """Run the node until a signal."""
    config = TradingNodeConfig(
        trader_id="TESTER-001",
        logging=LoggingConfig(log_level="INFO"),
        timeout_connection=5.0,
        timeout_reconciliation=5.0,
        timeout_portfolio=5.0,
        timeout_disconnection=5.0,
        timeout_post_stop=1.0,
    )
    node = TradingNode(config)
    node.cache.add_instrument(INSTRUMENT)
    node.trader.add_strategy(Placing(url))
    node.build()
    loop = node.kernel.loop
    assert isinstance(loop, asyncio.AbstractEventLoop)
    loop.add_signal_handler(signal.SIGTERM, node.stop)
    try:
        node.run()
    finally:
        node.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
