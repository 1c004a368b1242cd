"""The simulated OKX refuses what the exchange refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.exchange_clients import ask
from worker.simulator import Simulator
from worker.simulator.options import Options
from worker.simulator.signing import okx_signature

KEY, SECRET, PASSPHRASE = "okx-key", "okx-secret", "okx-pass"
TICK_MS = 11
"""What came due so long ago has been done when a request is answered."""
CANCEL, ORDER = "/api/v5/trade/cancel-order", "/api/v5/trade/order"
ALGOS, ALGO = "/api/v5/trade/orders-algo-pending", "/api/v5/trade/order-algo"
CANCEL_ALGOS = "/api/v5/trade/cancel-algos"
PENDING, TIMER = "/api/v5/trade/orders-pending", "/api/v5/trade/cancel-all-after"


class Clock:
    """A host's clock that a test moves."""

    now_ms = 1_700_000_000_000.0

    def __call__(self) -> float:
        """Return Unix ms."""
        return self.now_ms


class OkxTrader:
    """Signs with the simulator's own code."""

    def __init__(self, sim: Simulator, clock: Clock) -> None:
        sim.add_key("okx", KEY, SECRET, PASSPHRASE)
        self.sim, self.clock = sim, clock

    def send(
        self,
        path: str,
        fields: object = None,
        *,
        secret: str = SECRET,
        passphrase: str = PASSPHRASE,
        behind_ms: int = 0,
    ) -> Any:
        """Call an endpoint; return the code of the whole or of the one row, and the rows."""
        body = json.dumps(fields).encode() if fields else b""
        method = "POST" if fields else "GET"
        at = datetime.fromtimestamp((self.clock.now_ms - behind_ms) / 1_000, UTC)
        stamped = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = {
            "OK-ACCESS-KEY": KEY,
            "OK-ACCESS-SIGN": okx_signature(secret, stamped, method, path, body),
            "OK-ACCESS-TIMESTAMP": stamped,
            "OK-ACCESS-PASSPHRASE": passphrase,
        }
        found = ask(self.sim.url("okx"), method, path, headers, body).json
        rows = found["data"]
        code = rows[0]["sCode"] if rows and "sCode" in rows[0] else found["code"]
        return code, rows

    def place(self, pair: str = "BTC-USDT", count: int = 1, *, stop: bool = False) -> list[str]:
        """Place orders."""
        return self.sim.place("okx", KEY, pair=pair, count=count, stop=stop)

    def cancel(self, order: str, pair: str = "BTC-USDT") -> str:
        """Cancel an order; return the code."""
        return str(self.send(CANCEL, {"instId": pair, "ordId": order})[0])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Iterator[Simulator]:
    """A simulator whose clock tests move."""
    with Simulator(options=Options(), clock=clock) as sim:
        yield sim


@pytest.fixture
def trader(sim: Simulator, clock: Clock) -> OkxTrader:
    return OkxTrader(sim, clock)


def state(trader: OkxTrader, order: str) -> str:
    """Return what a question says of an order."""
    code, rows = trader.send(f"{ORDER}?instId=BTC-USDT&ordId={order}")
    return str(rows[0]["state"]) if rows else str(code)


def test_a_cancel_is_accepted_first(trader: OkxTrader, clock: Clock) -> None:
    """A moment later the order is off; an unfilled one is forgotten after two hours."""
    (order,) = trader.place()
    assert trader.cancel(order) == "0"
    assert trader.cancel(order) == "51410"
    assert state(trader, order) == "live"
    clock.now_ms += 20 + TICK_MS
    assert state(trader, order) == "canceled"
    assert trader.cancel(order) == "51400"
    clock.now_ms += 2 * 3_600_000 + 1
    assert state(trader, order) == "51603"


@pytest.mark.parametrize("wanted", ["1", "BTC-EUR"])
def test_an_order_that_is_not_there_has_the_same_code(trader: OkxTrader, wanted: str) -> None:
    """Nor under another instrument."""
    (order,) = trader.place()
    assert trader.cancel("1" if wanted == "1" else order, "BTC-EUR") == "51400"


