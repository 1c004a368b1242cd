"""Each fault as a client sees it, beside what the exchange knows to be true."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.exchange_clients import (
    BITMART_KEY,
    KEY,
    BitmartTrader,
    EverstrikeTrader,
    IndodaxTrader,
)
from tests.support.polling import eventually
from worker.simulator import FAULTS, Simulator
from worker.simulator.clock import host_now_ms
from worker.simulator.signing import everstrike_signature


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def order_id(sim: Simulator) -> str:
    """One open order on Everstrike."""
    EverstrikeTrader(sim)
    (order_id,) = sim.place("everstrike", KEY)
    return order_id


def _connect(sim: Simulator) -> socket.socket:
    parts = urlsplit(sim.base_url())
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def _send_cancel(sim: Simulator, order_id: str) -> socket.socket:
    """Send a cancel from a raw socket and leave the reply unread."""
    trader = EverstrikeTrader(sim)
    body = f"id={order_id}".encode()
    head = (
        "POST /everstrike/auth/cancel HTTP/1.1\r\nHost: x\r\n"
        f"x-api-key: {trader.key}\r\n"
        f"x-signature: {everstrike_signature(trader.secret, body)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    sock = _connect(sim)
    sock.sendall(head.encode() + body)
    return sock


def _read_to_end(sock: socket.socket) -> bytes:
    data = b""
    while chunk := sock.recv(65_536):
        data += chunk
    return data


@pytest.mark.parametrize(
    ("fault", "status"), [("accept_then_drop", "canceled"), ("drop_before", "open")]
)
def test_dropped_connections(sim: Simulator, order_id: str, fault: str, status: str) -> None:
    """Nothing comes back; only the exchange knows whether it was applied."""
    sim.fault_next(fault)
    with _send_cancel(sim, order_id) as sock:
        assert _read_to_end(sock) == b""
    assert sim.order("everstrike", order_id).status == status
    arrival = sim.journal()[-1]
    assert (arrival.fault, arrival.applied) == (fault, status == "canceled")
    assert arrival.order_ids == (order_id,)
    assert arrival.refusal is None


def test_delay_is_applied_at_once(sim: Simulator, order_id: str) -> None:
    """The order is off the book while the reply is still awaited, and stopping ends the wait."""
    sim.set_option("delay_ms", 60_000)
    sim.fault_next("delay")
    with _send_cancel(sim, order_id) as sock:
        eventually(lambda: sim.order("everstrike", order_id).status == "canceled", within_ms=60_000)
        assert select.select([sock], [], [], 0)[0] == []
        before_ms = host_now_ms()
        sim.stop()
        assert host_now_ms() - before_ms < 5_000
        _read_to_end(sock)


def test_delay_delivers_in_the_end(sim: Simulator, order_id: str) -> None:
    """The reply is whole, and as late as set."""
    sim.set_option("delay_ms", 60)
    sim.fault_next("delay")
    assert EverstrikeTrader(sim).cancel(order_id).json["result"]["id"] == order_id
    assert host_now_ms() - sim.journal()[-1].at_ms >= 60


def test_drip_comes_byte_by_byte(sim: Simulator, order_id: str) -> None:
    """Even the head comes in pieces."""
    sim.set_option("drip_ms", 60_000)
    sim.fault_next("drip")
    with _send_cancel(sim, order_id) as sock:
        assert sock.recv(65_536) == b"H"
    assert sim.order("everstrike", order_id).status == "canceled"
    assert sim.journal()[-1].fault == "drip"


def test_drip_delivers_the_whole_reply(sim: Simulator, order_id: str) -> None:
    """A patient client gets all of it."""
    sim.set_option("drip_ms", 0.1)
    sim.fault_next("drip")
    reply = EverstrikeTrader(sim).cancel(order_id)
    assert reply.json["result"]["id"] == order_id
    elapsed_ms = host_now_ms() - sim.journal()[-1].at_ms
    assert elapsed_ms >= 0.1 * len(reply.body)


def test_half_a_body(sim: Simulator, order_id: str) -> None:
    """The head promises more than comes."""
    sim.fault_next("half_body")
    with _send_cancel(sim, order_id) as sock:
        head, _, body = _read_to_end(sock).partition(b"\r\n\r\n")
    promised = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert len(body) == promised // 2
    assert sim.order("everstrike", order_id).status == "canceled"


def test_garbage_is_no_json(sim: Simulator, order_id: str) -> None:
    """Status 200 and unreadable bytes, although it was applied."""
    sim.fault_next("garbage")
    reply = EverstrikeTrader(sim).cancel(order_id)
    assert reply.status == 200
    with pytest.raises(ValueError, match="codec"):
        json.loads(reply.body.decode())
    assert sim.order("everstrike", order_id).status == "canceled"


def _applied(sim: Simulator, trader: EverstrikeTrader, fault: str) -> set[tuple[int, bool]]:
    """Meet a fault many times; return which statuses came with which truth."""
    seen = set()
    ids = sim.place("everstrike", KEY, count=40)
    sim.fault_next(fault, times=len(ids))
    for order_id in ids:
        status = trader.cancel(order_id).status
        applied = sim.order("everstrike", order_id).status == "canceled"
        assert sim.journal()[-1].applied is applied
        seen.add((status, applied))
    return seen


def test_html_5xx_says_nothing_of_the_truth(sim: Simulator) -> None:
    """502, 503 and 504 come both with and without effect."""
    seen = _applied(sim, EverstrikeTrader(sim), "html_5xx")
    assert seen == {(status, truth) for status in (502, 503, 504) for truth in (False, True)}


def test_html_5xx_is_a_proxys_page(sim: Simulator, order_id: str) -> None:
    """Its body is HTML, as of an outage."""
    sim.fault_next("html_5xx")
    reply = EverstrikeTrader(sim).cancel(order_id)
    assert reply.headers["content-type"] == "text/html"
    assert reply.body.startswith(b"<html>")


def test_everstrike_503_says_nothing_of_the_truth(sim: Simulator) -> None:
    """The documented error comes both with and without effect."""
    trader = EverstrikeTrader(sim)
    assert _applied(sim, trader, "everstrike_503") == {(503, False), (503, True)}


def test_indodax_error_says_nothing_of_the_truth(sim: Simulator) -> None:
    """Its HTTP 200 with "Failed to process request" comes with and without effect."""
    trader = IndodaxTrader(sim)
    sim.fault_next("indodax_error", times=30)
    truths = set()
    for order_id in sim.place("indodax", KEY, count=30):
        reply = trader.trade("cancelOrder", pair="btc_idr", order_id=order_id, type="buy")
        assert reply.status == 200
        assert reply.json == {
            "success": 0,
            "error": "Failed to process request",
            "error_code": "internal_server_error",
        }
        truths.add(sim.order("indodax", order_id).status)
    assert truths == {"open", "canceled"}


def test_throttle_on_each_exchange(sim: Simulator) -> None:
    """429 in each exchange's words, without a hint, and nothing applied."""
    everstrike, indodax, bitmart = EverstrikeTrader(sim), IndodaxTrader(sim), BitmartTrader(sim)
    bitmart.authenticate()
    sim.fault_next("throttle", times=3)
    replies = [
        everstrike.cancel(sim.place("everstrike", KEY)[0]),
        indodax.countdown(pair="btc_idr"),
        bitmart.cancel(sim.place("bitmart", BITMART_KEY)[0]),
    ]
    assert [reply.status for reply in replies] == [429] * 3
    assert all("retry-after" not in reply.headers for reply in replies)
    assert replies[0].json["code"] == 429
    assert "seconds" not in replies[0].json["msg"]
    assert replies[1].json["error_code"] == "too_many_requests"
    assert set(replies[2].json) == {"message"}
    assert sim.timers() == []
    assert {order.status for order in sim.orders("bitmart")} == {"open"}
    assert not any(arrival.applied for arrival in sim.journal()[-3:])


