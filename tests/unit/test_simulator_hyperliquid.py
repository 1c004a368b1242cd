"""The simulated Hyperliquid refuses what the exchange refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.exchange_clients import ask
from worker.exchanges.hyperliquid.signing import address_of, digest, sign
from worker.simulator import Simulator
from worker.simulator.options import Options

ACCOUNT = "0x00000000000000000000000000000000000000Aa"
SECRET, STRANGER = "0x" + "17" * 32, "0x" + "18" * 32
CLOID = "0x00000000000000000000000000000001"
MISSING = {"error": "Order was never placed, already canceled, or filled."}
TICK_MS = 11
"""What came due so long ago has been done when a request is answered."""
DAY_MS = 86_400_000


class Clock:
    """A host's clock that a test moves."""

    now_ms = 1_700_000_000_000.0

    def __call__(self) -> float:
        """Return Unix ms."""
        return self.now_ms


class Trader:
    """Signs with the key of an API wallet."""

    def __init__(self, sim: Simulator, clock: Clock) -> None:
        sim.add_key("hyperliquid", ACCOUNT, SECRET)
        self.sim, self.clock = sim, clock
        self.nonce = int(clock.now_ms)

    def post(self, path: str, body: object) -> Any:
        """Call an endpoint; return the status and the document."""
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        found = ask(self.sim.url("hyperliquid"), "POST", path, {}, text)
        return found.json if found.status == 200 else (found.status, found.body)

    def act(
        self,
        action: dict[str, object],
        *,
        secret: str = SECRET,
        nonce: int | None = None,
        expires_ms: int | None = None,
    ) -> Any:
        """Send an action; return its response."""
        self.nonce += 1
        nonce = self.nonce if nonce is None else nonce
        signature = sign(digest(action, nonce, expires_ms=expires_ms), secret)
        body = {"action": action, "nonce": nonce, "signature": signature, "vaultAddress": None}
        found = self.post("/exchange", {**body, "expiresAfter": expires_ms})
        return found["response"] if isinstance(found, dict) else found

    def cancel(self, order: str, asset: int = 0, **options: Any) -> Any:
        """Cancel an order; return its status, or why the action was refused."""
        row = {"a": asset, "o": int(order)}
        found = self.act({"type": "cancel", "cancels": [row]}, **options)
        return found["data"]["statuses"][0] if isinstance(found, dict) else found

    def timer(self, ahead_ms: int | None, **options: Any) -> Any:
        """Set the timer, or unset it; return the type of the response, or the refusal."""
        moment = {} if ahead_ms is None else {"time": int(self.clock.now_ms) + ahead_ms}
        found = self.act({"type": "scheduleCancel", **moment}, **options)
        return found["type"] if isinstance(found, dict) else found

    def place(self, pair: str = "BTC", count: int = 1, **options: Any) -> list[str]:
        """Place orders."""
        return self.sim.place("hyperliquid", ACCOUNT, pair=pair, count=count, **options)

    def status(self, order: str | int) -> str:
        """Return what a question says of an order, of this name."""
        asked = {"type": "orderStatus", "user": ACCOUNT, "oid": order}
        found = self.post("/info", asked)
        return str(found["order"]["status"] if "order" in found else found["status"])


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