def test_open_orders_come_in_pages(trader: OkxTrader) -> None:
    """The newest first, 100 in each."""
    orders = trader.place(count=101)
    _, rows = trader.send(PENDING)
    assert [each["ordId"] for each in rows] == orders[:0:-1]
    _, rows = trader.send(f"{PENDING}?after={orders[1]}")
    assert [each["ordId"] for each in rows] == orders[:1]


def test_a_timer_takes_the_account_in_turn(trader: OkxTrader, sim: Simulator, clock: Clock) -> None:
    """It fires once, for every pair, one order after another; 0 stops it."""
    first, second = trader.place()[0], trader.place("ETH-USDT")[0]
    assert trader.send(TIMER, {"timeOut": "9"})[0] == "51000"
    clock.now_ms += 1_000
    _, (row,) = trader.send(TIMER, {"timeOut": "10"})
    assert int(row["triggerTime"]) - int(row["ts"]) == 10_000
    clock.now_ms += 1_000
    _, (row,) = trader.send(TIMER, {"timeOut": "0"})
    assert row["triggerTime"] == "0"
    assert not sim.timers()
    clock.now_ms += 1_000
    trader.send(TIMER, {"timeOut": "10"})
    clock.now_ms += 10_000 + TICK_MS
    trader.send(PENDING)
    assert [sim.order("okx", each).status for each in (first, second)] == ["canceled", "open"]
    clock.now_ms += 20
    trader.send(PENDING)
    assert sim.order("okx", second).closed_by == "countdown"


def test_algo_orders_are_reached_by_their_endpoints_alone(
    trader: OkxTrader, sim: Simulator, clock: Clock
) -> None:
    """Ten in one cancel, each with a code; the timer leaves them."""
    (plain,), algos = trader.place(), trader.place(count=12, stop=True)
    assert trader.cancel(algos[0]) == "51400"
    assert state(trader, algos[0]) == "51603"
    assert [each["ordId"] for each in trader.send(PENDING)[1]] == [plain]
    assert trader.send(f"{ALGOS}?ordType=conditional,trigger")[0] == "51000"
    assert trader.send(ALGOS)[0] == "51000"
    assert not trader.send(f"{ALGOS}?ordType=trigger")[1]
    _, listed = trader.send(f"{ALGOS}?ordType=conditional,oco&instId=BTC-USDT")
    assert [each["algoId"] for each in listed] == algos[::-1]
    _, listed = trader.send(f"{ALGOS}?ordType=oco,conditional&after={algos[2]}")
    assert [each["algoId"] for each in listed] == algos[1::-1]

    def cancel(*wanted: str, pair: str = "BTC-USDT") -> list[str]:
        rows = [{"instId": pair, "algoId": order} for order in wanted]
        code, told = trader.send(CANCEL_ALGOS, rows)
        return [each["sCode"] for each in told] or [code]

    assert cancel(*algos[:11]) == ["51000"]
    assert cancel(algos[0], plain) == ["0", "51400"]
    assert cancel(algos[1], pair="ETH-USDT") == ["51400"]
    clock.now_ms += 20 + TICK_MS
    assert trader.send(f"{ALGO}?algoId={algos[0]}")[1][0]["state"] == "canceled"
    assert trader.send(f"{ALGO}?algoId={algos[1]}")[1][0]["state"] == "live"
    assert trader.send(f"{ALGO}?algoId={plain}")[0] == "51603"
    trader.send(TIMER, {"timeOut": "10"})
    clock.now_ms += 10_000 + TICK_MS
    trader.send(PENDING)
    assert [sim.order("okx", each).status for each in (plain, algos[1])] == ["canceled", "open"]


def test_what_is_wrong_with_a_request(trader: OkxTrader) -> None:
    """Key, signature, passphrase, clock, instrument and rate."""
    assert trader.send(PENDING, secret="other")[0] == "50113"
    assert trader.send(PENDING, passphrase="other")[0] == "50105"
    assert trader.send(PENDING, behind_ms=30_001)[0] == "50102"
    assert trader.send(f"{PENDING}?instId=btc")[0] == "51001"
    assert trader.send(ORDER)[0] == "50014"
    assert trader.send(TIMER, {"timeOut": "10"})[0] == "0"
    assert trader.send(TIMER, {"timeOut": "10"})[0] == "50011"