def test_throttle_with_a_hint(sim: Simulator) -> None:
    """Everstrike says it in words, the others in a header."""
    everstrike, indodax, bitmart = EverstrikeTrader(sim), IndodaxTrader(sim), BitmartTrader(sim)
    bitmart.authenticate()
    sim.fault_next("throttle_retry_after", times=3)
    hint = everstrike.cancel(sim.place("everstrike", KEY)[0])
    assert hint.json == {
        "code": 429,
        "msg": "You have done that too much recently. Care to try again in 0.043 seconds?",
        "result": None,
    }
    for reply in (indodax.countdown(pair="btc_idr"), bitmart.cancel("1")):
        assert (reply.status, reply.headers["retry-after"]) == (429, "1")


def test_expire_token_ends_the_one_presented(sim: Simulator) -> None:
    """401 now and until another is fetched; requests without a token never meet it."""
    trader = BitmartTrader(sim)
    sim.fault_next("expire_token", exchange="bitmart")
    assert trader.authenticate().status == 200
    (order_id,) = sim.place("bitmart", BITMART_KEY)
    assert trader.cancel(order_id).status == 401
    assert sim.journal()[-1].fault == "expire_token"
    assert trader.cancel(order_id).status == 401
    assert sim.journal()[-1].fault is None
    trader.authenticate()
    assert trader.cancel(order_id).status == 200


