"""The simulated Bybit refuses what the exchange refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.exchange_clients import ask
from worker.simulator import Simulator
from worker.simulator.options import Options
from worker.simulator.signing import bybit_signature

KEY, SECRET = "bybit-key", "bybit-secret"
TICK_MS = 11
"""What came due so long ago has been done when a request is answered."""


class Clock:
    """A host's clock that a test moves."""

    now_ms = 1_700_000_000_000.0

    def __call__(self) -> float:
        """Return Unix ms."""
        return self.now_ms


class Trader:
    """Signs with the simulator's own code."""

    def __init__(self, sim: Simulator, clock: Clock) -> None:
        sim.add_key("bybit", KEY, SECRET)
        self.sim, self.clock = sim, clock

    def send(
        self, path: str, *, secret: str = SECRET, behind_ms: int = 0, **fields: Any
    ) -> dict[str, Any]:
        """Call an endpoint for linear contracts, if no other category is named."""
        given = {"category": "linear", **fields}
        posts = path.startswith("cancel")
        query = "" if posts else "&".join(f"{name}={value}" for name, value in given.items())
        body = json.dumps(given).encode() if posts else b""
        stamp = str(int(self.clock.now_ms) - behind_ms)
        message = f"{stamp}{KEY}5000{query}".encode() + body
        headers = {
            "X-BAPI-API-KEY": KEY,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": bybit_signature(secret, message),
        }
        target = f"/v5/order/{path}" + (f"?{query}" if query else "")
        answer = ask(self.sim.url("bybit"), "POST" if posts else "GET", target, headers, body)
        found: dict[str, Any] = answer.json
        return {**found, "headers": answer.headers}

    def place(self, count: int = 1, **how: Any) -> list[str]:
        """Place orders."""
        return self.sim.place("bybit", KEY, pair="BTCUSDT", count=count, **how)

    def cancel(self, order: str, **fields: Any) -> int:
        """Cancel an order; return the code."""
        code: int = self.send("cancel", symbol="BTCUSDT", orderId=order, **fields)["retCode"]
        return code

    def rows(self, path: str = "realtime", **fields: Any) -> list[dict[str, Any]]:
        """Return the rows of a list."""
        found: list[dict[str, Any]] = self.send(path, **fields)["result"]["list"]
        return found

    def states(self, order: str) -> list[list[str]]:
        """Return the states of an order among the recent ones, and in the history."""
        return [
            [row["orderStatus"] for row in self.rows(path, symbol="BTCUSDT", orderId=order)]
            for path in ("realtime", "history")
        ]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Iterator[Simulator]:
    """A simulator whose clock tests move."""
    with Simulator(options=Options(), clock=clock) as sim:
        yield sim


@pytest.fixture
def trader(sim: Simulator, clock: Clock) -> Trader:
    return Trader(sim, clock)


def test_a_cancel_is_accepted_first(trader: Trader, clock: Clock) -> None:
    """A moment later the order is off; the code then names its fate."""
    (order,) = trader.place()
    assert trader.cancel(order) == 0
    assert trader.cancel(order) == 110079
    assert trader.states(order) == [["New"], []]
    clock.now_ms += 20 + TICK_MS
    assert trader.states(order) == [["Cancelled"], ["Cancelled"]]
    assert trader.cancel(order) == 110010
    assert trader.cancel("1") == 110001


def test_closed_orders_leave_at_a_restart_and_canceled_ones_in_a_day(
    trader: Trader, sim: Simulator, clock: Clock
) -> None:
    """First they are in the history alone, then nowhere."""
    canceled, filled = trader.place(2)
    trader.cancel(canceled)
    sim.fill("bybit", filled)
    assert trader.cancel(filled) == 110008
    clock.now_ms += 20 + TICK_MS
    sim.set_option("bybit_restarted", value=True)
    assert trader.states(canceled) == [[], ["Cancelled"]]
    clock.now_ms += 24 * 3_600_000
    assert trader.states(canceled) == [[], []]
    assert trader.states(filled) == [[], ["Filled"]]


def test_a_cancel_of_all_takes_500_at_random(trader: Trader, sim: Simulator, clock: Clock) -> None:
    """Stop orders too; what is left needs another."""
    trader.place(600)
    trader.place(2, stop=True)
    assert len(trader.send("cancel-all", symbol="BTCUSDT")["result"]["list"]) == 500
    clock.now_ms += 20 + TICK_MS
    assert len(trader.rows(symbol="BTCUSDT")) == 20
    left = [each for each in sim.orders("bybit") if each.status == "open"]
    assert len(left) == 102
    trader.send("cancel-all", symbol="BTCUSDT")
    clock.now_ms += 20 + TICK_MS
    assert trader.rows(symbol="BTCUSDT") == []
    assert trader.send("cancel-all")["retCode"] == 10001


