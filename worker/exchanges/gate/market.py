"""What sets Gate's two markets apart, as data: paths, names of parameters, forms of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from worker.exchanges.gate.rows import (
    Row,
    futures_row,
    futures_stop_row,
    spot_row,
    spot_stop_row,
)


@dataclass(frozen=True, slots=True)
class Market:
    """One market.

    Attributes:
        home: Below which its endpoints are.
        pair: Parameter and key for a pair.
        stop_pair: The same where stop orders are listed.
        order_by_pair: Requests for one order name its pair.
        lists_by_pair: The list of one pair has an address of its own, and that of all pairs
            comes grouped by pair.
        pages: Parameter for a page of open orders: `page`, by number from 1, or `offset`.
        bid: What stands for buy orders in a cancel of a scope.
        ask: What stands for sell orders there.
        row: Reads an order.
        stop_row: Reads a price-triggered order.
        pairs: Address of the public list of its pairs.
        pairs_page: Rows of a page of that list; 0 if it has no pages.
        pair_name: Key of a pair there.
        pair_parts: Keys of the two currencies of a pair there; empty without them.
    """

    home: str
    pair: str
    stop_pair: str
    order_by_pair: bool
    lists_by_pair: bool
    pages: str
    bid: str
    ask: str
    row: Callable[[object], Row] = field(repr=False)
    stop_row: Callable[[object], Row] = field(repr=False)
    pairs: str
    pairs_page: int
    pair_name: str
    pair_parts: tuple[str, str] = ("", "")


SPOT: Final = Market(
    "/api/v4/spot",
    "currency_pair",
    "market",
    order_by_pair=True,
    lists_by_pair=True,
    pages="page",
    bid="buy",
    ask="sell",
    row=spot_row,
    stop_row=spot_stop_row,
    pairs="/api/v4/spot/currency_pairs",
    pairs_page=0,
    pair_name="id",
    pair_parts=("base", "quote"),
)
FUTURES: Final = Market(
    "/api/v4/futures/usdt",
    "contract",
    "contract",
    order_by_pair=False,
    lists_by_pair=False,
    pages="offset",
    bid="bid",
    ask="ask",
    row=futures_row,
    stop_row=futures_stop_row,
    pairs="/api/v4/futures/usdt/contracts",
    pairs_page=100,
    pair_name="name",
)
