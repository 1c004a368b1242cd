"""Whole lists of open orders of BitMart, page by page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.exchanges.bitmart.replies import PAGE_ROWS, read_reply
from worker.model.commands import ListOpenOrders
from worker.model.outcomes import OpenOrder, OpenOrders
from worker.model.wire import Reply

FIRST, SECOND = ListOpenOrders("BMX_ETH"), ListOpenOrders("BMX_ETH", after="1")
THIRD = ListOpenOrders("BMX_ETH", after="2")
ROW = {"entrust_id": 7, "symbol": "BMX_ETH", "side": "buy", "status": 1}
ORDER = OpenOrder("7", "BMX_ETH", "buy")
FULL = {"orders": [ROW] * PAGE_ROWS}
NONE = {"orders": None}


def found(count: int, after: str = "", *, complete: bool = True) -> OpenOrders:
    """Return what a page with so many orders says."""
    return OpenOrders((ORDER,) * count, complete, after, ("7",) * count)


PAGES: list[tuple[ListOpenOrders, dict[str, Any], OpenOrders | None]] = [
    (FIRST, {"orders": [ROW], "total_orders": 1}, found(1)),
    (FIRST, {"orders": [ROW], "total_orders": 2}, found(1, complete=False)),
    (FIRST, FULL, found(PAGE_ROWS, "1")),
    (FIRST, {**FULL, "current_page": 0}, found(PAGE_ROWS, "1")),
    (FIRST, {**FULL, "current_page": 1}, found(PAGE_ROWS, complete=False)),
    (SECOND, {**FULL, "current_page": 1}, found(PAGE_ROWS, "2")),
    # No rows: a page after a full one says how many orders there are, and that is all.
    (FIRST, {**NONE, "total_orders": 0}, found(0)),
    (FIRST, {**NONE, "total_orders": 1}, None),
    (FIRST, NONE, None),
    (SECOND, {**NONE, "total_orders": 0}, found(0)),
    (SECOND, {**NONE, "total_orders": PAGE_ROWS}, found(0)),
    (SECOND, {**NONE, "total_orders": PAGE_ROWS + 1}, None),
    (SECOND, NONE, None),
    (THIRD, {**NONE, "total_orders": 2 * PAGE_ROWS}, found(0)),
]


@pytest.mark.parametrize(("scope", "body", "wanted"), PAGES)
def test_a_page_says_whether_it_is_the_last(
    scope: ListOpenOrders, body: dict[str, Any], wanted: OpenOrders | None
) -> None:
    """Its orders, whether another page follows, and the id of each row."""
    answer = read_reply(scope, Reply(200, {}, json.dumps(body).encode(), received_ms=0))
    if wanted is None:
        assert not isinstance(answer, OpenOrders)
    else:
        assert isinstance(answer, OpenOrders)
        assert (answer, answer.seen) == (wanted, wanted.seen)
