"""The transport on real sockets: what goes out, what comes back, what is kept."""

from __future__ import annotations

import gc
import gzip
import socket
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any
from zlib import compress

import pytest

from tests.support.polling import eventually
from tests.support.raw_server import Peer, Server, forever, full_listener, reply
from worker import clock
from worker.config.settings import Http
from worker.errors import NotSent, ReplyLost
from worker.gateway.http.connection import DeadlineConnection
from worker.gateway.http.transport import Transport
from worker.model.wire import Reply, Request

DEADLINE_MS = 3_000


@pytest.fixture
def transport() -> Transport:
    return Transport(Http())


def send(transport: Transport, url: str, method: str = "POST", **fields: Any) -> Reply:
    """Send a request with room enough."""
    return transport.send(Request(method, url, **fields), egress_ip=None, deadline_ms=DEADLINE_MS)


def parts(data: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """Split a request into its first line, its headers and its body."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    rows = [line.decode("latin-1").partition(": ") for line in lines]
    headers = {name.lower(): value for name, _, value in rows}
    assert len(headers) == len(rows), "a header twice"
    return first, headers, body


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/tapi", b"method=cancelOrder&pair=btc_idr&order_id=1"),
        ("POST", "/countdownCancelAll", b"pair=btc_idr,eth_idr&countdownTime=0"),
        ("POST", "/a?pair=btc_idr%2Ceth_idr&x=a+b%20c&y=%C3%BC", b""),
        ("GET", "/order?id=a%7Cb%2Fc&limit=100", b""),
        ("DELETE", "/v2/orders/1223181", b""),
        ("DELETE", "/v2/orders?side=buy&symbol=BTC_IDR", b""),
        ("POST", "/", b"\x00\xff\r\n\r\n" * 3),
        ("PUT", "/x", b""),
    ],
)
def test_request_goes_out_byte_for_byte(
    transport: Transport, method: str, path: str, body: bytes
) -> None:
    """What was signed is what arrives: method, target, headers and body."""
    with Server(forever) as server:
        headers = {"X-Key": "k/+=", "x-lower": "v", "Content-Type": "text/plain"}
        base = f"http://127.0.0.1:{server.port}"
        send(transport, base + path, method, headers=headers, body=body)
    first, seen, got = parts(server.requests[0])
    assert first == f"{method} {path} HTTP/1.1".encode()
    assert got == body
    lengths = {"content-length": str(len(body))} if method in ("POST", "PUT") else {}
    assert seen == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "cancel-worker",
        "accept-encoding": "identity",
        **{name.lower(): value for name, value in headers.items()},
        **lengths,
    }


def test_reply_comes_back_whole(transport: Transport) -> None:
    """Status, headers in lower case, body, and the time at which it was whole."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(reply(b'{"a": 1}', status="418 Teapot", headers="X-Mixed-Case: Value\r\n"))

    with Server(act) as server:
        got = send(transport, server.url)
    assert (got.status, got.body) == (418, b'{"a": 1}')
    assert got.headers["x-mixed-case"] == "Value"
    assert got.received_ms > 1_600_000_000_000


@pytest.mark.parametrize("status", [200, 204, 301, 302, 400, 401, 403, 404, 429, 500, 502, 503])
def test_every_status_is_a_reply(transport: Transport, status: int) -> None:
    """What an exchange answers is data, never an error of ours."""

    def act(peer: Peer) -> None:
        peer.request()
        body = b"" if status == 204 else b"x"
        peer.send(reply(body, status=f"{status} S"))

    with Server(act) as server:
        assert send(transport, server.url).status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(transport: Transport, status: int) -> None:
    """A signed request is not carried to where a reply points."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(reply(b"moved", status=f"{status} Moved", headers="Location: /elsewhere\r\n"))
        forever(peer)

    with Server(act) as server:
        assert send(transport, server.url, body=b"x").status == status
    assert len(server.requests) == 1


def test_cookies_are_not_kept(transport: Transport) -> None:
    """What a reply sets is not sent back."""

    def act(peer: Peer) -> None:
        while True:
            peer.request()
            peer.send(reply(headers="Set-Cookie: a=b; Path=/\r\n"))

    with Server(act) as server:
        for _ in range(3):
            send(transport, server.url)
    assert not any(b"cookie" in data.lower() for data in server.requests)


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", compress)],
    ids=["gzip", "X-GZIP", "deflate"],
)
def test_compressed_reply_is_unpacked(
    transport: Transport, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    """A server that compresses, though it was not asked to, is understood."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(reply(pack(b'{"a": 1}'), headers=f"Content-Encoding: {coding}\r\n"))

    with Server(act) as server:
        assert send(transport, server.url).body == b'{"a": 1}'


OUT_OF_BOUNDS: dict[str, tuple[str, bytes]] = {
    "too large": ("gzip", gzip.compress(b"0" * 2_000_000)),
    "cut short": ("gzip", gzip.compress(b"{}")[:-1]),
    "and more": ("gzip", gzip.compress(b"{}") + b"x"),
    "in two parts": ("gzip", gzip.compress(b"{") + gzip.compress(b"}")),
    "not packed": ("gzip", b"{}"),
    "packed twice": ("gzip, gzip", gzip.compress(gzip.compress(b"{}"))),
    "another way": ("br", b"\x0b\x00\x80{}\x03"),
    "none": ("identity", b"{}"),
}


@pytest.mark.parametrize("name", OUT_OF_BOUNDS)
def test_compressed_reply_out_of_bounds_stays_as_it_came(transport: Transport, name: str) -> None:
    """One that is too large, cut short, packed twice or in another way is no reply known."""
    coding, packed = OUT_OF_BOUNDS[name]

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(reply(packed, headers=f"Content-Encoding: {coding}\r\n"))

    with Server(act) as server:
        assert send(transport, server.url).body == packed


def test_chunked_reply_is_put_together(transport: Transport) -> None:
    """A body in chunks is a body."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"ab", b"c" * 20_000, b"d"):
            peer.send(b"%x\r\n%b\r\n" % (len(part), part))
        peer.send(b"0\r\n\r\n")

    with Server(act) as server:
        assert send(transport, server.url).body == b"ab" + b"c" * 20_000 + b"d"


def test_head_is_read_as_servers_write_it(transport: Transport) -> None:
    """No space after the colon, bare newlines, folds, a name twice: all of it is HTTP."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200\nX-A:1\nX-Fold: a\n\t b\nX-A: 2\nCONTENT-LENGTH:2 \n\n{}")

    with Server(act) as server:
        got = send(transport, f"http://127.0.0.1:{server.port}/")
    assert got.body == b"{}"
    assert got.headers == {"x-a": "1, 2", "x-fold": "a b", "content-length": "2"}


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_interim_reply_is_not_the_reply(transport: Transport, interim: bytes) -> None:
    """The final reply is this request's, and none is left over for the next one."""
    go = threading.Event()

    def act(peer: Peer) -> None:
        for number in range(1, 3):
            peer.request()
            peer.send(b"HTTP/1.1 " + interim + b"\r\nLink: </x>\r\n\r\n")
            if number == 1:
                go.wait(5)
            peer.send(reply(b"%d" % number))

    with Server(act) as server:
        later = threading.Timer(0.05, go.set)
        later.start()
        assert send(transport, server.url).body == b"1"
        assert send(transport, server.url).body == b"2"
        later.join()
    assert server.connections == 1


