"""Indodax's trade API as its documents describe it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.exchange_clients import KEY, IndodaxTrader
from worker.simulator import Simulator

INVALID_ORDER = {"success": 0, "error": "invalid order.", "error_code": "invalid_order"}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A simulator whose clock is stopped until it is stepped."""
    with Simulator(clock=lambda: 1_700_000_000_000.0) as running:
        yield running


@pytest.fixture
def trader(sim: Simulator) -> IndodaxTrader:
    return IndodaxTrader(sim)


def test_cancel_order(sim: Simulator, trader: IndodaxTrader) -> None:
    """Pair, order_id and type are needed; the order comes back in `return`."""
    (order_id,) = sim.place("indodax", KEY, side="sell")
    assert order_id.isdigit()
    reply = trader.trade("cancelOrder", pair="btc_idr", order_id=order_id, type="sell")
    assert reply.json["success"] == 1
    result = reply.json["return"]
    assert (result["order_id"], result["pair"], result["type"]) == (
        int(order_id),
        "btc_idr",
        "sell",
    )
    assert sim.order("indodax", order_id).closed_by == "cancel"


@pytest.mark.parametrize(
    "wrong", [{"pair": "eth_idr"}, {"type": "sell"}, {"order_id": "1"}, {"type": ""}]
)
def test_cancel_of_what_is_not_there(
    sim: Simulator, trader: IndodaxTrader, wrong: dict[str, str]
) -> None:
    """An order that is unknown, or of another pair or side, is an invalid order."""
    (order_id,) = sim.place("indodax", KEY)
    right = {"pair": "btc_idr", "order_id": order_id, "type": "buy"}
    assert trader.trade("cancelOrder", **(right | wrong)).json == INVALID_ORDER
    assert sim.order("indodax", order_id).status == "open"


def test_cancel_of_a_stop_order(sim: Simulator, trader: IndodaxTrader) -> None:
    """A list shows what it is; its cancel has to say so, and no other may."""
    (stop,), (plain,) = sim.place("indodax", KEY, stop=True), sim.place("indodax", KEY)
    rows = trader.trade("openOrders", pair="btc_idr").json["return"]["orders"]
    types = {row["order_id"]: row["order_type"] for row in rows}
    assert types == {stop: "stoplimit", plain: "limit"}
    named = {"pair": "btc_idr", "type": "buy"}
    assert trader.trade("cancelOrder", **named, order_id=stop).json == INVALID_ORDER
    wrong = trader.trade("cancelOrder", **named, order_id=plain, order_type="stoplimit")
    assert wrong.json == INVALID_ORDER
    right = trader.trade("cancelOrder", **named, order_id=stop, order_type="stoplimit")
    assert right.json["success"] == 1
    assert (sim.order("indodax", stop).status, sim.order("indodax", plain).status) == (
        "canceled",
        "open",
    )


def test_cancel_of_a_closed_order(sim: Simulator, trader: IndodaxTrader) -> None:
    """Canceled and filled orders are invalid orders too."""
    canceled, filled = sim.place("indodax", KEY, count=2)
    sim.fill("indodax", filled)
    trader.trade("cancelOrder", pair="btc_idr", order_id=canceled, type="buy")
    for order_id in (canceled, filled):
        reply = trader.trade("cancelOrder", pair="btc_idr", order_id=order_id, type="buy")
        assert reply.json == INVALID_ORDER
        assert sim.journal()[-1].refusal == "order"


def test_open_orders_with_and_without_a_pair(sim: Simulator, trader: IndodaxTrader) -> None:
    """With a pair a list, without one a dict keyed by pair; ids are strings."""
    (bitcoin,) = sim.place("indodax", KEY, pair="btc_idr")
    (ether,) = sim.place("indodax", KEY, pair="eth_idr", side="sell")
    (gone,) = sim.place("indodax", KEY, pair="eth_idr")
    sim.fill("indodax", gone)
    (row,) = trader.trade("openOrders", pair="btc_idr").json["return"]["orders"]
    assert (row["order_id"], row["type"], row["submit_time"]) == (bitcoin, "buy", "1700000000")
    by_pair = trader.trade("openOrders").json["return"]["orders"]
    assert {pair: [row["order_id"] for row in rows] for pair, rows in by_pair.items()} == {
        "btc_idr": [bitcoin],
        "eth_idr": [ether],
    }


@pytest.mark.parametrize(
    ("option", "with_pair", "without"), [("null", None, None), ("empty", [], {})]
)
def test_open_orders_when_there_are_none(
    sim: Simulator, trader: IndodaxTrader, option: str, with_pair: object, without: object
) -> None:
    """Null as ccxt has seen it, or empty, as the option says."""
    sim.set_option("indodax_no_orders", option)
    assert trader.trade("openOrders", pair="btc_idr").json["return"]["orders"] == with_pair
    assert trader.trade("openOrders").json["return"]["orders"] == without


def test_get_order_shows_all_three_statuses(sim: Simulator, trader: IndodaxTrader) -> None:
    """The status is open, filled or cancelled."""
    ids = sim.place("indodax", KEY, count=3)
    sim.fill("indodax", ids[1])
    trader.trade("cancelOrder", pair="btc_idr", order_id=ids[2], type="buy")
    rows = [
        trader.trade("getOrder", pair="btc_idr", order_id=order_id).json["return"]["order"]
        for order_id in ids
    ]
    assert [row["status"] for row in rows] == ["open", "filled", "cancelled"]
    assert [row["order_id"] for row in rows] == ids
    assert trader.trade("getOrder", pair="btc_idr", order_id=1).json == INVALID_ORDER
    assert [arrival.operation for arrival in sim.journal()][-1] == "query"


def test_unknown_methods_and_pairs_are_refused(trader: IndodaxTrader) -> None:
    """They are errors as HTTP 200, like all others."""
    assert trader.trade("withdrawCoin").json["error_code"] == "invalid_method"
    reply = trader.trade("cancelOrder", pair="nonsense", order_id=1, type="buy")
    assert reply.json["error_code"] == "invalid_pair"


def test_nonces_are_shared_with_the_countdown(trader: IndodaxTrader) -> None:
    """A key has one sequence of nonces, whatever it asks for."""
    trader.countdown(pair="btc_idr", nonce=9_000)
    assert trader.trade("openOrders", nonce=9_000).json["error_code"] == "invalid_nonce"
    assert trader.trade("openOrders", nonce=9_001).json["success"] == 1


def test_thirty_cancels_a_second_per_user(sim: Simulator, trader: IndodaxTrader) -> None:
    """The thirty-first within a second is refused with HTTP 429; questions are not."""
    ids = sim.place("indodax", KEY, count=31)
    for order_id in ids[:30]:
        reply = trader.trade("cancelOrder", pair="btc_idr", order_id=order_id, type="buy")
        assert reply.json["success"] == 1
    reply = trader.trade("cancelOrder", pair="btc_idr", order_id=ids[30], type="buy")
    assert (reply.status, reply.json["error_code"]) == (429, "too_many_requests")
    assert trader.trade("openOrders").status == 200
    assert sim.order("indodax", ids[30]).status == "open"
    sim.step_clock(1_000)
    reply = trader.trade("cancelOrder", pair="btc_idr", order_id=ids[30], type="buy")
    assert reply.json["success"] == 1
