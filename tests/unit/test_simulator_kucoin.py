"""The simulated KuCoin refuses what the exchange refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.exchange_clients import ask
from worker.simulator import Simulator
from worker.simulator.options import Options
from worker.simulator.signing import kucoin_passphrase, kucoin_signature

KEY, SECRET, PASSPHRASE = "ku-key", "ku-secret", "ku-pass"
TICK_MS = 11
"""What came due so long ago has been done when a request is answered."""
ORDERS, STOPS = "/api/v1/hf/orders", "/api/v1/stop-order"
TIMER = f"{ORDERS}/dead-cancel-all"


class Clock:
    """A host's clock that a test moves."""

    now_ms = 1_700_000_000_000.0

    def __call__(self) -> float:
        """Return Unix ms."""
        return self.now_ms


class KucoinTrader:
    """Signs with the simulator's own code."""

    def __init__(self, sim: Simulator, clock: Clock) -> None:
        sim.add_key("kucoin", KEY, SECRET, PASSPHRASE)
        self.sim, self.clock = sim, clock

    def send(
        self,
        method: str,
        target: str,
        fields: dict[str, object] | None = None,
        *,
        secret: str = SECRET,
        passphrase: str = PASSPHRASE,
        behind_ms: int = 0,
    ) -> tuple[str, Any]:
        """Call an endpoint; return the code, and the data or the message."""
        body = json.dumps(fields).encode() if fields else b""
        stamped = str(int(self.clock.now_ms - behind_ms))
        headers = {
            "KC-API-KEY": KEY,
            "KC-API-SIGN": kucoin_signature(secret, stamped, method, target, body),
            "KC-API-TIMESTAMP": stamped,
            "KC-API-PASSPHRASE": kucoin_passphrase(secret, passphrase),
            "KC-API-KEY-VERSION": "2",
        }
        found = ask(self.sim.url("kucoin"), method, target, headers, body).json
        return found["code"], found.get("data", found.get("msg"))

    def place(self, pair: str = "BTC-USDT", **options: Any) -> list[str]:
        """Place orders."""
        return self.sim.place("kucoin", KEY, pair=pair, **options)

    def status(self, order: str) -> str:
        """Return the status of an order."""
        return str(self.sim.order("kucoin", order).status)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Iterator[Simulator]:
    """A simulator whose clock tests move."""
    with Simulator(options=Options(), clock=clock) as sim:
        yield sim


@pytest.fixture
def trader(sim: Simulator, clock: Clock) -> KucoinTrader:
    return KucoinTrader(sim, clock)


def test_a_synchronous_cancel_states_the_result(trader: KucoinTrader) -> None:
    """By either id. Canceled again it is not known; a question shows its state."""
    first, second = trader.place(count=2, client_ids=["my-1", "my-2"])
    code, told = trader.send("DELETE", f"{ORDERS}/sync/{first}?symbol=BTC-USDT")
    assert (code, told["status"], told["canceledSize"]) == ("200000", "done", told["originSize"])
    code, words = trader.send("DELETE", f"{ORDERS}/sync/{first}?symbol=BTC-USDT")
    assert (code, words) == ("400100", "order_not_exist_or_not_allow_to_cancel")
    _, row = trader.send("GET", f"{ORDERS}/{first}?symbol=BTC-USDT")
    assert (row["active"], row["cancelExist"]) == (False, True)
    _, told = trader.send("DELETE", f"{ORDERS}/sync/client-order/my-2?symbol=BTC-USDT")
    assert told["clientOid"] == "my-2"
    assert trader.status(second) == "canceled"


def test_a_filled_order_is_not_called_canceled(trader: KucoinTrader, sim: Simulator) -> None:
    """Nor is it known under another pair, or before it was placed."""
    (order,) = trader.place()
    sim.fill("kucoin", order)
    _, row = trader.send("GET", f"{ORDERS}/{order}?symbol=BTC-USDT")
    assert (row["active"], row["cancelExist"]) == (False, False)
    assert trader.send("GET", f"{ORDERS}/{order}?symbol=ETH-USDT")[0] == "400100"
    sim.set_option("kucoin_missing", "null")
    assert trader.send("GET", f"{ORDERS}/{'0' * 24}?symbol=BTC-USDT") == ("200000", None)


def test_a_scope_is_canceled_a_moment_later(trader: KucoinTrader, clock: Clock) -> None:
    """Of a pair or of all; stop orders stay."""
    (order,), (other,), (stop,) = trader.place(), trader.place("ETH-USDT"), trader.place(stop=True)
    assert trader.send("DELETE", f"{ORDERS}?symbol=BTC-USDT") == ("200000", "success")
    assert trader.status(order) == "open"
    clock.now_ms += 20 + TICK_MS
    assert trader.send("GET", f"{ORDERS}/active?symbol=BTC-USDT")[1] == []
    assert trader.send("GET", f"{ORDERS}/active/symbols")[1] == {"symbols": ["ETH-USDT"]}
    _, told = trader.send("DELETE", f"{ORDERS}/cancelAll")
    assert told == {"succeedSymbols": ["ETH-USDT"], "failedSymbols": []}
    clock.now_ms += 20 + TICK_MS
    assert trader.send("GET", f"{ORDERS}/active/symbols")[1] == {"symbols": []}
    assert [trader.status(each) for each in (order, other, stop)] == ["canceled"] * 2 + ["open"]