def test_switch_of_protocols_is_no_reply(transport: Transport) -> None:
    """After "101" nothing that comes is a reply of this protocol."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
        peer.hold()

    with Server(act) as server, pytest.raises(ReplyLost):
        send(transport, server.url)


def test_connection_is_used_again(transport: Transport) -> None:
    """One thread keeps one connection to a host."""
    with Server(forever) as server:
        for method in ("POST", "GET", "DELETE", "POST"):
            send(transport, server.url, method)
        assert server.connections == 1


def test_connection_can_be_opened_before_the_request(transport: Transport) -> None:
    """The request then goes out over it; one that is open is left as it is."""
    with Server(forever) as server:
        for _ in range(2):
            transport.connect(server.url, egress_ip=None, deadline_ms=DEADLINE_MS)
        eventually(lambda: server.connections == 1)
        assert server.requests == []
        send(transport, server.url)
        transport.connect(server.url, egress_ip=None, deadline_ms=DEADLINE_MS)
        assert server.connections == 1
        transport.connect(server.url, egress_ip="127.0.0.2", deadline_ms=DEADLINE_MS)
        eventually(lambda: server.connections == 2)


@pytest.mark.parametrize("deadline_ms", [0, 200])
def test_connection_that_cannot_be_opened_sent_nothing(
    transport: Transport, deadline_ms: int
) -> None:
    """In time, and with the same error as a request."""
    with full_listener() as port, pytest.raises(NotSent):
        transport.connect(f"http://127.0.0.1:{port}/", egress_ip=None, deadline_ms=deadline_ms)


def test_threads_do_not_share_a_connection(transport: Transport) -> None:
    """Each thread has its own."""
    with Server(forever) as server:
        send(transport, server.url)
        thread = threading.Thread(target=send, args=(transport, server.url))
        thread.start()
        thread.join()
        send(transport, server.url)
        assert server.connections == 2


def test_idle_connection_is_dropped_before_it_is_used() -> None:
    """What the server may be about to close is not written into."""
    transport = Transport(Http(idle_ms=1))
    with Server(forever) as server:
        send(transport, server.url)
        threading.Event().wait(0.01)
        send(transport, server.url)
        assert server.connections == 2


@pytest.mark.parametrize(
    ("told", "connections"),
    [("timeout=0", 2), ("max=5, Timeout=0", 2), ("timeout=60", 1), ("timeout=soon", 1)],
)
def test_connection_is_not_kept_for_longer_than_its_server_does(
    transport: Transport, told: str, connections: int
) -> None:
    """What a server says of its patience shortens ours, and never lengthens it."""

    def act(peer: Peer) -> None:
        while True:
            peer.request()
            peer.send(reply(headers=f"Keep-Alive: {told}\r\n"))

    with Server(act) as server:
        send(transport, server.url)
        send(transport, server.url)
        assert server.connections == connections


FORK = """
import os, sys
from worker.config.settings import Http
from worker.gateway.http.transport import Transport
from worker.model.wire import Request
transport, request = Transport(Http()), Request("GET", sys.argv[1])
def send():
    return transport.send(request, egress_ip=None, deadline_ms=3_000).status
