"""The server: real HTTP over real sockets, and nothing left behind."""

from __future__ import annotations

import ast
import http.client
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import worker.simulator
from tests.support.exchange_clients import KEY, EverstrikeTrader, IndodaxTrader, ask
from worker.simulator import EXCHANGES, Simulator
from worker.simulator.venues import PROFILED


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


def _connect(sim: Simulator) -> socket.socket:
    parts = urlsplit(sim.base_url())
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def _simulator_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "simulator" in thread.name]


def test_urls_stand_for_the_documented_hosts(sim: Simulator) -> None:
    """One server, a base URL for each exchange."""
    base = sim.base_url()
    assert base.startswith("http://127.0.0.1:")
    assert [sim.url(name) for name in EXCHANGES] == [
        f"{base}/everstrike",
        f"{base}/indodax/tapi",
        f"{base}/indodax_v2",
        f"{base}/bitmart",
        f"{base}/binance",
        f"{base}/binanceusdm",
        f"{base}/binancecoinm",
        f"{base}/kraken",
        f"{base}/okx",
        f"{base}/hyperliquid",
        f"{base}/gate",
        f"{base}/gate_futures",
        f"{base}/kucoin",
        f"{base}/bybit",
        f"{base}/deribit/api/v2",
        *(f"{base}/ccxt/{name}" for name in PROFILED),
    ]
    with pytest.raises(ValueError, match="no exchange"):
        sim.url("nowhere")


def test_connections_are_kept_alive(sim: Simulator) -> None:
    """Many requests go over one connection."""
    parts = urlsplit(sim.base_url())
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.connect()
    sock = connection.sock
    for _ in range(3):
        connection.request("GET", "/bitmart/v2/time")
        assert connection.getresponse().read().startswith(b'{"server_time"')
        assert connection.sock is sock
    connection.close()


def test_connection_close_is_honored(sim: Simulator) -> None:
    """Who asks for it, and HTTP/1.0, gets the end of the connection."""
    for request in (
        b"GET /bitmart/v2/time HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /bitmart/v2/time HTTP/1.0\r\n\r\n",
    ):
        with _connect(sim) as sock:
            sock.sendall(request)
            data = b""
            while chunk := sock.recv(65_536):
                data += chunk
        assert b"Connection: close\r\n" in data


def test_requests_may_come_in_pieces_or_together(sim: Simulator) -> None:
    """Bytes are put together however the network cuts them."""
    request = b"GET /bitmart/v2/time HTTP/1.1\r\nHost: x\r\n\r\n"
    with _connect(sim) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(request)):
            sock.sendall(request[at : at + 1])
        sock.sendall(request * 2)
        replies = b""
        while replies.count(b'{"server_time"') < 3:
            replies += sock.recv(65_536)


def test_a_body_may_wait_for_continue(sim: Simulator) -> None:
    """As curl does with long bodies."""
    with _connect(sim) as sock:
        sock.sendall(
            b"POST /_sim/timers HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert sock.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        assert sock.recv(65_536).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000, 431),
    ],
)
def test_unreadable_requests_are_refused(sim: Simulator, request_bytes: bytes, status: int) -> None:
    """Head and body are bounded; the journal does not hold what was not read."""
    with _connect(sim) as sock:
        sock.sendall(request_bytes)
        assert sock.recv(65_536).startswith(f"HTTP/1.1 {status} ".encode())
    assert sim.journal() == []


def test_a_half_sent_request_is_no_arrival(sim: Simulator) -> None:
    """Only requests whose bytes were all read enter the journal."""
    with _connect(sim) as sock:
        sock.sendall(b"POST /everstrike/auth/cancel HTTP/1.1\r\nContent-Length: 9\r\n\r\nid=")
    assert ask(sim.base_url(), "GET", "/bitmart/v2/time").status == 200
    assert [arrival.operation for arrival in sim.journal()] == ["time"]


def test_elsewhere_there_is_no_exchange(sim: Simulator) -> None:
    """A path that no exchange is mounted at is 404."""
    for path in ("/", "/everstriker/order", "/indodax"):
        assert ask(sim.base_url(), "GET", path).status == 404
    assert sim.journal() == []


def test_stop_leaves_no_thread_and_no_connection(sim: Simulator) -> None:
    """Open connections end with it, and stopping twice is fine."""
    with _connect(sim) as first, _connect(sim) as second:
        second.sendall(b"GET /bitmart/v2/time HTTP/1.1\r\n\r\n")
        assert second.recv(65_536)
        sim.stop()
        assert first.recv(1) == b""
        assert second.recv(1) == b""
    sim.stop()
    assert _simulator_threads() == []