def test_reject_nonce_jumps_ahead(sim: Simulator) -> None:
    """The refusal names a nonce above the one given, and means it."""
    trader = IndodaxTrader(sim)
    sim.fault_next("reject_nonce")
    timestamped = trader.countdown(pair="btc_idr", timestamp=int(host_now_ms()))
    assert timestamped.json == {"success": 1}, "without a nonce the fault waits"
    reply = trader.countdown(pair="btc_idr", nonce=5_000)
    last = int(reply.json["error"].split()[5].rstrip("."))
    assert reply.json == {
        "success": 0,
        "error": f"Nonce must be greater than {last}. You provided 5000.",
        "error_code": "invalid_nonce",
    }
    assert last > 5_000
    assert trader.countdown(pair="btc_idr", nonce=last).json["success"] == 0
    assert trader.countdown(pair="btc_idr", nonce=last + 1).json["success"] == 1


@pytest.mark.parametrize(
    ("fault", "code", "error"),
    [
        ("indodax_bad_sign", "bad_sign", "Invalid credentials. Bad sign."),
        ("indodax_not_authorized", "not_authorized", "Your user ID is not on the whitelist"),
        ("indodax_pair_disabled", "bad_request", "Pair eth_idr disabled"),
    ],
)
def test_permanent_refusals(sim: Simulator, fault: str, code: str, error: str) -> None:
    """The documented texts as HTTP 200, on request."""
    sim.fault_next(fault, exchange="indodax")
    reply = IndodaxTrader(sim).countdown(pair="eth_idr")
    assert reply.status == 200
    assert reply.json == {"success": 0, "error": error, "error_code": code}
    assert sim.timers() == []


def _faults_met(seed: int) -> list[str | None]:
    with Simulator(seed) as sim:
        trader = EverstrikeTrader(sim)
        sim.set_option("delay_ms", 0)
        sim.set_faults({"delay": 0.2, "throttle": 0.2, "reject_nonce": 0.2, "html_5xx": 0.2})
        for order_id in sim.place("everstrike", KEY, count=60):
            trader.cancel(order_id)
        return [f"{arrival.fault}:{arrival.applied}" for arrival in sim.journal()]


def test_the_same_seed_gives_the_same_faults() -> None:
    """Faults and their truths are repeated exactly, and differ between seeds."""
    assert _faults_met(1) == _faults_met(1)
    assert _faults_met(1) != _faults_met(2)


