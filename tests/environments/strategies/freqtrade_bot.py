"""`ops/examples/freqtrade_strategy.py`, run in the order in which freqtrade's bot calls it."""

from __future__ import annotations

import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from freqtrade.data.dataprovider import DataProvider
from freqtrade.enums import RunMode
from freqtrade.strategy.strategy_wrapper import strategy_safe_wrapper

from worker.simulator import SimulatorClient

sys.path.insert(0, str(Path(__file__).parents[3] / "ops" / "examples"))

from freqtrade_strategy import Quiet

PAIR = "BTC/USDT"
LOOP_S = 1.0
TIMEOUT_MS = 20_000


class Impatient(Quiet):  # type: ignore[misc]
    """The example, with a shorter timeout."""

    switch_timeout_ms = TIMEOUT_MS


def main(url: str) -> None:
    """Loop as freqtrade does, until a signal."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    config: dict[str, Any] = {
        "runmode": RunMode.LIVE,
        "bot_name": "quiet",
        "stake_currency": "USDT",
    }
    strategy = Impatient(config)
    exchange: Any = SimpleNamespace(markets={PAIR: {"id": "BTCUSDT"}})
    lists: Any = SimpleNamespace(whitelist=[PAIR])
    strategy.dp = DataProvider(config, exchange, lists)
    strategy.ft_bot_start()
    confirm = strategy_safe_wrapper(strategy.confirm_trade_entry, default_retval=True)
    placed = False
    try:
        while not stopping.is_set():
            now = datetime.now(UTC)  # noqa: TID251  freqtrade's argument
            strategy_safe_wrapper(strategy.bot_loop_start, supress_error=True)(current_time=now)
            if not placed and confirm(
                pair=PAIR,
                order_type="limit",
                amount=1.0,
                rate=1.0,
                time_in_force="GTC",
                current_time=now,
                entry_tag=None,
                side="long",
            ):
                SimulatorClient(url).place("binance", "simulated-key", "BTCUSDT")
                placed = True
            stopping.wait(LOOP_S)
    finally:
        strategy.ft_bot_cleanup()


if __name__ == "__main__":
    main(sys.argv[1])
