"""Binance counts request weights for each IP address, in a minute.

The documents give 6,000 for spot; 2,400 for futures is what other clients use. A list of all
symbols weighs more than that of one. Renewals of timers may take a third of the futures'
weights, so that cancels always find room.
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
from worker.model.limits import Counter

USED: Final = "x-mbx-used-weight-1m"
""""X-MBX-USED-WEIGHT-(intervalNum)(intervalLetter)": what the address has used in this minute."""
_JOBS: Final = (CancelOrder, CancelScope, QueryOrder, ListOpenOrders)
SPOT_LIMITS: Final = (
    Limit(
        "weight",
        _JOBS,
        "ip",
        6_000,
        MINUTE_MS,
        weights={QueryOrder: 4, ListOpenOrders: (6, 80)},
        counter=Counter(USED, used_of=6_000),
    ),
)
FUTURES_LIMITS: Final = (
    Limit(
        "weight",
        (*_JOBS, ListStopOrders, SetCountdown),
        "ip",
        2_400,
        MINUTE_MS,
        weights={ListOpenOrders: (1, 40), ListStopOrders: (1, 40), SetCountdown: 10},
        counter=Counter(USED, used_of=2_400),
    ),
    Limit("countdown", (SetCountdown,), "ip", 80, MINUTE_MS, paced=True),
)
