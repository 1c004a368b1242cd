"""BitMart v2 as its documents describe it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.exchange_clients import BITMART_KEY, BitmartTrader, ask
from worker.simulator import Options, Simulator

# 2023-11-14 22:13:20 UTC: 6,400 s before midnight.
NOW_MS = 1_700_000_000_000.0
TO_MIDNIGHT_MS = 6_400_000.0


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A simulator whose clock is stopped until it is stepped."""
    with Simulator(options=Options(bitmart_closed=404), clock=lambda: NOW_MS) as running:
        yield running


@pytest.fixture
def trader(sim: Simulator) -> BitmartTrader:
    trader = BitmartTrader(sim)
    trader.authenticate()
    return trader


def test_the_documented_token_request(sim: Simulator) -> None:
    """Key, secret and memo of the document fetch a token for 900 s."""
    trader = BitmartTrader(sim)
    reply = trader.authenticate()
    assert reply.status == 200
    assert reply.json == {"access_token": trader.bearer, "expires_in": 900}
    arrival = sim.journal()[-1]
    assert (arrival.operation, arrival.api_key) == ("token", BITMART_KEY)
    assert trader.bearer not in repr(arrival)


def test_the_documented_cancel(sim: Simulator, trader: BitmartTrader) -> None:
    """Order 1223181 goes, with the documented signature; success is {}."""
    sim.place("bitmart", BITMART_KEY, pair="BMX_ETH", order_ids=["1223181"])
    reply = trader.cancel("1223181")
    assert (reply.status, reply.body) == (200, b"{}")
    assert sim.order("bitmart", "1223181").closed_by == "cancel"


def test_wrong_credentials_get_no_token(sim: Simulator) -> None:
    """A secret that is wrong, or a memo, is 401 with a message."""
    trader = BitmartTrader(sim)
    assert trader.authenticate(secret="wrong").status == 401
    trader.memo = "wrong"
    reply = trader.authenticate()
    assert reply.status == 401
    assert set(reply.json) == {"message"}
    assert ask(trader.url, "POST", "/v2/authentication", body=b"grant_type=x").status == 400


def test_five_tokens_a_minute(sim: Simulator) -> None:
    """The sixth token request in a minute is refused with 429."""
    trader = BitmartTrader(sim)
    assert [trader.authenticate().status for _ in range(6)] == [200] * 5 + [429]
    assert sim.journal()[-1].refusal == "rate"
    sim.step_clock(60_000)
    assert trader.authenticate().status == 200


@pytest.mark.parametrize(
    ("start_after_ms", "alive_ms"), [(0, 899_999), (TO_MIDNIGHT_MS - 60_000, 59_999)]
)
def test_a_token_ends_after_900_s_or_at_midnight(
    sim: Simulator, start_after_ms: float, alive_ms: float
) -> None:
    """Whichever comes first; the reply says 900 either way."""
    trader = BitmartTrader(sim)
    sim.step_clock(start_after_ms)
    assert trader.authenticate().json["expires_in"] == 900
    sim.step_clock(alive_ms)
    assert trader.cancel("1").status == 404
    sim.step_clock(1)
    assert trader.cancel("1").status == 401
    assert sim.journal()[-1].refusal == "token"
    assert sim.journal()[-1].api_key == BITMART_KEY


def test_tokens_may_last_for_less(sim: Simulator, trader: BitmartTrader) -> None:
    """With bitmart_token_s they end sooner, and the reply says so."""
    sim.set_option("bitmart_token_s", 90)
    assert trader.authenticate().json["expires_in"] == 90
    sim.step_clock(89_999)
    assert trader.cancel("1").status == 404
    sim.step_clock(1)
    assert trader.cancel("1").status == 401


def test_tokens_can_be_ended(sim: Simulator, trader: BitmartTrader) -> None:
    """After expire_tokens every token is refused, and a new one is accepted."""
    sim.expire_tokens()
    reply = trader.get("/v2/orders/1")
    assert reply.status == 401
    assert set(reply.json) == {"message"}
    trader.authenticate()
    assert trader.get("/v2/orders/1").status == 404


