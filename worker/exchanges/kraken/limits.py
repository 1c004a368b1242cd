"""Kraken keeps a counter for each API key, and one for each pair of an account.

"Every REST API user has a call counter"; "all other API calls increase this counter by 1
(except AddOrder, CancelOrder which operate on a different limiter)". The lowest tier has 15
and loses 0.33 a second: 15 in any 45 s never exceed that.
"""

from __future__ import annotations

from typing import Final

from worker.exchanges.base import Limit
from worker.model.commands import CancelScope, ListOpenOrders, QueryOrder, SetCountdown

LIMITS: Final = (
    Limit(
        "calls",
        (QueryOrder, ListOpenOrders, CancelScope, SetCountdown),
        "account",
        15,
        45_000,
    ),
)