codes = [send()]
child = os.fork()
codes.append(send())
if child == 0:
    os._exit(0 if codes == [200, 200] else 1)
codes.append(os.waitpid(child, 0)[1])
codes.append(send())
print(codes)
"""


def test_forked_process_has_connections_of_its_own() -> None:
    """A child does not write into its parent's, and its end does not close them."""
    with Server(forever) as server:
        command = [sys.executable, "-c", FORK, server.url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[200, 200, 0, 200]"
        assert server.connections == 2


def close_after(count: int) -> Callable[[Peer], None]:
    """Answer so many requests of a connection, then close it."""

    def act(peer: Peer) -> None:
        for _ in range(count):
            peer.request()
            peer.send(reply())

    return act


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_connection_that_the_server_closed_is_not_written_into(
    transport: Transport, method: str
) -> None:
    """A close that has arrived is seen before the next request is sent."""
    with Server(close_after(1)) as server:
        for number in range(1, 4):
            send(transport, server.url, method)
            eventually(lambda: no_threads_of(server))
            assert server.connections == number
    assert len(server.requests) == 3


def no_threads_of(server: Server) -> bool:
    """Return whether every connection of a server has been closed by it."""
    return not any(thread.is_alive() for thread in server._threads[1:])  # noqa: SLF001


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_nothing_is_sent_twice(transport: Transport, method: str) -> None:
    """A connection that dies under a request loses the reply; the request is not repeated."""

    def act(peer: Peer) -> None:
        peer.request()
        if peer.number == 1:
            peer.send(reply())
            peer.request()

    with Server(act) as server:
        send(transport, server.url, method)
        with pytest.raises(ReplyLost):
            send(transport, server.url, method)
    assert len(server.requests) == 2
    assert server.connections == 1


def test_request_into_a_reset_connection_is_lost_not_repeated(transport: Transport) -> None:
    """A server that resets as the request comes leaves its outcome unknown."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with Server(act) as server, pytest.raises(ReplyLost):
        send(transport, server.url, body=b"x" * 100)
    assert len(server.requests) == 1


def test_address_to_send_from_is_kept(transport: Transport) -> None:
    """An account's egress address is what the exchange sees; each has its own connection."""
    with Server(forever) as server:
        request = Request("GET", server.url)
        for egress_ip in ("127.0.0.2", "127.0.0.3", None, "127.0.0.2"):
            transport.send(request, egress_ip=egress_ip, deadline_ms=DEADLINE_MS)
    assert server.sources == ["127.0.0.2", "127.0.0.3", "127.0.0.1"]


def test_address_that_is_not_ours_sends_nothing(transport: Transport) -> None:
    """An egress address that this machine lacks is reported, not passed over."""
    with Server(forever) as server, pytest.raises(NotSent, match="assign requested address"):
        transport.send(Request("GET", server.url), egress_ip="203.0.113.7", deadline_ms=DEADLINE_MS)
    assert server.requests == []


def test_netrc_of_the_user_is_not_used(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """No credentials but the account's are sent."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Server(forever) as server:
        send(transport, server.url)
    assert b"authorization" not in server.requests[0].lower()


def test_a_connection_in_a_reference_cycle_closes_its_socket() -> None:
    """In whatever order the garbage collector finds the two."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(20):
            cycle: list[Any] = []
            connection: Any = DeadlineConnection("127.0.0.1", server.getsockname()[1])
            connection.begin(clock.monotonic_ms() + 60_000, 60_000)
            connection.connect()
            cycle += [connection.sock, connection, cycle]
            connection.cycle = cycle
            freed = weakref.ref(connection)
            del connection, cycle
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                gc.collect()
            assert freed() is None
            assert not [each for each in seen if each.category is ResourceWarning]