@pytest.mark.parametrize("single", [False, True])
def test_a_new_token_may_end_the_former(sim: Simulator, *, single: bool) -> None:
    """With bitmart_single_token only the newest is accepted."""
    sim.set_option("bitmart_single_token", single)
    first, second = BitmartTrader(sim), BitmartTrader(sim)
    first.authenticate()
    second.authenticate()
    assert first.get("/v2/orders/1").status == (401 if single else 404)
    assert second.get("/v2/orders/1").status == 404


def test_no_token_no_answer(sim: Simulator) -> None:
    """Missing and made-up tokens are 401."""
    trader = BitmartTrader(sim)
    trader.bearer = "made up"
    assert trader.cancel("1").status == 401
    assert ask(trader.url, "GET", "/v2/orders/1").status == 401


@pytest.mark.parametrize(("ahead_ms", "status"), [(60_000, 404), (60_001, 400), (-60_001, 400)])
def test_timestamps_within_60_s(
    sim: Simulator, trader: BitmartTrader, ahead_ms: int, status: int
) -> None:
    """The timestamp must be within 60 seconds of the exchange's time."""
    reply = trader.cancel("1", ahead_ms)
    assert reply.status == status
    assert sim.journal()[-1].refusal == ("order" if status == 404 else "timestamp")


def test_a_cancel_must_be_signed(sim: Simulator, trader: BitmartTrader) -> None:
    """A signature over anything but the parameters is refused."""
    (order_id,) = sim.place("bitmart", BITMART_KEY)
    headers = {
        "X-BM-TIMESTAMP": str(int(NOW_MS)),
        "X-BM-AUTHORIZATION": f"Bearer {trader.bearer}",
        "X-BM-SIGNATURE": "0" * 64,
    }
    assert ask(trader.url, "DELETE", f"/v2/orders/{order_id}", headers).status == 403
    assert sim.journal()[-1].refusal == "signature"
    assert sim.order("bitmart", order_id).status == "open"


def test_unknown_orders_are_not_found(trader: BitmartTrader) -> None:
    """Both for a cancel and for a question: 404 Not found."""
    for reply in (trader.cancel("1"), trader.get("/v2/orders/1")):
        assert (reply.status, reply.json) == (404, {"message": "Not found"})


@pytest.mark.parametrize(("status", "message"), [(404, "Not found"), (400, "Order is not open")])
def test_a_closed_order_is_refused_in_the_chosen_way(
    sim: Simulator, trader: BitmartTrader, status: int, message: str
) -> None:
    """No document says how, so the option does."""
    sim.set_option("bitmart_closed", status)
    (order_id,) = sim.place("bitmart", BITMART_KEY)
    sim.fill("bitmart", order_id)
    reply = trader.cancel(order_id)
    assert (reply.status, reply.json) == (status, {"message": message})
    assert sim.order("bitmart", order_id).status == "filled"


def test_cancel_all_of_a_symbol_and_side(sim: Simulator, trader: BitmartTrader) -> None:
    """Exactly that symbol and side; success is {}."""
    (mine,) = sim.place("bitmart", BITMART_KEY, pair="BMX_ETH", side="buy")
    (other_side,) = sim.place("bitmart", BITMART_KEY, pair="BMX_ETH", side="sell")
    (other_pair,) = sim.place("bitmart", BITMART_KEY, pair="BTC_USDT", side="buy")
    reply = trader.cancel_all(symbol="BMX_ETH", side="buy")
    assert (reply.status, reply.json) == (200, {})
    assert sim.order("bitmart", mine).closed_by == "scope"
    assert sim.order("bitmart", other_side).status == "open"
    assert sim.order("bitmart", other_pair).status == "open"
    assert sim.journal()[-1].operation == "scope"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"side": "buy"}, "Required String parameter 'symbol' is not present"),
        ({"symbol": "BMX_ETH"}, "Required String parameter 'side' is not present"),
        ({"symbol": "BMX_ETH", "side": "both"}, "Invalid side"),
    ],
)
def test_cancel_all_needs_both(trader: BitmartTrader, params: dict[str, str], message: str) -> None:
    """Symbol and side are both needed."""
    reply = trader.cancel_all(**params)
    assert (reply.status, reply.json) == (400, {"message": message})


