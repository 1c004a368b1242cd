"""OKX counts most requests for each user, cancels and questions also for each instrument.

Each limit is kept for the whole account, which is never more than the exchange allows:
"Rate Limit: 60 requests per 2 seconds", "Rate limit rule: User ID + Instrument ID".
"""

from __future__ import annotations

from typing import Final

from worker.exchanges.base import Limit
from worker.model.commands import (
    CancelOrder,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)

LIMITS: Final = (
    Limit("cancels", (CancelOrder,), "account", 60, 2_000),
    Limit("queries", (QueryOrder,), "account", 60, 2_000),
    Limit("lists", (ListOpenOrders,), "account", 60, 2_000),
    # Algo orders: "Rate Limit: 20 requests per 2 seconds" each.
    Limit("algo_cancels", (CancelOrder,), "account", 20, 2_000, stops=True),
    Limit("algo_queries", (QueryOrder,), "account", 20, 2_000, stops=True),
    Limit("algo_lists", (ListStopOrders,), "account", 20, 2_000),
    # "Rate Limit: 1 request per second", "User ID + tag".
    Limit("countdown", (SetCountdown,), "account", 1, 1_000),
)
