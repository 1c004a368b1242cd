"""Indodax's countdown as its document describes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.exchange_clients import (
    BODY,
    BODY_SIGN,
    KEY,
    QUERY,
    QUERY_SIGN,
    SECRET,
    IndodaxTrader,
    ask,
)
from tests.support.polling import eventually
from worker.simulator import Options, Simulator
from worker.simulator.engine import Engine
from worker.simulator.wire import Request

NOW_MS = 1_700_000_000_000.0


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A simulator whose clock is stopped until it is stepped."""
    with Simulator(clock=lambda: NOW_MS) as running:
        yield running


@pytest.fixture
def trader(sim: Simulator) -> IndodaxTrader:
    return IndodaxTrader(sim)


def test_the_documented_requests_are_accepted(sim: Simulator) -> None:
    """Both curl commands of the document work as printed, timestamps and all."""
    sim.add_key("indodax", KEY, SECRET)
    url = sim.url("indodax")
    in_query = ask(
        url, "POST", f"/countdownCancelAll?{QUERY}", {"Key": KEY, "Sign": QUERY_SIGN.upper()}
    )
    in_body = ask(url, "POST", "/countdownCancelAll", {"Key": KEY, "Sign": BODY_SIGN}, BODY)
    assert [reply.json for reply in (in_query, in_body)] == [{"success": 1}] * 2
    assert [timer.pair for timer in sim.timers()] == ["btc_idr", "eth_idr"]
    assert sim.journal()[-1].pairs == ("btc_idr", "eth_idr")
    assert sim.journal()[-1].countdown_ms == 10_000


def test_a_countdown_cancels_the_pairs_orders(sim: Simulator, trader: IndodaxTrader) -> None:
    """At the end all open orders of key and pair go, and nothing else."""
    other = IndodaxTrader(sim, key="other")
    mine = sim.place("indodax", KEY, pair="btc_idr", count=2)
    (elsewhere,) = sim.place("indodax", KEY, pair="eth_idr")
    (hers,) = sim.place("indodax", other.key, pair="btc_idr")
    assert trader.countdown(pair="btc_idr", countdownTime=10_000).json == {"success": 1}
    sim.step_clock(9_999)
    assert sim.order("indodax", mine[0]).status == "open"
    sim.step_clock(1)
    for order_id in mine:
        order = sim.order("indodax", order_id)
        assert (order.status, order.closed_by) == ("canceled", "countdown")
        assert order.closed_ms == NOW_MS + 10_000
    assert sim.order("indodax", elsewhere).status == "open"
    assert sim.order("indodax", hers).status == "open"
    assert sim.timers() == []


def test_a_countdown_runs_out_by_itself() -> None:
    """Without any further request, a thread does it."""
    with Simulator() as sim:
        trader = IndodaxTrader(sim)
        (order_id,) = sim.place("indodax", KEY)
        trader.countdown(pair="btc_idr", countdownTime=40)
        eventually(lambda: sim.order("indodax", order_id).status == "canceled", within_ms=60_000)
        closed_ms = sim.order("indodax", order_id).closed_ms
        assert closed_ms is not None
        assert closed_ms - sim.journal()[0].at_ms >= 40


def test_a_heartbeat_replaces_the_countdown(sim: Simulator, trader: IndodaxTrader) -> None:
    """The existing countdown is canceled and replaced by a new one."""
    trader.countdown(pair="btc_idr", countdownTime=10_000)
    sim.step_clock(5_000)
    trader.countdown(pair="btc_idr", countdownTime=20_000)
    (timer,) = sim.timers()
    assert timer.fires_at_ms == NOW_MS + 25_000


def test_a_heartbeat_that_comes_too_late_revives_nothing(
    sim: Simulator, trader: IndodaxTrader
) -> None:
    """Orders go at the end even if there was no request until then."""
    (order_id,) = sim.place("indodax", KEY)
    trader.countdown(pair="btc_idr", countdownTime=1_000)
    sim.step_clock(1_011)
    trader.countdown(pair="btc_idr", countdownTime=60_000)
    assert sim.order("indodax", order_id).status == "canceled"


def test_zero_stops_the_countdown(sim: Simulator, trader: IndodaxTrader) -> None:
    """CountdownTime 0 stops the timer of that pair alone."""
    trader.countdown(pair="btc_idr,eth_idr", countdownTime=10_000)
    assert trader.countdown(pair="btc_idr", countdownTime=0).json == {"success": 1}
    assert [timer.pair for timer in sim.timers()] == ["eth_idr"]


