"""Deribit gives each sub-account credits, which requests use up and time brings back.

Requests to the matching engine: in the lowest tier 20 at once, and 5 each second. Others cost
500 credits of 50,000, of which 10,000 come back each second. The list of instruments: "Sustained
rate: 1 request/second".
"""

from __future__ import annotations

from typing import Final

from worker.exchanges.base import Limit
from worker.model.commands import CancelOrder, CancelScope, ListOpenOrders, ListPairs, QueryOrder

LIMITS: Final = (
    Limit("cancels", (CancelOrder, CancelScope), "account", 20, 4_000),
    Limit("queries", (QueryOrder, ListOpenOrders), "account", 20, 1_000),
    Limit("instruments", (ListPairs,), "ip", 1, 1_000),
)