@pytest.mark.parametrize(("kind", "named"), [("Stop", "StopOrder"), ("tpslOrder", "tpslOrder")])
def test_spot_stops_are_reached_by_their_own_filter(
    trader: Trader, sim: Simulator, clock: Clock, kind: str, named: str
) -> None:
    """Neither by a cancel of a plain order nor by one of all."""
    sim.set_option("bybit_category", "spot")
    sim.set_option("bybit_stop", kind)
    (order,) = trader.place(stop=True)
    spot: dict[str, Any] = {"category": "spot"}
    assert trader.cancel(order, **spot) == 170213
    assert trader.send("cancel-all", symbol="BTCUSDT", **spot)["result"]["list"] == []
    (row,) = trader.rows(symbol="BTCUSDT", **spot)
    assert (row["orderStatus"], row["stopOrderType"]) == ("Untriggered", kind)
    assert trader.cancel(order) == 110001  # in another category there is no such order
    assert trader.cancel(order, orderFilter=named, **spot) == 0
    clock.now_ms += 20 + TICK_MS
    assert trader.rows(symbol="BTCUSDT", **spot) == []


def test_open_orders_come_in_pages(trader: Trader) -> None:
    """The newest first, 20 in each or up to 50."""
    orders = trader.place(60, client_ids=["mine"])
    assert len(trader.rows(symbol="BTCUSDT")) == 20
    page = trader.send("realtime", symbol="BTCUSDT", limit="50")["result"]
    last = trader.send("realtime", symbol="BTCUSDT", limit="50", cursor=page["nextPageCursor"])
    rows = page["list"] + last["result"]["list"]
    assert [row["orderId"] for row in rows] == orders[::-1]
    assert last["result"]["nextPageCursor"] == ""
    (mine,) = trader.rows(symbol="BTCUSDT", orderLinkId="mine")
    assert mine["orderId"] == orders[0]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"secret": "wrong"}, 10004),
        ({"behind_ms": 5_001}, 10002),
        ({"behind_ms": -1_000}, 10002),
        ({"category": "swap"}, 10001),
        ({"symbol": "btcusdt"}, 10001),
    ],
)
def test_what_is_not_as_documented_is_refused(
    trader: Trader, how: dict[str, Any], code: int
) -> None:
    """Signature, time, category and symbol."""
    given: dict[str, Any] = {"symbol": "BTCUSDT", **how}
    assert trader.send("realtime", **given)["retCode"] == code


def test_linear_contracts_are_listed_by_symbol(trader: Trader) -> None:
    """Or by the coin that they are settled in; the other categories are listed whole."""
    assert trader.send("realtime")["retCode"] == 10001
    for pair in ("BTCUSDT", "BTCPERP", "ETH-28MAR25"):
        trader.sim.place("bybit", KEY, pair=pair)
    assert [row["symbol"] for row in trader.rows(settleCoin="USDT")] == ["BTCUSDT"]
    assert len(trader.rows(settleCoin="USDC")) == 2
    assert trader.send("realtime", category="spot")["retCode"] == 0


def test_a_user_has_ten_cancels_a_second(trader: Trader) -> None:
    """The next is refused, with the time of the reset."""
    codes = [trader.cancel("1") for _ in range(10)]
    assert codes == [110001] * 10
    refused = trader.send("cancel", symbol="BTCUSDT", orderId="1")
    assert refused["retCode"] == 10006
    assert int(refused["headers"]["x-bapi-limit-reset-timestamp"]) == refused["time"] + 1_000


def test_instruments_are_listed_to_anybody(sim: Simulator) -> None:
    """Contracts a page at a time; of spot pairs, and of those that do not trade, one list."""
    sim.set_option("more_pairs", [f"A{number}USDT" for number in range(500)])

    def listed(query: str) -> tuple[int, str]:
        path = f"/v5/market/instruments-info?{query}"
        result = ask(sim.url("bybit"), "GET", path, {}).json["result"]
        return len(result["list"]), result["nextPageCursor"]

    assert listed("category=linear") == (500, "500")
    assert listed("category=linear&limit=500&cursor=500") == (2, "")
    assert listed("category=linear&status=PreLaunch") == (0, "")
    assert listed("category=spot&limit=10") == (502, "")