def test_the_default_countdown_is_five_seconds(sim: Simulator, trader: IndodaxTrader) -> None:
    """CountdownTime is optional, default 5000."""
    trader.countdown(pair="btc_idr")
    assert sim.timers()[0].fires_at_ms == NOW_MS + 5_000


def test_ten_requests_in_ten_seconds_per_ip(sim: Simulator, trader: IndodaxTrader) -> None:
    """The eleventh in any 10 s is refused, to the millisecond."""
    for _ in range(10):
        assert trader.countdown(pair="btc_idr").status == 200
        sim.step_clock(100)
    sim.step_clock(10_000 - 1_000 - 1)
    refused = trader.countdown(pair="btc_idr")
    assert refused.status == 429
    assert refused.json["error_code"] == "too_many_requests"
    assert refused.json["success"] == 0
    assert "retry-after" not in refused.headers
    assert sim.journal()[-1].refusal == "rate"
    sim.step_clock(1)
    assert trader.countdown(pair="btc_idr").status == 429, "the refused one counts too"
    sim.step_clock(200)
    assert trader.countdown(pair="btc_idr").status == 200


def test_exactly_ten_seconds_apart_share_no_window(sim: Simulator, trader: IndodaxTrader) -> None:
    """Ten at once are followed by ten more exactly 10 s later."""
    for _ in range(2):
        assert {trader.countdown(pair="btc_idr").status for _ in range(10)} == {200}
        sim.step_clock(10_000)


def test_another_ip_has_its_own_ten() -> None:
    """The limit is per IP, whatever the key; seen on the engine, without sockets."""
    engine = Engine(0, Options(), lambda: NOW_MS)
    path = "/indodax/tapi/countdownCancelAll"

    def statuses(source: str) -> list[int]:
        request = Request("POST", path, source=source)
        return [engine.receive(request).reply.status for _ in range(11)]

    assert statuses("198.51.100.1") == [200] * 10 + [429]
    assert statuses("198.51.100.2") == [200] * 10 + [429]
    assert engine.journal[-1].source == "198.51.100.2"


def test_the_limit_is_not_per_key(sim: Simulator, trader: IndodaxTrader) -> None:
    """Two keys behind one IP share its ten."""
    other = IndodaxTrader(sim, key="other")
    assert {trader.countdown(pair="btc_idr").status for _ in range(10)} == {200}
    assert other.countdown(pair="btc_idr").status == 429
    assert sim.journal()[-1].source == "127.0.0.1"


def test_nonces_must_rise(sim: Simulator, trader: IndodaxTrader) -> None:
    """Equal and lower nonces are refused in the documented words; gaps are fine."""
    assert trader.countdown(pair="btc_idr", nonce=15249487513240000).json == {"success": 1}
    low = trader.countdown(pair="btc_idr", nonce=1524998484)
    assert low.status == 200
    assert low.json == {
        "success": 0,
        "error": "Nonce must be greater than 15249487513240000. You provided 1524998484.",
        "error_code": "invalid_nonce",
    }
    equal = trader.countdown(pair="btc_idr", nonce=15249487513240000)
    assert equal.json["error_code"] == "invalid_nonce"
    assert trader.countdown(pair="btc_idr", nonce=15249487513240009).json == {"success": 1}
    assert [a.refusal for a in sim.journal()] == [None, "nonce", "nonce", None]
    assert sim.journal()[1].nonce == 1524998484


def test_each_key_has_its_own_nonce(sim: Simulator, trader: IndodaxTrader) -> None:
    """The highest nonce is kept per key, and can be set."""
    other = IndodaxTrader(sim, key="other")
    sim.set_nonce(KEY, 5_000)
    assert trader.countdown(pair="btc_idr", nonce=5_000).json["success"] == 0
    assert other.countdown(pair="btc_idr", nonce=1).json["success"] == 1


@pytest.mark.parametrize(
    ("ahead_ms", "window", "accepted"),
    [
        (999, 5_000, True),
        (1_000, 5_000, False),
        (-5_000, 5_000, True),
        (-5_001, 5_000, False),
        (-5_000, None, True),
        (-5_001, None, False),
        (0, 0, True),
    ],
)
def test_timestamps_have_a_window(
    sim: Simulator, trader: IndodaxTrader, ahead_ms: int, window: int | None, *, accepted: bool
) -> None:
    """Rejected from 1 s ahead, and when older than recvWindow, default 5000."""
    params: dict[str, object] = {"timestamp": int(NOW_MS) + ahead_ms}
    if window is not None:
        params["recvWindow"] = window
    reply = trader.countdown(pair="btc_idr", **params)
    assert reply.json["success"] == int(accepted)
    if not accepted:
        assert reply.json["error_code"] == "invalid_timestamp"
    assert sim.journal()[-1].timestamp_ms == params["timestamp"]


