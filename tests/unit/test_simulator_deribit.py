"""The simulated Deribit refuses what the exchange refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.exchange_clients import ask
from worker.simulator import Simulator
from worker.simulator.options import Options
from worker.simulator.signing import deribit_signature

KEY, SECRET = "deribit-key", "deribit-secret"
PERPETUAL = "BTC-PERPETUAL"


class Clock:
    """A host's clock that a test moves."""

    now_ms = 1_700_000_000_000.0

    def __call__(self) -> float:
        """Return Unix ms."""
        return self.now_ms


class Trader:
    """Signs with the simulator's own code."""

    def __init__(self, sim: Simulator, clock: Clock) -> None:
        sim.add_key("deribit", KEY, SECRET)
        self.sim, self.clock, self.nonce = sim, clock, 0

    def send(
        self, target: str, *, secret: str = SECRET, behind_ms: int = 0, nonce: str | None = None
    ) -> dict[str, Any]:
        """Call a method; return the whole reply."""
        self.nonce += 1
        nonce = str(self.nonce) if nonce is None else nonce
        stamp = str(int(self.clock.now_ms) - behind_ms)
        message = f"{stamp}\n{nonce}\nGET\n/api/v2/private/{target}\n\n"
        signature = deribit_signature(secret, message)
        parts = f"id={KEY},ts={stamp},sig={signature},nonce={nonce}"
        headers = {"Authorization": f"deri-hmac-sha256 {parts}"}
        answer = ask(self.sim.url("deribit"), "GET", f"/private/{target}", headers)
        found: dict[str, Any] = answer.json
        return found

    def result(self, target: str) -> Any:
        """Return the result of a call that succeeds."""
        return self.send(target)["result"]

    def code(self, target: str, **how: Any) -> int:
        """Return the code of a call that fails."""
        code: int = self.send(target, **how)["error"]["code"]
        return code

    def place(self, count: int = 1, **how: Any) -> list[str]:
        """Place orders."""
        return self.sim.place("deribit", KEY, count=count, **{"pair": PERPETUAL, **how})


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


def test_a_cancel_gives_the_order(trader: Trader, sim: Simulator) -> None:
    """Of a stop order in the state that it was in; what is closed is refused by its fate."""
    (plain,), (stop,), (filled,) = trader.place(), trader.place(stop=True), trader.place()
    assert trader.result(f"cancel?order_id={plain}")["order_state"] == "cancelled"
    assert trader.result(f"cancel?order_id={stop}")["order_state"] == "untriggered"
    for order in (plain, stop):
        assert trader.result(f"get_order_state?order_id={order}")["order_state"] == "cancelled"
        assert trader.code(f"cancel?order_id={order}") == 11044
    sim.fill("deribit", filled)
    assert trader.code(f"cancel?order_id={filled}") == 11008
    assert trader.code("cancel?order_id=BTC-1") == 10004
    assert trader.code("get_order_state?order_id=BTC-1") == 10004


def test_scopes_are_listed_and_canceled_with_their_stops(trader: Trader) -> None:
    """Of an instrument, or of the account; a cancel gives their count."""
    trader.place(2, client_ids=["grid-1"])
    trader.place(stop=True)
    (other,) = trader.place(pair="ETH-PERPETUAL")
    one = f"get_open_orders_by_instrument?instrument_name={PERPETUAL}"
    assert [row["label"] for row in trader.result(one)] == ["grid-1", "", ""]
    assert len(trader.result("get_open_orders")) == 4
    assert trader.result(f"cancel_all_by_instrument?instrument_name={PERPETUAL}") == 3
    (left,) = trader.result("get_open_orders")
    assert left["order_id"] == other
    assert trader.result("cancel_all") == 1


@pytest.mark.parametrize(
    ("target", "how", "code"),
    [
        ("get_open_orders", {"secret": "wrong"}, 13004),
        ("get_open_orders", {"behind_ms": 60_001}, 13004),
        ("get_open_orders", {"nonce": ""}, 13009),
        ("get_open_orders_by_instrument", {}, -32602),
        ("get_open_orders_by_instrument?instrument_name=btc", {}, 13020),
        ("cancel", {}, -32602),
        ("buy", {}, -32601),
    ],
)
def test_what_is_not_as_documented_is_refused(
    trader: Trader, target: str, how: dict[str, Any], code: int
) -> None:
    """Signature, time, nonce, instrument, method."""
    assert trader.code(target, **how) == code


def test_a_nonce_is_taken_once(trader: Trader) -> None:
    """In any order."""
    assert "result" in trader.send("get_open_orders", nonce="9")
    assert "result" in trader.send("get_open_orders", nonce="8")
    assert trader.code("get_open_orders", nonce="9") == 13009


def test_credits_are_used_up_and_come_back(trader: Trader, clock: Clock) -> None:
    """Twenty cancels at once, then five each second; questions have more."""
    codes = [trader.code("cancel?order_id=BTC-1") for _ in range(21)]
    assert codes == [10004] * 20 + [10028]
    assert trader.result("get_open_orders") == []
    clock.now_ms += 1_000
    codes = [trader.code("cancel?order_id=BTC-1") for _ in range(6)]
    assert codes.count(10028) == 2


def test_instruments_are_listed_to_anybody(sim: Simulator) -> None:
    """Futures and spot pairs apart."""
    for kind, names in (
        ("future", ["BTC-PERPETUAL", "ETH-PERPETUAL"]),
        ("spot", ["BTC_USDC"]),
        ("option", []),
    ):
        path = f"/public/get_instruments?currency=any&kind={kind}"
        rows = ask(sim.url("deribit"), "GET", path, {}).json["result"]
        assert [row["instrument_name"] for row in rows] == names
