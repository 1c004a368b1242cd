"""Binance counts request weights for each IP address, in a minute.

The documents give 6,000 for spot; 2,400 for futures is what other clients
use. Each command has a share of it, at the weight of its heaviest form.
"""

from __future__ import annotations

from typing import Final

from worker.exchanges.base import MINUTE_MS, Limit
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)

SPOT_LIMITS: Final = (
    Limit("cancels", (CancelOrder, CancelScope), "ip", 1_800, MINUTE_MS),  # weight 1 each
    Limit("queries", (QueryOrder,), "ip", 300, MINUTE_MS),  # weight 4
    Limit("lists", (ListOpenOrders,), "ip", 30, MINUTE_MS),  # weight 6, or 80 without a symbol
)
FUTURES_LIMITS: Final = (
    Limit("cancels", (CancelOrder, CancelScope), "ip", 600, MINUTE_MS),  # weight 1 each
    Limit("queries", (QueryOrder,), "ip", 300, MINUTE_MS),  # weight 1
    # weight 1, or 40 without a symbol
    Limit("lists", (ListOpenOrders, ListStopOrders), "ip", 15, MINUTE_MS),
    Limit("countdown", (SetCountdown,), "ip", 80, MINUTE_MS, paced=True),  # weight 10
)
