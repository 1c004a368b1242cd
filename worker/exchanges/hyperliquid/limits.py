"""Hyperliquid counts the weights of an IP address in a minute, and the requests of an account.

"REST requests share an aggregated weight limit of 1200 per minute"; an action weighs 1, and of
the questions "orderStatus" weighs 2 and most others 20. What an account may request grows with
what it trades, over its whole life: that is known from a refusal alone.
"""

from __future__ import annotations

from typing import Final

from worker.exchanges.base import MINUTE_MS, Limit
from worker.model.commands import (
    CancelOrder,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
    ReadTimer,
    SetCountdown,
)

LIMITS: Final = (
    Limit(
        "weight",
        (CancelOrder, QueryOrder, ListOpenOrders, ListPairs, SetCountdown, ReadTimer),
        "ip",
        1_200,
        MINUTE_MS,
        weights={QueryOrder: 2, ListOpenOrders: 20, ListPairs: 20, ReadTimer: 20},
    ),
)
