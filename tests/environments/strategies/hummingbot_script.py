"""`ops/examples/hummingbot_strategy.py` under hummingbot's clock, stopped as hummingbot does."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).parents[3]
sys.path[:0] = [str(TOP), str(TOP / "ops" / "examples")]

from hummingbot.core.clock import Clock, ClockMode  # noqa: E402  after the path
from hummingbot_strategy import Quoter, QuoterConfig  # noqa: E402  of the folder above

from tests.environments.hummingbot_bot import Connector, open_application  # noqa: E402  after the path
from worker.simulator import SimulatorClient  # noqa: E402  same


async def main(url: str) -> None:
    """Run until a signal."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    exchange = SimulatorClient(url)
    connector = Connector(
        lambda client_id: void(
            exchange.place("binance", "simulated-key", "BTCUSDT", client_ids=[client_id])
        )
    )
    folder = tempfile.TemporaryDirectory()
    open_application(Path(folder.name))
    config = QuoterConfig()
    Quoter.init_markets(config)
    strategy = Quoter({"binance": connector}, config)
    clock = Clock(ClockMode.REALTIME, tick_size=1.0)
    clock.add_iterator(strategy)
    with clock:
        running = asyncio.create_task(clock.run())
        await stopping.wait()
        await strategy.on_stop()
        clock.remove_iterator(strategy)
        running.cancel()
    folder.cleanup()


def void(_: object) -> None:
    """Return nothing."""


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
