"""KuCoin counts weights for each user, in 30 seconds: 4,000 at the lowest VIP level.

Cancels weigh 1, questions and lists 2, the cancel of all pairs 30. Stop orders weigh more,
and their cancels are counted as those of others: a pair has at most 20 of them. An older document
allows one countdown in 3 seconds, the newer one weighs it 2: both are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.exchanges.base import Limit
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    ReadTimer,
    SetCountdown,
)
from worker.model.limits import Counter

WEIGHTS: Final[Mapping[type[Command], int | tuple[int, int]]] = {
    CancelScope: (2, 30),
    QueryOrder: 2,
    ListOpenOrders: 2,
    ListStopOrders: 8,
    SetCountdown: 2,
    ReadTimer: 2,
}
LIMITS: Final = (
    Limit(
        "weight",
        (CancelOrder, *WEIGHTS),
        "account",
        4_000,
        30_000,
        weights=WEIGHTS,
        # "Remaining quota" and the ms until it is whole again.
        counter=Counter("gw-ratelimit-remaining", resets="gw-ratelimit-reset"),
    ),
    Limit("countdown", (SetCountdown,), "account", 1, 3_000),
)
