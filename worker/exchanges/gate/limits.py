"""Gate counts by user: "The rate limit is counted against each sub-account or main account".

Cancels may come 200 times in 1 s, every other private request 200 times in 10 s for each
endpoint. Endpoints that are counted apart share a limit here where that costs nothing.
"""

from __future__ import annotations

from typing import Final

from worker.exchanges.base import Limit
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)

LIMITS: Final = (
    Limit("cancels", (CancelOrder, CancelScope), "account", 200, 1_000),
    Limit("queries", (QueryOrder,), "account", 200, 10_000),
    Limit("lists", (ListOpenOrders, ListStopOrders), "account", 200, 10_000),
    Limit("countdown", (SetCountdown,), "account", 200, 10_000),
)
