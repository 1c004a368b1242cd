"""The simulated Gate refuses what the exchange refuses, and forgets what it forgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.exchange_clients import ask
from worker.simulator import Simulator
from worker.simulator.options import Options
from worker.simulator.signing import gate_signature

KEY, SECRET = "gate-key", "gate-secret"
TICK_MS = 11
"""What came due so long ago has been done when a request is answered."""
MINUTE_MS = 60_000
HOMES = {"gate": "/spot", "gate_futures": "/futures/usdt"}
BY_PAIR = {"gate": "?currency_pair=BTC_USDT", "gate_futures": ""}


class Clock:
    """A host's clock that a test moves."""

    now_ms = 1_700_000_000_000.0

    def __call__(self) -> float:
        """Return Unix ms."""
        return self.now_ms


class GateTrader:
    """Signs with the simulator's own code."""

    def __init__(self, sim: Simulator, clock: Clock, market: str = "gate") -> None:
        sim.add_key(market, KEY, SECRET)
        self.sim, self.clock, self.market = sim, clock, market

    def send(
        self,
        method: str,
        path: str,
        fields: dict[str, object] | None = None,
        *,
        secret: str = SECRET,
        key: str = KEY,
        behind_s: int = 0,
        expires_ms: float | None = None,
    ) -> Any:
        """Call an endpoint; return the label of an error, or the body."""
        body = json.dumps(fields).encode() if fields else b""
        path = f"/api/v4{HOMES[self.market]}{path}"
        stamped = str(int(self.clock.now_ms // 1_000) - behind_s)
        bare, _, query = path.partition("?")
        signature = gate_signature(secret, method, bare, query, body, stamped)
        headers = {"KEY": key, "Timestamp": stamped, "SIGN": signature}
        if expires_ms is not None:
            headers["X-Gate-Exptime"] = str(int(expires_ms))
        found = ask(self.sim.url(self.market), method, path, headers, body)
        self.headers = {name.lower(): value for name, value in found.headers.items()}
        answer = found.json
        failed = found.status != 200
        return answer["label"] if failed else answer

    def place(self, pair: str = "BTC_USDT", count: int = 1, **options: Any) -> list[str]:
        """Place orders."""
        return self.sim.place(self.market, KEY, pair=pair, count=count, **options)

    def cancel(self, name: str) -> Any:
        """Cancel an order by its id or its `text`."""
        return self.send("DELETE", f"/orders/{name}{BY_PAIR[self.market]}")

    def query(self, name: str) -> Any:
        """Ask about an order; return the label of an error, or its status and fate."""
        found = self.send("GET", f"/orders/{name}{BY_PAIR[self.market]}")
        return found if isinstance(found, str) else (found["status"], found.get("finish_as"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Iterator[Simulator]:
    """A simulator whose clock tests move."""
    with Simulator(options=Options(), clock=clock) as sim:
        yield sim


@pytest.fixture
def spot(sim: Simulator, clock: Clock) -> GateTrader:
    return GateTrader(sim, clock)


@pytest.fixture
def futures(sim: Simulator, clock: Clock) -> GateTrader:
    return GateTrader(sim, clock, "gate_futures")


def test_a_spot_cancel_is_done_at_once(spot: GateTrader, sim: Simulator) -> None:
    """A second one says how the order ended; its `text` names it only while it is open."""
    canceled, filled = spot.place(count=2, client_ids=["t-1", "t-2"])
    assert spot.query("t-1") == ("open", "open")
    assert spot.cancel("t-1")["status"] == "cancelled"
    sim.fill("gate", filled)
    assert spot.cancel(canceled) == "ORDER_CANCELLED"
    assert spot.cancel(filled) == "ORDER_CLOSED"
    assert spot.cancel("t-1") == spot.query("t-1") == "ORDER_NOT_FOUND"
    assert spot.query(canceled) == ("cancelled", "cancelled")
    assert spot.query(filled) == ("closed", "filled")
    assert spot.cancel("404404") == "ORDER_NOT_FOUND"
    assert spot.send("GET", f"/orders/{filled}?currency_pair=ETH_USDT") == "ORDER_NOT_FOUND"


def test_an_unfilled_futures_cancel_is_forgotten(
    futures: GateTrader, sim: Simulator, clock: Clock
) -> None:
    """After 10 minutes; its `text` after one. A filled order stays."""
    canceled, filled = futures.place(count=2, client_ids=["t-1", "t-2"])
    assert futures.cancel(canceled)["finish_as"] == "cancelled"
    sim.fill("gate_futures", filled)
    assert futures.cancel(canceled) == futures.cancel(filled) == "ORDER_FINISHED"
    assert futures.query("t-1") == ("finished", "cancelled")
    clock.now_ms += MINUTE_MS + 1
    assert futures.query("t-1") == "ORDER_NOT_FOUND"
    assert futures.query(canceled) == ("finished", "cancelled")
    clock.now_ms += 9 * MINUTE_MS
    assert futures.query(canceled) == futures.cancel(canceled) == "ORDER_NOT_FOUND"
    assert futures.query(filled) == ("finished", "filled")


def test_a_cancel_of_all_names_its_reach(spot: GateTrader, futures: GateTrader) -> None:
    """A pair, a side, or on spot everything; no price-triggered order."""
    for trader, pair, buys in ((spot, "currency_pair", "buy"), (futures, "contract", "bid")):
        buy, sell = trader.place(side="buy")[0], trader.place(side="sell")[0]
        (stop,), (other,) = trader.place(stop=True), trader.place("ETH_USDT")
        rows = trader.send("DELETE", f"/orders?{pair}=BTC_USDT&side={buys}")
        assert [str(row["id"]) for row in rows] == [buy]
        rows = trader.send("DELETE", f"/orders?{pair}=BTC_USDT")
        assert [str(row["id"]) for row in rows] == [sell]
        stops = trader.send("GET", "/price_orders?status=open")
        assert [str(row["id"]) for row in stops] == [stop]
        assert trader.query(stop) == "ORDER_NOT_FOUND"
        assert trader.send("DELETE", f"/price_orders/{other}") == "ORDER_NOT_FOUND"
        assert "id" in trader.send("DELETE", f"/price_orders/{stop}")
        assert trader.send("GET", "/price_orders?status=open") == []
    assert futures.send("DELETE", "/orders") == "MISSING_REQUIRED_PARAM"
    assert [row["currency_pair"] for row in spot.send("DELETE", "/orders")] == ["ETH_USDT"]


def test_open_orders_come_in_pages(spot: GateTrader, futures: GateTrader) -> None:
    """100 in each; on spot the list of all pairs has a page of each pair."""
    mine, theirs = spot.place(count=101), futures.place(count=101)
    (other,) = spot.place("ETH_USDT")
    rows = spot.send("GET", "/orders?currency_pair=BTC_USDT&status=open")
    assert [row["id"] for row in rows] == mine[:100]
    rows = spot.send("GET", "/orders?currency_pair=BTC_USDT&status=open&page=2")
    assert [row["id"] for row in rows] == mine[100:]
    groups = spot.send("GET", "/open_orders")
    assert [len(group["orders"]) for group in groups] == [100, 1]
    assert groups[1]["orders"][0]["id"] == other
    rows = futures.send("GET", "/orders?status=open&offset=100")
    assert [str(row["id"]) for row in rows] == theirs[100:]
    assert spot.send("GET", "/orders?currency_pair=BTC_USDT") == "INVALID_PARAM_VALUE"


def test_pairs_are_listed(spot: GateTrader, futures: GateTrader, sim: Simulator) -> None:
    """To anybody; the contracts a page at a time."""
    sim.set_option("more_pairs", [f"A{n}_USDT" for n in range(100)])
    pairs = spot.send("GET", "/currency_pairs", key="other")
    assert {"id": "ETH_USDT", "base": "ETH", "quote": "USDT", "trade_status": "tradable"} in pairs
    assert len(futures.send("GET", "/contracts")) == 100
    rest = futures.send("GET", "/contracts?offset=100")
    assert [row["name"] for row in rest] == ["BTC_USDT", "ETH_USDT"]


@pytest.mark.parametrize("stopped", ["zero", "now"])
def test_a_timer_takes_its_pair(
    spot: GateTrader, sim: Simulator, clock: Clock, stopped: str
) -> None:
    """A call replaces it, 0 stops it; stop orders and other pairs stay."""
    sim.set_option("gate_stopped", stopped)
    (order,), (stop,), (other,) = spot.place(), spot.place(stop=True), spot.place("ETH_USDT")
    timer = "/countdown_cancel_all"
    assert spot.send("POST", timer, {"timeout": 4, "currency_pair": "BTC_USDT"}).endswith("VALUE")
    assert spot.send("POST", timer, {"timeout": 30}).endswith("VALUE")
    for _ in range(2):
        told = spot.send("POST", timer, {"timeout": 30, "currency_pair": "BTC_USDT"})
        assert int(told["triggerTime"]) == clock.now_ms + 30_000
        assert int(spot.headers["x-in-time"]) == clock.now_ms * 1_000
        clock.now_ms += 20_000
    told = spot.send("POST", timer, {"timeout": 0, "currency_pair": "BTC_USDT"})
    assert int(told["triggerTime"]) == {"zero": 0, "now": clock.now_ms}[stopped]
    assert not sim.timers()
    spot.send("POST", timer, {"timeout": 5, "currency_pair": "BTC_USDT"})
    clock.now_ms += 5_000 + TICK_MS
    assert spot.query(order) == ("cancelled", "cancelled")
    assert sim.order("gate", order).closed_by == "countdown"
    assert [sim.order("gate", each).status for each in (stop, other)] == ["open", "open"]


def test_a_late_cancel_is_refused(spot: GateTrader, clock: Clock) -> None:
    """After its `X-Gate-Exptime`, to the ms; a countdown's is in no document, and not read."""
    (order,) = spot.place()
    path = f"/orders/{order}?currency_pair=BTC_USDT"
    late_ms = clock.now_ms - 1
    assert spot.send("DELETE", path, expires_ms=late_ms) == "REQUEST_EXPIRED"
    assert (
        spot.send("DELETE", "/orders?currency_pair=BTC_USDT", expires_ms=late_ms)
        == "REQUEST_EXPIRED"
    )
    fields: dict[str, object] = {"timeout": 5, "currency_pair": "BTC_USDT"}
    assert "triggerTime" in spot.send("POST", "/countdown_cancel_all", fields, expires_ms=late_ms)
    assert spot.send("DELETE", path, expires_ms=clock.now_ms)["status"] == "cancelled"


def test_what_is_wrong_with_a_request(spot: GateTrader, futures: GateTrader) -> None:
    """Key, signature, clock, pair and rate."""
    listed = "/orders?currency_pair=BTC_USDT&status=open"
    assert spot.send("GET", listed, key="other") == "INVALID_KEY"
    assert spot.send("GET", listed, secret="other") == "INVALID_SIGNATURE"
    assert spot.send("GET", listed, behind_s=61) == "REQUEST_EXPIRED"
    assert spot.send("GET", "/orders?currency_pair=btc&status=open") == "INVALID_CURRENCY_PAIR"
    assert futures.send("GET", "/orders?contract=btc&status=open") == "CONTRACT_NOT_FOUND"
    assert spot.send("GET", "/orders?status=open") == "MISSING_REQUIRED_PARAM"
    assert spot.send("GET", "/elsewhere") == "NOT_FOUND"
    labels = {str(spot.cancel("1")) for _ in range(201)}
    assert labels == {"ORDER_NOT_FOUND", "TOO_MANY_REQUESTS"}
    assert spot.headers["x-gate-ratelimit-reset-timestamp"] == "1700000001"
