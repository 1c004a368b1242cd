"""The transport when things fail: in bounded time, and sure of what is known."""

from __future__ import annotations

import logging
import socket
import ssl
import traceback
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.raw_server import Act, Peer, Server, forever, full_listener, reply
from worker import clock
from worker.config.settings import Http
from worker.errors import NotSent, ReplyLost, TransportError
from worker.gateway.http.transport import Transport
from worker.model.wire import Request
from worker.store.embedded import own_port

DEADLINE_MS = 150
SLACK_MS = 100
TRIALS = 4
"""Other work on the machine may cost one call time; it does not cost each of them."""
SECRET = "Zk9-planted-secret-0123456789"
MAX_BYTES = 4_096

Raised = type[TransportError]


@pytest.fixture
def transport() -> Transport:
    return Transport(Http(max_reply_bytes=MAX_BYTES, connect_ms=2_000))


def request(url: str, method: str = "POST") -> Request:
    """Return a request with a secret in every part."""
    return Request(
        method,
        f"{url}&key={SECRET}",
        {"X-Key": SECRET, "Authorization": f"Bearer {SECRET}"},
        f"secret={SECRET}".encode() if method == "POST" else b"",
    )


def fail(
    transport: Transport, url: str, kind: Raised, *, deadline_ms: int = DEADLINE_MS
) -> TransportError:
    """Return the error of a call that must fail so, and show no secret."""
    with pytest.raises(TransportError) as caught:
        transport.send(request(url), egress_ip=None, deadline_ms=deadline_ms)
    error = caught.value
    assert type(error) is kind, error
    shown = "".join(traceback.format_exception(error))
    for text in (str(error), repr(error), shown):
        assert SECRET not in text
    assert "\n" not in str(error)
    assert str(error)
    return error


def held_ms(transport: Transport, url: str, kind: Raised) -> float:
    """Return for how long a call that must fail so holds its thread."""
    best = float("inf")
    for _ in range(TRIALS):
        began = clock.monotonic_ms()
        fail(transport, url, kind)
        best = min(best, clock.monotonic_ms() - began)
        if best < DEADLINE_MS + SLACK_MS:
            break
    return best


def after_request(then: Act) -> Act:
    """Do something once the request has been read."""

    def act(peer: Peer) -> None:
        peer.request()
        then(peer)

    return act


def chunked(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.drip(b"1\r\nx\r\n" * 1_000, 10)


def trailers(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    peer.flood(b"X-Trailer: y\r\n" * 100)


def sends(first: bytes, then: Act) -> Act:
    """Send something whole before what follows."""

    def act(peer: Peer) -> None:
        peer.send(first)
        then(peer)

    return act


OK = b"HTTP/1.1 200 OK\r\n"
STALLS: dict[str, Act] = {
    "silence": Peer.hold,
    "status dripped": lambda peer: peer.drip(reply(b"x" * 500)),
    "headers dripped": lambda peer: peer.drip(OK + b"X-A: b\r\n" * 50),
    "body dripped": sends(OK + b"Content-Length: 999\r\n\r\n", lambda peer: peer.drip(b"x" * 999)),
    "body without a length dripped": sends(OK + b"\r\n", lambda peer: peer.drip(b"x" * 999)),
    "body stopped": sends(OK + b"Content-Length: 99\r\n\r\nxx", Peer.hold),
    "chunks dripped": chunked,
    "endless continue": lambda peer: peer.flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 200),
    "endless early hints": lambda peer: peer.flood(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 200),
    "continue dripped": lambda peer: peer.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 50, 10),
    "endless trailers": trailers,
}


@pytest.mark.parametrize("name", STALLS)
def test_no_reply_holds_a_call_past_its_deadline(transport: Transport, name: str) -> None:
    """However a server stretches its reply, the deadline ends the call, its outcome unknown."""
    with Server(after_request(STALLS[name])) as server:
        assert held_ms(transport, server.url, ReplyLost) < DEADLINE_MS + SLACK_MS


