"""A list of open orders as `Rows` reads it, compared whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.exchanges.checks import NUMBER_ID
from worker.exchanges.replies import in_scope
from worker.exchanges.rows import COUNT_MAX, Rows, scope_canceled
from worker.model.commands import ListOpenOrders
from worker.model.outcomes import OpenOrder, OpenOrders, OrderState, ScopeCanceled

ROWS = Rows(
    order_id="id",
    pair="pair",
    client_id="mine",
    stop="kind",
    plain=frozenset({"limit"}),
    ids=NUMBER_ID,
    states={"new": OrderState.OPEN, "filled": OrderState.FILLED},
    page=2,
    pages="last id",
)
ALL = ListOpenOrders()


def row(order_id: object = "1", **other: object) -> dict[str, object]:
    """Return an open order's row."""
    plain = {"pair": "BTC-USDT", "side": "buy", "status": "new", "kind": "limit", "mine": "my1"}
    return {"id": order_id, **plain, **other}


def found(*orders: OpenOrder, after: str = "", complete: bool = True, seen: str = "") -> OpenOrders:
    """Return what a list says; `seen` has a letter for each row's id."""
    return OpenOrders(orders, complete, after, tuple("" if each == "-" else each for each in seen))


ONE, TWO = OpenOrder("1", "BTC-USDT", "buy"), OpenOrder("2", "BTC-USDT", "buy")
LISTS: dict[str, tuple[Rows, ListOpenOrders, list[object], OpenOrders]] = {
    "none": (ROWS, ALL, [], found()),
    "a page that is not full": (ROWS, ALL, [row()], found(ONE, seen="1")),
    "a full page": (ROWS, ALL, [row(), row("2")], found(ONE, TWO, after="2", seen="12")),
    "a full page whose last row has no id": (
        ROWS,
        ALL,
        [row(), row("x")],
        found(ONE, complete=False, seen="1x"),
    ),
    "a full page with no way to the next": (
        replace(ROWS, pages=""),
        ALL,
        [row(), row("2")],
        found(ONE, TWO, complete=False, seen="12"),
    ),
    "a list without pages": (
        replace(ROWS, page=0, pages=""),
        ALL,
        [row(), row("2")],
        found(ONE, TWO, seen="12"),
    ),
    "a stop order": (
        ROWS,
        ALL,
        [row(kind="Trigger")],
        found(replace(ONE, stop=True), seen="1"),
    ),
    "a row that does not say its kind": (
        ROWS,
        ALL,
        [row(kind=None)],
        found(replace(ONE, stop=True), seen="1"),
    ),
    "lists that do not say": (
        replace(ROWS, stop="", plain=frozenset({"never"})),
        ALL,
        [row()],
        found(ONE, seen="1"),
    ),
    "the id is a number": (ROWS, ALL, [row(1)], found(ONE, seen="1")),
    "a row that is none": (ROWS, ALL, [None], found(complete=False, seen="-")),
    "a filled order": (ROWS, ALL, [row(status="Filled")], found(seen="1")),
    "a status that is not known": (
        ROWS,
        ALL,
        [row(status="other")],
        found(ONE, complete=False, seen="1"),
    ),
    "a side that is none": (
        ROWS,
        ALL,
        [row(side="both")],
        found(replace(ONE, side=None), complete=False, seen="1"),
    ),
    "of the prefix": (ROWS, ListOpenOrders(client_id_prefix="my"), [row()], found(ONE, seen="1")),
    "of another": (ROWS, ListOpenOrders(client_id_prefix="your"), [row()], found(seen="1")),
    "of a prefix, and a row has no client order id": (
        ROWS,
        ListOpenOrders(client_id_prefix="my"),
        [row(mine=None)],
        found(complete=False, seen="1"),
    ),
    "of another pair": (ROWS, ListOpenOrders("ETH-USDT"), [row()], found(seen="1")),
    "of the pair in another spelling": (
        ROWS,
        ListOpenOrders("btc_usdt"),
        [row()],
        found(complete=False, seen="1"),
    ),
    "of a prefix, where lists have no client order ids": (
        replace(ROWS, client_id=""),
        ListOpenOrders(client_id_prefix="XX"),
        [{**row(), "": "XX1"}],
        found(seen="1"),
    ),
}


@pytest.mark.parametrize("case", LISTS)
def test_what_a_list_says(case: str) -> None:
    """Its open orders of the scope, whether these are all, the next page, and each row's id."""
    rows, scope, listed, wanted = LISTS[case]
    answer = rows.read(scope, listed)
    assert (answer, answer.seen) == (wanted, wanted.seen)


@pytest.mark.parametrize(
    ("count", "answer"),
    [
        (0, ScopeCanceled(0)),
        (COUNT_MAX, ScopeCanceled(COUNT_MAX)),
        (COUNT_MAX + 1, None),
        (-1, None),
        (True, None),
        (1.0, None),
        ("1", None),
    ],
)
def test_a_count_of_canceled_orders(count: object, answer: ScopeCanceled | None) -> None:
    """What is no plausible count is none."""
    assert scope_canceled(count) == answer


def test_a_list_without_client_order_ids_shows_no_order_of_a_prefix() -> None:
    """Whatever the prefix."""
    assert not in_scope(ListOpenOrders(client_id_prefix="X"), "BTC-USDT", "buy")
    assert in_scope(ListOpenOrders(), "BTC-USDT", "buy")
