"""`ops/examples/ccxt_grid.py`, with ccxt's Binance answered by the simulator."""

from __future__ import annotations

import sys
from pathlib import Path

TOP = Path(__file__).parents[3]
sys.path[:0] = [str(TOP), str(TOP / "ops" / "examples")]

import ccxt  # noqa: E402  after the path

from tests.environments.ccxt_bot import Simulated  # noqa: E402  same

ccxt.binance = Simulated

import ccxt_grid  # noqa: E402  after the change above

ccxt_grid.main()
