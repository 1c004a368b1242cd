"""The transport with the environment's proxies: used only if allowed, and read as any host."""

from __future__ import annotations

import base64
import contextlib
import gzip
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.support.raw_server import Act, Peer, Server, forever, reply
from worker.config.settings import Http
from worker.errors import NotSent, ReplyLost
from worker.gateway.http.transport import Transport
from worker.model.wire import Reply, Request

DEADLINE_MS = 3_000
LOGIN = base64.b64encode(b"user:word").decode()


@pytest.fixture(autouse=True)
def _no_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Transport]:
    """Return a function that returns a transport which uses a proxy."""

    def use(proxy: str, ca_file: Path | None = None) -> Transport:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("https_proxy", proxy)
        return Transport(Http(trust_env=True, ca_file=ca_file))

    return use


def send(
    transport: Transport, url: str, body: bytes = b"", deadline_ms: int = DEADLINE_MS
) -> Reply:
    """Send a request."""
    request = Request("POST", url, {"X-Key": "k"}, body)
    return transport.send(request, egress_ip=None, deadline_ms=deadline_ms)


def tunnel(port: int) -> Act:
    """Answer CONNECT, then pass bytes between the client and a port of loopback."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as behind:
            back = threading.Thread(target=_copy, args=(behind, peer.sock), daemon=True)
            back.start()
            _copy(peer.sock, behind)
            back.join(5)

    return act


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_proxy_of_the_environment_is_not_used_by_default(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A stray variable sends no keys to a proxy."""
    with Server(forever) as server, Server(forever) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        send(Transport(Http()), server.url)
    assert (server.connections, proxy.connections) == (1, 0)


def test_proxy_of_the_environment_is_used_if_allowed(through: Callable[[str], Transport]) -> None:
    """With `trust_env` the proxy gets the whole URL, and its connection is used again."""
    with Server(forever) as proxy:
        transport = through(f"http://user:word@127.0.0.1:{proxy.port}")
        for _ in range(2):
            send(transport, "http://exchange.test/a?b=1", b"body")
        assert proxy.connections == 1
    first, *lines = proxy.requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert first == "POST http://exchange.test/a?b=1 HTTP/1.1"
    assert sorted(lines) == [
        "Accept-Encoding: identity",
        "Content-Length: 4",
        "Host: exchange.test",
        f"Proxy-Authorization: Basic {LOGIN}",
        "User-Agent: cancel-worker",
        "X-Key: k",
    ]


def test_tunnel_carries_the_request(through: Callable[..., Transport], tmp_path: Path) -> None:
    """The proxy gets its login; the exchange gets the request. A closed tunnel is opened again."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("exchange.test").configure_cert(context)

    def act(peer: Peer) -> None:
        for _ in range(2):
            peer.request()
            peer.send(reply(b"%d" % peer.number))
        peer.request()
        peer.send(reply(b"last", headers="Connection: close\r\n"))

    with Server(act, tls=context) as server, Server(tunnel(server.port)) as proxy:
        transport = through(f"http://user:word@127.0.0.1:{proxy.port}", tmp_path / "ca.pem")
        bodies = [send(transport, "https://exchange.test/a?b=1").body for _ in range(4)]
        assert bodies == [b"1", b"1", b"last", b"2"]
        assert proxy.connections == server.connections == 2
    assert all(each.startswith(b"CONNECT exchange.test:443 HTTP/1.") for each in proxy.requests)
    assert all(f"Basic {LOGIN}".encode() in each for each in proxy.requests)
    assert server.requests[0].startswith(b"POST /a?b=1 HTTP/1.1\r\nHost: exchange.test\r\n")
    assert not any(b"Basic" in each for each in server.requests)


@pytest.mark.parametrize("answer", [reply(status="403 Forbidden"), b"", b"garbage\r\n\r\n"])
def test_proxy_that_refuses_a_tunnel_sent_nothing(
    through: Callable[[str], Transport], answer: bytes
) -> None:
    """A refused tunnel carried no byte of the request."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(answer)

    with Server(act) as proxy, pytest.raises(NotSent):
        send(through(f"http://127.0.0.1:{proxy.port}"), "https://exchange.test/a", b"secret")
    assert proxy.requests[0].startswith(b"CONNECT exchange.test:443 ")


@pytest.mark.parametrize(
    ("url", "kind"),
    [("https://exchange.test/a", NotSent), ("http://exchange.test/a", ReplyLost)],
)
def test_slow_proxy_keeps_the_deadline(
    through: Callable[[str], Transport], url: str, kind: type[Exception]
) -> None:
    """A reply sent byte by byte, to CONNECT or to the request, ends at the deadline."""
    ended = threading.Event()

    def act(peer: Peer) -> None:
        peer.request()
        peer.drip(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9_999, 10)
        ended.set()

    with Server(act) as proxy:
        with pytest.raises(kind):
            send(through(f"http://127.0.0.1:{proxy.port}"), url, deadline_ms=150)
        assert not ended.is_set()


def test_ambiguous_reply_of_a_proxy_is_lost(through: Callable[[str], Transport]) -> None:
    """A reply through a proxy is read as strictly as any other."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ")

    with Server(act) as proxy, pytest.raises(ReplyLost):
        send(through(f"http://127.0.0.1:{proxy.port}"), "http://exchange.test/")


def test_compressed_reply_of_a_proxy_is_decompressed(through: Callable[[str], Transport]) -> None:
    """A reply through a proxy is decompressed as any other."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(reply(gzip.compress(b"{}"), headers="Content-Encoding: gzip\r\n"))

    with Server(act) as proxy:
        got = send(through(f"http://127.0.0.1:{proxy.port}"), "http://exchange.test/")
    assert got.body == b"{}"


def test_connecting_ahead_does_not_bypass_the_proxy(through: Callable[[str], Transport]) -> None:
    """No connection is opened ahead of a request that goes through a proxy."""
    with Server(forever) as server:
        transport = through("http://127.0.0.1:1")
        transport.connect(server.url, egress_ip=None, deadline_ms=DEADLINE_MS)
        assert server.connections == 0