@pytest.mark.parametrize("name", ["silence", "body dripped"])
def test_kept_connection_keeps_the_deadline_of_each_call(transport: Transport, name: str) -> None:
    """A call on a connection used before has its own deadline, not the former one's."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(reply())
        peer.request()
        STALLS[name](peer)

    with Server(act) as server:
        for _ in range(2):
            best = float("inf")
            for _ in range(TRIALS):
                transport.send(request(server.url), egress_ip=None, deadline_ms=5_000)
                began = clock.monotonic_ms()
                fail(transport, server.url, ReplyLost)
                best = min(best, clock.monotonic_ms() - began)
                if best < DEADLINE_MS + SLACK_MS:
                    break
            assert best < DEADLINE_MS + SLACK_MS


def stalled(peer: Peer) -> None:
    """Take what comes and answer nothing, as a TLS server that hangs."""
    peer.hold()


def dripped_tls(peer: Peer) -> None:
    """Send the head of a TLS record, and its content byte by byte."""
    peer.send(b"\x16\x03\x03\x40\x00")
    peer.drip(b"\x02" * 999)


@pytest.mark.parametrize("act", [stalled, dripped_tls])
def test_tls_handshake_keeps_the_deadline(transport: Transport, act: Act) -> None:
    """A server that never finishes the handshake was sent nothing, and holds no caller."""
    with Server(act) as server:
        url = server.url.replace("http:", "https:")
        assert held_ms(transport, url, NotSent) < DEADLINE_MS + SLACK_MS


def test_connecting_keeps_the_deadline(transport: Transport) -> None:
    """A host that does not answer at all was sent nothing."""
    with full_listener() as port:
        url = f"http://127.0.0.1:{port}/x?a=b"
        assert held_ms(transport, url, NotSent) < DEADLINE_MS + SLACK_MS


def test_many_addresses_share_one_deadline(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host with many dead addresses takes no longer than one."""
    with full_listener() as port:
        row = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [row] * 5)
        url = f"http://exchange.test:{port}/x?a=b"
        assert held_ms(transport, url, NotSent) < DEADLINE_MS + SLACK_MS