def test_a_cancel_is_proven_at_once(trader: Trader) -> None:
    """By its id, or by the client's id; what is not open has one text for each of its fates."""
    first, second, filled = trader.place(count=3, client_ids=["", CLOID])
    assert trader.cancel(first) == "success"
    assert trader.cancel(first) == trader.cancel("77") == MISSING
    named: dict[str, object] = {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": CLOID}]}
    assert trader.act(named)["data"]["statuses"] == ["success"]
    trader.sim.fill("hyperliquid", filled)
    assert trader.cancel(filled) == MISSING
    assert [trader.status(int(each)) for each in (first, second, filled)] == [
        "canceled",
        "canceled",
        "filled",
    ]
    assert (trader.status(CLOID), trader.status(77)) == ("canceled", "unknownOid")


def test_an_order_is_canceled_on_its_own_market_alone(trader: Trader) -> None:
    """A market is named by its asset id; spot markets count from 10,000."""
    btc, spot = trader.place()[0], trader.place("@107")[0]
    assert trader.cancel(btc, 1) == trader.cancel(spot, 0) == MISSING
    assert trader.cancel(btc, 0) == trader.cancel(spot, 10_107) == "success"


def test_other_exchanges_have_markets_and_lists_of_their_own(trader: Trader) -> None:
    """Numbered from 1, behind the own; null is answered for one that there is not."""
    own, *others = trader.post("/info", {"type": "perpDexs"})
    assert (own, [each["name"] for each in others]) == (None, ["xyz", "new", "flx"])
    meta = trader.post("/info", {"type": "meta", "dex": "flx"})
    assert [each["name"] for each in meta["universe"]] == ["flx:CRCL", "flx:TSLA"]
    assert trader.post("/info", {"type": "meta", "dex": "odd"}) is None
    theirs, mine = trader.place("flx:TSLA")[0], trader.place()[0]
    asked = {"type": "frontendOpenOrders", "user": ACCOUNT}
    for dex, order in (("flx", theirs), ("", mine)):
        listed = trader.post("/info", {**asked, "dex": dex})
        assert [each["oid"] for each in listed] == [int(order)]
    assert trader.post("/info", {**asked, "dex": "xyz"}) == []
    assert trader.cancel(theirs, 110_001) == trader.cancel(theirs, 130_002) == MISSING
    assert trader.cancel(theirs, 130_001) == "success"


@pytest.mark.parametrize("reached", [True, False])
def test_whether_a_timer_reaches_other_exchanges_is_open(
    trader: Trader, clock: Clock, *, reached: bool
) -> None:
    """No document says it."""
    trader.sim.set_option("hyperliquid_fires_on_dexs", reached)
    mine, theirs, outcome = (trader.place(pair)[0] for pair in ("BTC", "xyz:TSLA", "#20"))
    assert trader.timer(6_000) == "default"
    clock.now_ms += 6_000 + TICK_MS
    assert [trader.status(int(order)) for order in (mine, outcome)] == ["scheduledCancel"] * 2
    assert trader.status(int(theirs)) == ("scheduledCancel" if reached else "open")


def test_an_outcome_market_has_its_asset_in_its_name(trader: Trader) -> None:
    """From 100,000,000; it is listed with the own markets."""
    (order,) = trader.place("#21")
    listed = trader.post("/info", {"type": "frontendOpenOrders", "user": ACCOUNT})
    assert [each["coin"] for each in listed] == ["#21"]
    assert trader.cancel(order, 100_000_020) == MISSING
    assert trader.cancel(order, 100_000_021) == "success"


def test_markets_are_listed(trader: Trader) -> None:
    """Perpetuals by their place, spot markets with their number."""
    perpetuals = trader.post("/info", {"type": "meta"})["universe"]
    assert [each["name"] for each in perpetuals][:2] == ["BTC", "ETH"]
    spot = trader.post("/info", {"type": "spotMeta"})
    assert [(each["index"], each["name"]) for each in spot["universe"]][:2] == [
        (0, "PURR/USDC"),
        (107, "@107"),
    ]


def test_an_account_learns_what_it_has_traded(trader: Trader) -> None:
    """And how many requests that allows; of another account there is nothing."""
    trader.sim.set_option("hyperliquid_volume", 12.5)
    asked = {"type": "userRateLimit", "user": ACCOUNT}
    counts = {"nRequestsUsed": 0, "nRequestsCap": 10_012, "nRequestsSurplus": 0}
    assert trader.post("/info", asked) == {"cumVlm": "12.50", **counts}
    assert trader.post("/info", {**asked, "user": "0x" + "0" * 40})["cumVlm"] == "0.00"


def test_open_orders_are_listed_of_the_account_that_is_named(trader: Trader) -> None:
    """The address of an API wallet has none."""
    trader.place(client_ids=[CLOID])
    trader.place("@0", stop=True)
    asked = {"type": "frontendOpenOrders", "user": ACCOUNT.lower()}
    first, second = trader.post("/info", asked)
    assert (first["coin"], first["cloid"], first["isTrigger"]) == ("BTC", CLOID, False)
    assert (second["coin"], second["cloid"], second["isTrigger"]) == ("PURR/USDC", None, True)
    assert trader.post("/info", {**asked, "user": address_of(SECRET)}) == []


def test_a_strangers_signature_is_nobodys(trader: Trader) -> None:
    """The refusal names the address that has signed."""
    (order,) = trader.place()
    assert trader.cancel(order, secret=STRANGER) == (
        f"User or API Wallet {address_of(STRANGER)} does not exist."
    )
    assert trader.status(int(order)) == "open"


def test_a_nonce_is_used_once_in_any_order(trader: Trader, clock: Clock) -> None:
    """Above the smallest of the last hundred, and near the exchange's clock."""
    orders = trader.place(count=103)
    now_ms = int(clock.now_ms)
    assert trader.cancel(orders[0], nonce=now_ms + 50) == "success"
    assert trader.cancel(orders[1], nonce=now_ms + 10) == "success"
    assert trader.cancel(orders[2], nonce=now_ms + 10).startswith("Invalid nonce: duplicate")
    for n, order in enumerate(orders[2:101]):
        assert trader.cancel(order, nonce=now_ms + 100 + n) == "success"
    assert trader.cancel(orders[101], nonce=now_ms + 11).endswith("is too low")
    for nonce in (now_ms - 2 * DAY_MS, now_ms + DAY_MS):
        assert trader.cancel(orders[102], nonce=nonce).endswith("is out of bounds")


def test_what_has_expired_is_refused(trader: Trader, clock: Clock) -> None:
    """An action says itself until when it may be carried out."""
    (order,) = trader.place()
    now_ms = int(clock.now_ms)
    assert trader.cancel(order, expires_ms=now_ms - 1) == "Action expired."
    assert trader.cancel(order, expires_ms=now_ms) == "success"


def test_a_timer_cancels_all_orders_at_its_moment(trader: Trader, clock: Clock) -> None:
    """Another call replaces it; without a time it is unset."""
    orders = [*trader.place(), *trader.place("@107")]
    assert trader.timer(5_000) == trader.timer(60_000) == "default"
    clock.now_ms += 30_000
    assert trader.timer(None) == "default"
    clock.now_ms += 60_000
    assert {trader.status(int(order)) for order in orders} == {"open"}
    assert trader.timer(6_000) == "default"
    clock.now_ms += 6_000 + TICK_MS
    assert {trader.status(int(order)) for order in orders} == {"scheduledCancel"}
    assert not trader.sim.timers()


@pytest.mark.parametrize("ahead_ms", [4_999, 0])
def test_a_timer_is_five_seconds_ahead(trader: Trader, ahead_ms: int) -> None:
    """So a time of now does not unset it: the one that runs stays."""
    assert trader.timer(60_000) == "default"
    assert "at least 5 seconds" in trader.timer(ahead_ms)
    assert len(trader.sim.timers()) == 1


def test_a_timer_fires_ten_times_a_day(trader: Trader, clock: Clock) -> None:
    """The eleventh time nothing is canceled; the count starts again at midnight."""
    clock.now_ms -= clock.now_ms % DAY_MS
    trader.nonce = int(clock.now_ms)
    for n in range(11):
        (order,) = trader.place()
        assert trader.timer(5_000) == "default"
        clock.now_ms += 5_000 + TICK_MS
        assert trader.status(int(order)) == ("scheduledCancel" if n < 10 else "open")
    clock.now_ms += DAY_MS
    assert trader.timer(5_000) == "default"
    clock.now_ms += 5_000 + TICK_MS
    assert trader.status(int(order)) == "scheduledCancel"


@pytest.mark.parametrize("ahead_ms", [60_000, None])
def test_a_timer_needs_an_account_that_has_traded(trader: Trader, ahead_ms: int | None) -> None:
    """Also to unset it."""
    trader.sim.set_option("hyperliquid_volume", 999_999.5)
    assert trader.timer(ahead_ms).startswith("Cannot set scheduled cancel time until enough volume")


def test_an_account_has_an_allowance(trader: Trader, clock: Clock) -> None:
    """Cancels twice as many; once it is spent, one request in ten seconds."""
    trader.sim.set_option("hyperliquid_requests", 1)
    trader.sim.set_option("hyperliquid_volume", 0.0)
    orders = trader.place(count=4)
    assert [trader.cancel(order) for order in orders[:2]] == ["success", "success"]
    assert trader.cancel(orders[2]).startswith("Too many cumulative requests sent (3 > 2)")
    clock.now_ms += 10_000
    assert trader.cancel(orders[2]) == "success"
    assert trader.cancel(orders[3]).startswith("Too many cumulative requests sent (5 > 2)")


def test_an_address_has_1200_weights_a_minute(trader: Trader, clock: Clock) -> None:
    """A list weighs 20."""
    asked = {"type": "frontendOpenOrders", "user": ACCOUNT}
    assert [trader.post("/info", asked) for _ in range(60)] == [[]] * 60
    assert trader.post("/info", asked) == (429, b"null")
    clock.now_ms += 60_001
    assert trader.post("/info", asked) == []


@pytest.mark.parametrize(
    "action",
    [
        {"type": "cancel", "cancels": []},
        {"type": "cancel", "cancels": [{"a": "0", "o": 1}]},
        {"type": "cancel", "cancels": [{"a": 0, "o": 1, "x": 1}]},
        {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": "0xAB"}]},
        {"type": "scheduleCancel", "time": "1"},
        {"type": "scheduleCancel", "at": 1},
        {"type": "order"},
    ],
)
def test_what_is_no_action_is_not_read(trader: Trader, action: dict[str, object]) -> None:
    """Nor is a body that is no JSON."""
    status, body = trader.act(action)
    assert (status, body[:21]) == (422, b"Failed to deserialize")
    assert trader.post("/exchange", b"{")[0] == trader.post("/info", b"[]")[0] == 422