def test_a_stopped_simulator_starts_again_on_its_port(sim: Simulator) -> None:
    """With all that it knew."""
    url = sim.base_url()
    trader = EverstrikeTrader(sim)
    (order_id,) = sim.place("everstrike", KEY)
    sim.stop()
    with pytest.raises(OSError, match="refused"):
        trader.cancel(order_id)
    sim.start()
    assert sim.base_url() == url
    assert trader.cancel(order_id).status == 200


def test_a_taken_port_is_an_error(sim: Simulator) -> None:
    """Binding fails loudly and leaves nothing behind."""
    port = urlsplit(sim.base_url()).port
    assert port is not None
    before = len(_simulator_threads())
    with pytest.raises(OSError, match="in use"):
        Simulator(port=port).start()
    assert len(_simulator_threads()) == before


def test_arrivals_from_many_threads_have_one_order(sim: Simulator) -> None:
    """Sequence numbers and times rise together, and none is lost."""
    trader = EverstrikeTrader(sim)
    ids = sim.place("everstrike", KEY, count=80)

    def cancel(mine: list[str]) -> None:
        for order_id in mine:
            trader.cancel(order_id)

    threads = [threading.Thread(target=cancel, args=(ids[at::8],)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal = sim.journal()
    assert [arrival.seq for arrival in journal] == list(range(1, 81))
    assert [a.at_ms for a in journal] == sorted(a.at_ms for a in journal)
    assert {order.status for order in sim.orders("everstrike")} == {"canceled"}
    assert sim.journal(after=78) == journal[78:]


def test_many_connections_at_once(sim: Simulator) -> None:
    """Hundreds of clients connect at the same moment and are all served."""
    socks = [_connect(sim) for _ in range(300)]
    for sock in socks:
        sock.sendall(b"GET /bitmart/v2/time HTTP/1.1\r\n\r\n")
    for sock in socks:
        assert sock.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        sock.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_fill_may_win_the_race(seed: int) -> None:
    """With fill_race a cancel that arrives in time finds the order filled."""
    with Simulator(seed) as sim:
        trader = EverstrikeTrader(sim)
        sim.fill_race("everstrike", 0.5)
        statuses = set()
        for order_id in sim.place("everstrike", KEY, count=30):
            canceled = trader.cancel(order_id).status == 200
            order = sim.order("everstrike", order_id)
            assert (order.status, order.closed_by) == (
                ("canceled", "cancel") if canceled else ("filled", "fill")
            )
            statuses.add(order.status)
        assert statuses == {"canceled", "filled"}


def test_place_refuses_what_cannot_be(sim: Simulator) -> None:
    """An unknown key, and an id that is taken."""
    with pytest.raises(ValueError, match="add it first"):
        sim.place("everstrike", KEY)
    EverstrikeTrader(sim)
    assert sim.place("everstrike", KEY, order_ids=["a", "b"]) == ["a", "b"]
    with pytest.raises(ValueError, match="placed before"):
        sim.place("everstrike", KEY, order_ids=["c", "a"])
    assert len(sim.orders("everstrike")) == 2


def test_reset_is_as_new(sim: Simulator) -> None:
    """Orders, keys, faults, timers, options and journal go; seed and port stay."""
    url = sim.base_url()
    trader = IndodaxTrader(sim)
    ids = sim.place("indodax", KEY, count=2)
    options = sim.options
    sim.set_option("delay_ms", 1)
    sim.fault_next("throttle", times=9, paths=["cancel"])
    sim.set_clock_skew(9_999_999)
    trader.countdown(pair="btc_idr")
    sim.reset()
    assert (sim.orders("indodax"), sim.timers(), sim.journal()) == ([], [], [])
    assert sim.options != options
    assert sim.options.delay_ms == 1_500
    assert sim.base_url() == url
    assert trader.countdown(pair="btc_idr").json["error_code"] == "bad_sign"
    trader = IndodaxTrader(sim)
    assert sim.place("indodax", KEY, count=2) == ids
    reply = trader.trade("cancelOrder", pair="btc_idr", order_id=ids[0], type="buy")
    assert reply.json["success"] == 1


def test_seeds_choose_what_no_document_says() -> None:
    """Every variant comes with some seed, and always with the same."""
    options = [Simulator(seed).options for seed in range(20)]
    assert {option.everstrike_closed for option in options} == {400, 404, 503}
    assert {option.bitmart_closed for option in options} == {400, 404}
    assert {option.indodax_no_orders for option in options} == {"null", "empty"}
    assert options == [Simulator(seed).options for seed in range(20)]


def test_only_the_standard_library_is_imported() -> None:
    """The simulator shares no code with the adapters that it judges."""
    foreign = set()
    for path in Path(worker.simulator.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                foreign |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                foreign.add(str(node.module))
    own = {name for name in foreign if name.startswith("worker.simulator")}
    assert {name.split(".")[0] for name in foreign - own} <= sys.stdlib_module_names