def test_living_address_is_found_among_dead_ones(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One address that refuses does not hide the next."""
    with Server(forever) as server:
        rows = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
            for port in (own_port(), server.port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)
        url = f"http://exchange.test:{server.port}/x?a=b"
        assert transport.send(request(url), egress_ip=None, deadline_ms=5_000).status == 200


def test_connect_time_is_bounded_by_its_own_setting() -> None:
    """A dead host costs `connect_ms`, so that the rest of the deadline can be used again."""
    transport = Transport(Http(connect_ms=100))
    with full_listener() as port:
        began = clock.monotonic_ms()
        fail(transport, f"http://127.0.0.1:{port}/x?a=b", NotSent, deadline_ms=30_000)
        assert clock.monotonic_ms() - began < 5_000


@pytest.mark.parametrize("deadline_ms", [0, -1])
def test_call_without_time_sends_nothing(transport: Transport, deadline_ms: int) -> None:
    """No time left is no error of ours."""
    with Server(forever) as server:
        fail(transport, server.url, NotSent, deadline_ms=deadline_ms)
        assert server.connections == 0


def test_refused_connection_sent_nothing(transport: Transport) -> None:
    """Nothing listens: nothing left."""
    error = fail(transport, f"http://127.0.0.1:{own_port()}/x?a=b", NotSent)
    assert "Connection refused" in str(error)


@pytest.mark.parametrize("host", ["nosuch.invalid", "x" * 64 + ".invalid", "a..b", "[::ffff:1"])
def test_host_that_is_none_sent_nothing(transport: Transport, host: str) -> None:
    """A name that cannot be looked up: nothing left."""
    fail(transport, f"http://{host}/x?a=b", NotSent, deadline_ms=20_000)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return a server's TLS with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def test_trusted_certificate_is_accepted(authority: trustme.CA, tmp_path: Path) -> None:
    """`ca_file` names who vouches for the host."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    transport = Transport(Http(ca_file=path))
    with Server(forever, tls=server_tls(authority, "127.0.0.1")) as server:
        for _ in range(3):
            got = transport.send(request(server.url), egress_ip=None, deadline_ms=5_000)
            assert got.status == 200
        assert server.connections == 1
        assert len(server.requests) == 3


def test_certificate_without_a_known_issuer_is_refused(
    transport: Transport, authority: trustme.CA
) -> None:
    """A stranger's certificate gets no byte of the request."""
    with Server(forever, tls=server_tls(authority, "127.0.0.1")) as server:
        error = fail(transport, server.url, NotSent, deadline_ms=5_000)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    assert server.requests == []


def test_certificate_of_another_host_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    """A certificate must be for the host that was asked for."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    with Server(forever, tls=server_tls(authority, "exchange.test")) as server:
        fail(Transport(Http(ca_file=path)), server.url, NotSent, deadline_ms=5_000)
    assert server.requests == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_environment_adds_no_trusted_issuer(
    transport: Transport,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """A stray variable does not make a stranger trusted."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv(variable, str(path))
    with Server(forever, tls=server_tls(authority, "127.0.0.1")) as server:
        fail(transport, server.url, NotSent, deadline_ms=5_000)


def test_missing_ca_file_sends_nothing(tmp_path: Path) -> None:
    """A path that leads nowhere does not turn the check off."""
    with Server(forever) as server:
        url = server.url.replace("http:", "https:")
        fail(Transport(Http(ca_file=tmp_path / "nosuch.pem")), url, NotSent)
    assert server.requests == []


def test_plain_server_behind_https_sent_nothing(transport: Transport) -> None:
    """A server that answers TLS with HTTP read no request."""
    with Server(lambda peer: peer.send(reply())) as server:
        fail(transport, server.url.replace("http:", "https:"), NotSent, deadline_ms=5_000)


LOSSES: dict[str, Act] = {
    "closed after reading": lambda _: None,
    "closed in the status": lambda peer: peer.send(b"HTTP/1.1 20"),
    "closed in the headers": lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half of the body": lambda peer: peer.send(reply(b"x" * 100)[:-50]),
    "body but for one byte": lambda peer: peer.send(reply(b"{}")[:-1]),
    "closed in a chunk": lambda peer: peer.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"
    ),
    "closed before the last chunk": lambda peer: peer.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    ),
    "chunk of no size": lambda peer: peer.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"
    ),
    "no HTTP": lambda peer: peer.send(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "old HTTP": lambda peer: peer.send(b"<html>hello</html>"),
    "status that is none": lambda peer: peer.send(b"HTTP/1.1 abc OK\r\n\r\n"),
    "only a newline": lambda peer: peer.send(b"\r\n\r\n"),
    "a header line too long": lambda peer: peer.flood(b"x" * 9_999),
    "too many headers": lambda peer: peer.send(
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 500 + b"\r\n"
    ),
    "endless headers": sends(OK, lambda peer: peer.flood(b"X-A: b\r\n" * 500)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_reply_that_is_not_whole_is_lost(transport: Transport, name: str) -> None:
    """What was cut short is never read as a reply; what was done is unknown."""
    with Server(after_request(LOSSES[name])) as server:
        fail(transport, server.url, ReplyLost, deadline_ms=5_000)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["half of the body", "no HTTP", "endless headers"])
def test_connection_of_a_lost_reply_is_not_used_again(transport: Transport, name: str) -> None:
    """What is left of a broken reply is not read as the next one."""

    def act(peer: Peer) -> None:
        peer.request()
        if peer.number == 1:
            LOSSES[name](peer)
            peer.hold()
        peer.send(reply(b"mine"))

    with Server(act) as server:
        fail(transport, server.url, ReplyLost, deadline_ms=400)
        got = transport.send(request(server.url), egress_ip=None, deadline_ms=5_000)
        assert got.body == b"mine"
        assert server.connections == 2


def huge(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    peer.flood(b"x" * 65_536)


def huge_without_a_length(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    peer.flood(b"x" * 65_536)


def huge_in_chunks(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.flood(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


def huge_chunk(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n")
    peer.flood(b"x" * 65_536)


@pytest.mark.parametrize("then", [huge, huge_without_a_length, huge_in_chunks, huge_chunk])
def test_reply_too_large_is_lost_soon_and_cheaply(transport: Transport, then: Act) -> None:
    """The bound is kept while reading, whatever length was promised."""
    with Server(after_request(then)) as server:
        tracemalloc.start()
        began = clock.monotonic_ms()
        error = fail(transport, server.url, ReplyLost, deadline_ms=30_000)
        took_ms = clock.monotonic_ms() - began
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert f"longer than {MAX_BYTES} bytes" in str(error)
    assert took_ms < 5_000
    assert peak < 5_000_000


def answer_of(size: int) -> Act:
    """Answer with a body of so many bytes."""
    return after_request(lambda peer: peer.send(reply(b"x" * size)))


def test_reply_at_the_bound_is_whole(transport: Transport) -> None:
    """The bound itself is allowed, one byte more is not."""
    with Server(answer_of(MAX_BYTES)) as server:
        got = transport.send(request(server.url), egress_ip=None, deadline_ms=5_000)
        assert len(got.body) == MAX_BYTES
    with Server(answer_of(MAX_BYTES + 1)) as server:
        fail(transport, server.url, ReplyLost, deadline_ms=5_000)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Key": f"{SECRET}\r\nX-Injected: 1"},
        {"X-Key": f"{SECRET}\n"},
        {"X-Key": f"{SECRET}\u20ac"},
        {"X Key\n": SECRET},
    ],
)
def test_header_that_is_none_is_neither_sent_nor_shown(
    transport: Transport, headers: dict[str, str]
) -> None:
    """A key with a line break in it injects nothing, and is not repeated in an error."""
    with Server(forever) as server:
        with pytest.raises(NotSent) as caught:
            transport.send(
                Request("POST", server.url, headers, b"x"), egress_ip=None, deadline_ms=5_000
            )
        assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert server.requests == []


@pytest.mark.parametrize("path", ["/a b", "/a\nb", "/a\r\nX-Injected: 1", "/\x00"])
def test_target_that_is_none_injects_nothing(transport: Transport, path: str) -> None:
    """What cannot be in a request line ends no line."""
    with Server(forever) as server:
        url = f"http://127.0.0.1:{server.port}{path}"
        try:
            transport.send(Request("GET", url), egress_ip=None, deadline_ms=5_000)
        except NotSent:
            return
        (sent,) = server.requests
    assert sent.count(b"\r\n") == 5
    assert b"X-Injected: 1\r\n" not in sent


def test_failed_call_does_not_spoil_the_next(transport: Transport) -> None:
    """After any failure the same thread sends and receives as before."""

    def act(peer: Peer) -> None:
        peer.request()
        if peer.number == 2:
            return
        peer.send(reply(b"%d" % peer.number, headers="Connection: close\r\n"))

    with Server(act) as server:
        bodies: list[bytes] = []
        for _ in range(3):
            try:
                got = transport.send(request(server.url), egress_ip=None, deadline_ms=5_000)
                bodies.append(got.body)
            except ReplyLost:
                bodies.append(b"lost")
        assert bodies == [b"1", b"lost", b"3"]


def test_libraries_log_no_secret(transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    """Warnings of the libraries below show no URL and no header."""
    caplog.set_level(logging.WARNING)
    acts: list[Callable[[Peer], Any]] = [*LOSSES.values()]
    for act in acts[:4]:
        with Server(after_request(act)) as server:
            fail(transport, server.url, ReplyLost, deadline_ms=2_000)
    fail(transport, f"http://127.0.0.1:{own_port()}/x?a=b", NotSent)
    assert SECRET not in caplog.text
