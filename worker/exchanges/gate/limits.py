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
    ListPairs,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.limits import Counter

LEFT: Final = Counter(
    "x-gate-ratelimit-requests-remain",
    resets="x-gate-ratelimit-reset-timestamp",
    unit_ms=1_000,
    absolute=True,
)
"""What is left of the endpoint's window, and when the next one begins, in Unix s."""
LIMITS: Final = (
    Limit("cancels", (CancelOrder, CancelScope), "account", 200, 1_000, counter=LEFT),
    Limit("queries", (QueryOrder,), "account", 200, 10_000, counter=LEFT),
    Limit("lists", (ListOpenOrders, ListStopOrders), "account", 200, 10_000, counter=LEFT),
    Limit("pairs", (ListPairs,), "ip", 200, 10_000),
    Limit("countdown", (SetCountdown,), "account", 200, 10_000, counter=LEFT),
)