def test_a_skewed_exchange_rejects_a_true_clock(sim: Simulator, trader: IndodaxTrader) -> None:
    """With the exchange one second behind, an honest timestamp is too far ahead."""
    sim.set_clock_skew(-1_000)
    reply = trader.countdown(pair="btc_idr", timestamp=int(NOW_MS), recvWindow=5_000)
    assert reply.json["error_code"] == "invalid_timestamp"
    assert sim.journal()[-1].at_ms == NOW_MS


@pytest.mark.parametrize("params", [{"nonce": 1, "timestamp": int(NOW_MS)}, {"timestamp": ""}])
def test_either_nonce_or_timestamp(
    sim: Simulator, trader: IndodaxTrader, params: dict[str, object]
) -> None:
    """Both together, or neither, are refused."""
    assert trader.countdown(pair="btc_idr", **params).json["success"] == 0
    assert sim.timers() == []


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "Pair is empty"),
        ({"pair": ""}, "Pair is empty"),
        ({"pair": "BTC/IDR"}, "Invalid pair"),
        ({"pair": "eth_idr,nonsense"}, "Invalid pair"),
        ({"pair": "eth_idr,btc_idr"}, "Pair btc_idr disabled"),
        ({"pair": "eth_idr", "countdownTime": "soon"}, "Invalid countdown time"),
        ({"pair": "eth_idr", "countdownTime": "-1"}, "Invalid countdown time"),
    ],
)
def test_bad_requests_are_refused_whole(
    sim: Simulator, trader: IndodaxTrader, params: dict[str, object], error: str
) -> None:
    """The documented texts, as HTTP 200, with no timer set for any pair."""
    sim.set_option("indodax_disabled_pairs", ["btc_idr"])
    reply = trader.countdown(**params)
    assert reply.status == 200
    assert reply.json == {"success": 0, "error": error, "error_code": "bad_request"}
    assert sim.timers() == []


def test_known_pairs_can_be_named(sim: Simulator, trader: IndodaxTrader) -> None:
    """With a set of known pairs, any other is invalid."""
    sim.set_option("indodax_pairs", ["btc_idr"])
    assert trader.countdown(pair="btc_idr").json == {"success": 1}
    assert trader.countdown(pair="eth_idr").json["error"] == "Invalid pair"


@pytest.mark.parametrize(
    ("headers", "code", "error"),
    [
        ({"Sign": "0" * 128}, "key_not_found", "API key not found in header"),
        ({"Key": KEY}, "sign_not_found", "Sign not found in header."),
        ({"Key": KEY, "Sign": "0" * 128}, "bad_sign", "Invalid credentials. Bad sign."),
        ({"Key": "nobody", "Sign": "0" * 128}, "bad_sign", "Invalid credentials. Bad sign."),
        ({"Key": KEY, "Sign": "x"}, "internal_server_error", "Validation signature failed."),
    ],
)
def test_credentials_are_checked(
    sim: Simulator, trader: IndodaxTrader, headers: dict[str, str], code: str, error: str
) -> None:
    """The documented codes and texts, as HTTP 200."""
    reply = ask(trader.url, "POST", "/countdownCancelAll", headers, b"pair=btc_idr&nonce=1")
    assert reply.status == 200
    assert reply.json == {"success": 0, "error": error, "error_code": code}
    assert not sim.journal()[-1].applied


def test_a_whitelist_can_be_kept(sim: Simulator, trader: IndodaxTrader) -> None:
    """Only whitelisted users can use the countdown; the trade API is open to all."""
    sim.set_option("indodax_whitelist", [])
    reply = trader.countdown(pair="btc_idr")
    assert reply.json["error_code"] == "not_authorized"
    assert reply.json["error"] == "Your user ID is not on the whitelist"
    assert trader.trade("openOrders").json["success"] == 1
    sim.set_option("indodax_whitelist", [KEY])
    assert trader.countdown(pair="btc_idr").json == {"success": 1}


def test_all_must_be_post(sim: Simulator) -> None:
    """Elsewhere, and by other methods, there is a page in HTML."""
    reply = ask(sim.url("indodax"), "GET", "/countdownCancelAll")
    assert (reply.status, reply.headers["content-type"]) == (404, "text/html")