def test_lists_come_in_pages(sim: Simulator, trader: BitmartTrader) -> None:
    """Offset is a page number from 0; status 5 is what is open."""
    ids = sim.place("bitmart", BITMART_KEY, pair="BMX_ETH", count=5)
    sim.place("bitmart", BITMART_KEY, pair="BTC_USDT")
    sim.fill("bitmart", ids[0])
    trader.cancel(ids[1])

    def page(status: int, offset: int) -> dict[str, object]:
        target = f"/v2/orders?symbol=BMX_ETH&status={status}&offset={offset}&limit=2"
        document: dict[str, object] = trader.get(target).json
        rows = document.pop("orders")
        assert isinstance(rows, list)
        return document | {"ids": [str(row["entrust_id"]) for row in rows]}

    assert page(5, 0) == {
        "ids": ids[2:4],
        "total_pages": 2,
        "total_orders": 3,
        "current_page": 0,
    }
    assert page(5, 1)["ids"] == ids[4:]
    assert page(3, 0)["ids"] == ids[:1]
    assert page(4, 0)["ids"] == ids[1:2]
    assert page(0, 2)["ids"] == ids[4:]
    assert [arrival.operation for arrival in sim.journal()[-2:]] == ["query", "query"]


@pytest.mark.parametrize(
    "query", ["status=5", "symbol=BMX_ETH", "symbol=A_B&status=6", "symbol=A_B&status=5&limit=0"]
)
def test_lists_need_symbol_and_status(trader: BitmartTrader, query: str) -> None:
    """What is missing or unsupported is 400 with a message."""
    reply = trader.get(f"/v2/orders?{query}")
    assert reply.status == 400
    assert set(reply.json) == {"message"}


def test_one_order(sim: Simulator, trader: BitmartTrader) -> None:
    """Status 1 pending, 3 filled, 4 canceled."""
    ids = sim.place("bitmart", BITMART_KEY, pair="BMX_ETH", side="sell", count=3)
    sim.fill("bitmart", ids[1])
    trader.cancel(ids[2])
    rows = [trader.get(f"/v2/orders/{order_id}").json for order_id in ids]
    assert [row["status"] for row in rows] == [1, 3, 4]
    assert [(row["symbol"], row["side"]) for row in rows] == [("BMX_ETH", "sell")] * 3


def test_time_is_the_exchanges_own(sim: Simulator) -> None:
    """GET /v2/time is public and shows the skew; so does the Date header."""
    sim.set_clock_skew(3_600_000)
    reply = ask(sim.url("bitmart"), "GET", "/v2/time")
    assert reply.json == {"server_time": int(NOW_MS) + 3_600_000}
    assert reply.headers["date"] == "Tue, 14 Nov 2023 23:13:20 GMT"


def test_a_rate_per_account_can_be_set(sim: Simulator, trader: BitmartTrader) -> None:
    """Not enforced by default; as an option, with 429."""
    assert [trader.get("/v2/orders/1").status for _ in range(3)] == [404] * 3
    sim.set_option("bitmart_requests_per_s", 2)
    assert [trader.get("/v2/orders/1").status for _ in range(3)] == [404, 404, 429]
    sim.step_clock(1_000)
    assert trader.get("/v2/orders/1").status == 404


def test_a_page_that_does_not_exist(sim: Simulator) -> None:
    """Elsewhere there is a 404 with a message."""
    reply = ask(sim.url("bitmart"), "GET", "/v2/wallet")
    assert (reply.status, reply.json) == (404, {"message": "Not found"})
