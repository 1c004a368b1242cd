"""The simulated Kraken refuses what the exchange refuses."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.exchange_clients import ask
from worker.simulator import Simulator
from worker.simulator.options import Options
from worker.simulator.signing import kraken_signature

KEY, SECRET = "kraken-key", "a3Jha2VuLXNlY3JldA=="


class KrakenTrader:
    """Signs with the simulator's own code; counts its own nonces."""

    def __init__(self, sim: Simulator) -> None:
        sim.add_key("kraken", KEY, SECRET)
        self.sim = sim
        self.nonce = 1_000

    def send(self, method: str, *, secret: str = SECRET, nonce: int = 0, **fields: object) -> Any:
        """Call a method; return its errors and its result."""
        self.nonce += 1
        number = nonce or self.nonce
        path, body = f"/0/private/{method}", urlencode({"nonce": number, **fields}).encode()
        signature = kraken_signature(secret, path, str(number), body)
        headers = {"API-Key": KEY, "API-Sign": signature, "User-Agent": "test"}
        found = ask(self.sim.url("kraken"), "POST", path, headers, body).json
        return found["error"] or found["result"]

    def place(self, pair: str = "XBTUSD") -> str:
        """Place one order."""
        return self.sim.place("kraken", KEY, pair=pair)[0]


@pytest.fixture
def sim() -> Any:
    """A simulator whose clock does not move."""
    with Simulator(options=Options(), clock=lambda: 1_700_000_000_000.0) as sim:
        yield sim


@pytest.fixture
def trader(sim: Simulator) -> KrakenTrader:
    return KrakenTrader(sim)


def test_an_order_is_canceled_once(sim: Simulator, trader: KrakenTrader) -> None:
    """The second cancel does not know it."""
    order = trader.place()
    assert trader.send("CancelOrder", txid=order) == {"count": 1}
    assert sim.order("kraken", order).closed_by == "cancel"
    assert trader.send("CancelOrder", txid=order) == ["EOrder:Unknown order"]
    assert trader.send("QueryOrders", txid=order)[order]["status"] == "canceled"


def test_an_order_is_canceled_by_the_id_of_its_trader(sim: Simulator, trader: KrakenTrader) -> None:
    """While it is open."""
    (order,) = sim.place("kraken", KEY, client_ids=["mine-1"])
    assert trader.send("CancelOrder", cl_ord_id="mine-2") == ["EOrder:Unknown order"]
    assert trader.send("CancelOrder", cl_ord_id="mine-1") == {"count": 1}
    assert sim.order("kraken", order).closed_by == "cancel"
    assert trader.send("CancelOrder", cl_ord_id="mine-1") == ["EOrder:Unknown order"]


def test_nonces_rise(trader: KrakenTrader) -> None:
    """An equal one is refused, with a right signature; a gap is none."""
    assert trader.send("OpenOrders", nonce=5_000) == {"open": {}}
    assert trader.send("OpenOrders", nonce=5_000) == ["EAPI:Invalid nonce"]
    assert trader.send("OpenOrders", nonce=9_000) == {"open": {}}


def test_a_stranger_is_refused(trader: KrakenTrader) -> None:
    """By the signature."""
    assert trader.send("OpenOrders", secret="AAAA") == ["EAPI:Invalid signature"]
    assert trader.send("Balance") == ["EGeneral:Unknown method"]


def test_lists_and_cancel_all_reach_the_whole_account(trader: KrakenTrader) -> None:
    """There is no pair to give."""
    orders = {trader.place(), trader.place("ETHUSD")}
    assert set(trader.send("OpenOrders")["open"]) == orders
    assert trader.send("CancelAll") == {"count": 2}
    assert trader.send("OpenOrders") == {"open": {}}


def test_the_timer_fires_once_for_the_account(sim: Simulator, trader: KrakenTrader) -> None:
    """It is replaced by another, stopped by 0, and off after it has fired."""
    first = trader.place()
    assert trader.send("CancelAllOrdersAfter", timeout=60)["triggerTime"] == "2023-11-14T22:14:20Z"
    assert trader.send("CancelAllOrdersAfter", timeout=0)["triggerTime"] == "0"
    sim.step_clock(61_000)
    assert sim.order("kraken", first).status == "open"
    trader.send("CancelAllOrdersAfter", timeout=30)
    trader.send("CancelAllOrdersAfter", timeout=60)
    sim.step_clock(59_000)
    assert sim.order("kraken", first).status == "open"
    sim.step_clock(1_000)
    assert sim.order("kraken", first).closed_by == "countdown"
    second = trader.place("ETHUSD")
    sim.step_clock(120_000)
    assert sim.order("kraken", second).status == "open"
    assert trader.send("CancelAllOrdersAfter", timeout=90_000) == [
        "EGeneral:Invalid arguments:timeout"
    ]


def test_calls_are_counted_for_a_key(sim: Simulator, trader: KrakenTrader) -> None:
    """15 at once, then one each 3 s; cancels are not among them."""
    assert [trader.send("OpenOrders") for _ in range(15)] == [{"open": {}}] * 15
    assert trader.send("OpenOrders") == ["EAPI:Rate limit exceeded"]
    assert trader.send("CancelOrder", txid=trader.place()) == {"count": 1}
    sim.step_clock(6_100)
    assert trader.send("OpenOrders") == {"open": {}}


def test_cancels_of_young_orders_are_counted_for_a_pair(
    sim: Simulator, trader: KrakenTrader
) -> None:
    """A cancel of an order younger than 5 s costs 8, of an old one nothing."""
    sim.set_option("kraken_pair_counter", 60)
    old = [trader.place() for _ in range(3)]
    sim.step_clock(301_000)
    young = [trader.place() for _ in range(8)]
    assert [trader.send("CancelOrder", txid=each) for each in young[:7]] == [{"count": 1}] * 7
    assert trader.send("CancelOrder", txid=young[7]) == ["EOrder:Rate limit exceeded"]
    assert trader.send("CancelOrder", txid=trader.place("ETHUSD")) == {"count": 1}
    sim.step_clock(10_000)
    assert [trader.send("CancelOrder", txid=each) for each in old] == [{"count": 1}] * 3