def test_probabilities_are_kept_where_faults_mean_something(sim: Simulator) -> None:
    """About the share asked for; what means nothing on an exchange is not drawn."""
    trader = EverstrikeTrader(sim)
    sim.set_faults({"throttle": 0.25, "reject_nonce": 0.5})
    for order_id in sim.place("everstrike", KEY, count=400):
        trader.cancel(order_id)
    met = [arrival.fault for arrival in sim.journal()]
    assert set(met) == {None, "throttle"}
    assert 60 <= met.count("throttle") <= 140


def test_set_faults_replaces_the_former_set(sim: Simulator) -> None:
    """Per exchange, whole; an empty set ends it."""
    trader, indodax = EverstrikeTrader(sim), IndodaxTrader(sim)
    sim.set_faults({"throttle": 1.0})
    sim.set_faults({"everstrike_503": 1.0}, exchange="everstrike")
    assert trader.cancel("1").status == 503
    assert indodax.countdown(pair="btc_idr").status == 429
    sim.set_faults({})
    assert indodax.countdown(pair="btc_idr").status == 200
    trader.cancel("1")
    assert sim.journal()[-1].fault is None


@pytest.mark.parametrize("paths", [["/auth/cancel"], ["cancel"]])
def test_faults_can_be_kept_to_paths(sim: Simulator, paths: list[str]) -> None:
    """By the beginning of a path, or by operation."""
    trader = EverstrikeTrader(sim)
    sim.set_faults({"throttle": 1.0}, paths=paths)
    sim.fault_next("html_5xx", paths=paths)
    assert trader.get("/active_orders").status == 200
    assert trader.cancel("1").status >= 502
    assert trader.cancel("1").status == 429


def test_fault_next_meets_exactly_as_many_as_asked(sim: Simulator) -> None:
    """In turn, and on the exchange named alone."""
    trader, indodax = EverstrikeTrader(sim), IndodaxTrader(sim)
    sim.fault_next("throttle", exchange="everstrike", times=2)
    assert indodax.countdown(pair="btc_idr").status == 200
    statuses = [trader.get("/active_orders").status for _ in range(3)]
    assert statuses == [429, 429, 200]


@pytest.mark.parametrize(
    "faults", [{"no_such": 0.1}, {"delay": 0.6, "throttle": 0.6}, {"delay": -0.1}]
)
def test_nonsense_is_refused(sim: Simulator, faults: dict[str, float]) -> None:
    """Unknown names and impossible probabilities are errors."""
    with pytest.raises(ValueError, match="fault"):
        sim.set_faults(faults)


def test_a_fault_that_could_never_come_is_refused(sim: Simulator) -> None:
    """fault_next of what means nothing on the exchange would wait for ever."""
    with pytest.raises(ValueError, match="means nothing on bitmart"):
        sim.fault_next("reject_nonce", exchange="bitmart")


def test_faulted_requests_count_against_the_limit() -> None:
    """The limit is counted at arrival, whatever happens to the request."""
    with Simulator(clock=lambda: 1_700_000_000_000.0) as sim:
        trader = IndodaxTrader(sim)
        sim.fault_next("indodax_error", times=10)
        for _ in range(10):
            trader.countdown(pair="btc_idr")
        assert trader.countdown(pair="btc_idr").status == 429


def test_control_is_never_faulted(sim: Simulator) -> None:
    """Neither by chance nor by order."""
    sim.set_faults({"accept_then_drop": 1.0})
    sim.fault_next("drop_before")
    with _connect(sim) as sock:
        sock.sendall(b"POST /_sim/timers HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert sock.recv(65_536).endswith(b'{"result":[]}')
    assert sim.journal() == []


def test_every_fault_is_in_the_package_docstring() -> None:
    """The table that users read names all there are."""
    import worker.simulator  # noqa: PLC0415

    assert worker.simulator.__doc__ is not None
    assert [name for name in FAULTS if f"`{name}`" not in worker.simulator.__doc__] == []