def test_stop_orders_are_apart(trader: KucoinTrader) -> None:
    """In pages, with endpoints of their own."""
    stops = trader.place(count=3, stop=True)
    _, page = trader.send("GET", f"{STOPS}?symbol=BTC-USDT&currentPage=2&pageSize=2")
    assert (page["totalPage"], [row["id"] for row in page["items"]]) == (2, stops[2:])
    assert trader.send("GET", f"{ORDERS}/{stops[0]}?symbol=BTC-USDT")[0] == "400100"
    _, told = trader.send("DELETE", f"{STOPS}/{stops[0]}")
    assert told == {"cancelledOrderIds": [stops[0]]}
    assert trader.send("GET", f"{STOPS}/{stops[0]}")[1]["status"] == "CANCELLED"
    assert trader.send("DELETE", f"{STOPS}/{stops[0]}")[0] == "400100"


def test_pairs_of_orders_have_endpoints_of_their_own(trader: KucoinTrader, sim: Simulator) -> None:
    """Their cancel names the two orders, and their list no side."""
    sim.set_option("kucoin_oco", value=True)
    (order,) = trader.place(stop=True)
    assert trader.send("GET", f"{STOPS}?symbol=BTC-USDT")[1]["items"] == []
    _, page = trader.send("GET", "/api/v3/oco/orders?symbol=BTC-USDT")
    assert [(row["orderId"], row["status"]) for row in page["items"]] == [(order, "NEW")]
    _, told = trader.send("DELETE", f"/api/v3/oco/order/{order}")
    assert len(told["cancelledOrderIds"]) == 2
    assert trader.send("GET", f"/api/v3/oco/order/{order}")[1]["status"] == "CANCELLED"


def test_each_call_overwrites_the_timer_and_its_list(
    trader: KucoinTrader, sim: Simulator, clock: Clock
) -> None:
    """It fires once, for the pairs of the last call, up to ten seconds late."""
    (first,), (second,), (stop,) = (
        trader.place(),
        trader.place("ETH-USDT"),
        trader.place("ETH-USDT", stop=True),
    )
    assert trader.send("POST", TIMER, {"timeout": 4, "symbols": "BTC-USDT"})[0] == "400100"
    assert trader.send("POST", TIMER, {"timeout": 5, "symbols": "BTC-USDT"})[0] == "429000"
    clock.now_ms += 3_000
    trader.send("POST", TIMER, {"timeout": 60, "symbols": "BTC-USDT"})
    clock.now_ms += 3_000
    _, told = trader.send("POST", TIMER, {"timeout": 5, "symbols": "ETH-USDT,XRP-USDT"})
    assert told["triggerTime"] - told["currentTime"] == 5
    assert [timer.pair for timer in sim.timers()] == ["ETH-USDT", "XRP-USDT"]
    clock.now_ms += 2_000
    _, told = trader.send("GET", f"{TIMER}/query")
    assert (told["symbols"], told["timeout"]) == ("ETH-USDT,XRP-USDT", 5)
    assert told["triggerTime"] - told["currentTime"] == 3
    sim.set_option("kucoin_fires_within_ms", 10_000)
    clock.now_ms += 3_000 + TICK_MS
    trader.send("GET", f"{TIMER}/query")
    clock.now_ms += 10_000
    assert trader.send("GET", f"{TIMER}/query") == ("200000", None)
    assert [trader.status(each) for each in (first, second, stop)] == ["open", "canceled", "open"]


def test_a_timer_without_a_list_is_for_all_pairs(
    trader: KucoinTrader, sim: Simulator, clock: Clock
) -> None:
    """-1 stops it; more than 50 pairs are refused."""
    (order,) = trader.place()
    trader.send("POST", TIMER, {"timeout": 5})
    assert [timer.pair for timer in sim.timers()] == [""]
    clock.now_ms += 3_000
    trader.send("POST", TIMER, {"timeout": -1})
    assert not sim.timers()
    many = ",".join(f"A{n}-USDT" for n in range(51))
    clock.now_ms += 3_000
    assert trader.send("POST", TIMER, {"timeout": 5, "symbols": many})[0] == "400100"
    clock.now_ms += 5_000
    trader.send("POST", TIMER, {"timeout": 5})
    clock.now_ms += 5_000 + TICK_MS
    trader.send("GET", f"{TIMER}/query")
    assert sim.order("kucoin", order).closed_by == "countdown"


def test_what_is_wrong_with_a_request(trader: KucoinTrader) -> None:
    """Key, signature, passphrase, clock, symbol and path."""
    listed = f"{ORDERS}/active?symbol=BTC-USDT"
    assert trader.send("GET", listed, secret="other")[0] == "400005"
    assert trader.send("GET", listed, passphrase="other")[0] == "400004"
    assert trader.send("GET", listed, behind_ms=5_001)[0] == "400002"
    assert trader.send("GET", f"{ORDERS}/active?symbol=btc")[1] == "symbol not exists"
    assert trader.send("GET", f"{ORDERS}/active")[0] == "400100"
    assert trader.send("PUT", ORDERS)[0] == "404000"


def test_weights_of_a_user_are_counted(trader: KucoinTrader, clock: Clock) -> None:
    """4,000 in 30 s; the refusal says when there is room."""
    for _ in range(133):
        assert trader.send("DELETE", f"{ORDERS}/cancelAll")[0] == "200000"
    assert trader.send("DELETE", f"{ORDERS}/cancelAll")[0] == "429000"
    clock.now_ms += 30_000
    assert trader.send("DELETE", f"{ORDERS}/cancelAll")[0] == "200000"
