"""What sets Gate's two simulated markets apart."""

from __future__ import annotations

from dataclasses import dataclass

from worker.simulator.book import Order
from worker.simulator.gate.replies import (
    futures_row,
    futures_stop_row,
    spot_row,
    spot_stop_row,
)


@dataclass(frozen=True, slots=True)
class Market:
    """What sets one market apart.

    Attributes:
        home: Of its paths.
        pair: Name of a pair among the parameters.
        stop_pair: The same in the list of stop orders.
        buy: Buy orders in a cancel of a scope.
        unknown_pair: Label of a pair that is not there.
        pairs: Of the path of the public list of pairs, below `home`.
        futures: Whether rows and memory are those of the futures.
    """

    home: str
    pair: str
    stop_pair: str
    buy: str
    unknown_pair: str
    pairs: str
    futures: bool = False

    def row(self, order: Order) -> dict[str, object]:
        """Write an order."""
        if order.stop:
            return futures_stop_row(order) if self.futures else spot_stop_row(order)
        return futures_row(order) if self.futures else spot_row(order)


SPOT = Market("/spot", "currency_pair", "market", "buy", "INVALID_CURRENCY_PAIR", "/currency_pairs")
FUTURES = Market(
    "/futures/usdt",
    "contract",
    "contract",
    "bid",
    "CONTRACT_NOT_FOUND",
    "/contracts",
    futures=True,
)
