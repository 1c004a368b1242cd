"""Bybit counts requests for each user, and those of an IP address.

"The API rate limit is based on the rolling time window per second and UID." The table gives
10 cancels a second for contracts and 20 for spot: the lower one is kept, and the setting
`limits` raises it.
"""

from __future__ import annotations

from typing import Final

from worker.exchanges.base import Limit
from worker.model.commands import CancelOrder, CancelScope, ListOpenOrders, ListPairs, QueryOrder
from worker.model.limits import Counter

SECOND_MS: Final = 1_000
LEFT: Final = Counter("x-bapi-limit-status", resets="x-bapi-limit-reset-timestamp", absolute=True)
""""Your remaining requests for current endpoint", and when that is over, in Unix ms."""
_ALL: Final = (CancelOrder, CancelScope, QueryOrder, ListOpenOrders, ListPairs)
LIMITS: Final = (
    Limit("cancels", (CancelOrder,), "account", 10, SECOND_MS, counter=LEFT),
    Limit("cancel_all", (CancelScope,), "account", 10, SECOND_MS, counter=LEFT),
    Limit("queries", (QueryOrder, ListOpenOrders), "account", 50, SECOND_MS, counter=LEFT),
    # "You are allowed to send 600 requests within a 5-second window per IP by default."
    Limit("requests", _ALL, "ip", 600, 5_000),
)
