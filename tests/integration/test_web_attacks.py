"""Attacks on the web process that the other files do not try: raw requests, paths, frames."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.polling import eventually
from tests.support.web_server import Client, Web, serving
from tests.support.world import World
from worker import clock
from worker.simulator import Simulator
from worker.store.api_tokens import ApiTokens, Rate
from worker.store.embedded import EmbeddedRedis
from worker.web import held, server
from worker.web.routes import status
from worker.web.server import HEAD_MAX

READ_S = 60
SLOW = Rate(per_s=0.001, burst=10)
"""Of wrong secrets: ten, and the next after a quarter of an hour."""
ENDLESS = 1_000 * HEAD_MAX


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process for all tests here."""
    folder = tmp_path_factory.mktemp("web")
    with (
        EmbeddedRedis(folder / "redis") as redis,
        Simulator(seed=7) as sim,
        serving(World(sim, redis.url, folder), actions=True) as made,
    ):
        yield made


def raw(web: Web, *head: str, body: bytes = b"") -> tuple[int, str]:
    """Send a request as it is; return the status and all that came back."""
    where = urlsplit(web.url)
    lines = [head[0], f"Host: {where.netloc}", "Connection: close", *head[1:]]
    with socket.create_connection((where.hostname, where.port), READ_S) as sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        answer = b""
        while part := sock.recv(65_536):
            answer += part
    text = answer.decode("latin-1")
    return int(text.split(" ", 2)[1]), text


@pytest.mark.parametrize("path", ["/", "/login", "/static/page.js", "/v1/status", "/nosuch"])
def test_no_reply_may_be_framed(web: Web, path: str) -> None:
    """Clickjacking: neither pages nor files nor errors."""
    reply = requests.get(web.url + path, allow_redirects=False, timeout=READ_S)
    assert reply.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../authority.py",
        "/static/%2e%2e/%2e%2e/authority.py",
        "/static/..%2f..%2fauthority.py",
        "/static/..%5c..%5cauthority.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/page.js%00.css",
        "/static/",
        "//v1/status",
        "/v1/status/",
        "/v1/status%00",
        "/V1/STATUS",
        "/v1/../v1/status",
        "/static/../v1/status",
        "/login/../v1/status",
        "/v1/jobs/..%2fstatus",
    ],
)
def test_a_path_trick_finds_nothing(web: Web, path: str) -> None:
    """No file outside of the static ones, and no call without its token."""
    status, text = raw(web, f"GET {path} HTTP/1.1")
    assert status in (400, 401, 404)
    assert "hmac" not in text
    assert "root:" not in text
    assert "problems" not in text


def test_a_foreign_absolute_address_is_not_served(web: Web) -> None:
    """As a proxy would be asked."""
    status, text = raw(web, "GET http://evil.example/v1/status HTTP/1.1")
    assert status in (400, 401, 404, 421)
    assert "problems" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/%0d%0aSet-Cookie:%20session=evil",
        "/login?next=%0d%0aSet-Cookie:%20session=evil",
        "/v1/jobs/x%0d%0aSet-Cookie:%20session=evil",
    ],
)
def test_no_header_can_be_added_by_a_path(web: Web, path: str) -> None:
    """Nothing of a request is repeated in the head of its reply."""
    _, text = raw(web, f"GET {path} HTTP/1.1")
    assert "set-cookie" not in text.partition("\r\n\r\n")[0].lower()


def test_no_header_can_be_added_by_a_form(web: Web) -> None:
    """A token with line breaks is a wrong token."""
    form = {"token": "x\r\nSet-Cookie: session=evil"}
    reply = requests.post(f"{web.url}/login", data=form, timeout=READ_S)
    assert reply.status_code == 401
    assert "Set-Cookie" not in reply.headers


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_a_large_form_is_refused_unread(web: Web, path: str) -> None:
    """Its fields would keep every other call waiting."""
    reply = requests.post(web.url + path, data=b"a=1&" * 200_000, timeout=READ_S)
    assert reply.status_code == 413


@pytest.mark.parametrize(
    "head",
    [
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: -1",),
        ("Content-Length: 2, 3",),
        ("Transfer-Encoding: xchunked",),
        ("Broken\x00Name: 1",),
        ("Bad Name: 1",),
    ],
)
def test_an_ambiguous_request_is_refused(web: Web, head: tuple[str, ...]) -> None:
    """Request smuggling: a proxy could read it in another way."""
    status, _ = raw(web, "POST /v1/cancels HTTP/1.1", *head, body=b"{}")
    assert status in (400, 501)


def test_an_endless_head_is_refused(web: Web) -> None:
    """Before it fills the memory."""
    where = urlsplit(web.url)
    with socket.create_connection((where.hostname, where.port), READ_S) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < ENDLESS:
                sock.sendall(b"x" * HEAD_MAX)
                sent += HEAD_MAX
    assert sent < ENDLESS


@pytest.mark.parametrize(
    ("sent", "then"),
    [
        (b"", b""),
        (b"GET /login HT", b""),
        (b"POST /v1/cancels HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", b""),
        (b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nt", b""),
        (b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /login HT"),
        (b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\r\n"),
    ],
    ids=["nothing", "head", "body", "chunk", "second head", "line ends"],
)
def test_a_request_that_does_not_end_is_reset(
    web: Web, monkeypatch: pytest.MonkeyPatch, sent: bytes, then: bytes
) -> None:
    """Slow clients need no token, and each would keep a connection."""
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    monkeypatch.setattr(server, "BODY_S", 0.2)
    where = urlsplit(web.url)
    with (
        contextlib.suppress(ConnectionError),
        socket.create_connection((where.hostname, where.port), READ_S) as sock,
    ):
        sock.sendall(sent)
        if then:
            assert sock.recv(65_536).startswith(b"HTTP/1.1 ")
        sock.settimeout(0.05)
        until_ms = clock.monotonic_ms() + READ_S * 1_000
        while clock.monotonic_ms() < until_ms:
            sock.sendall(then[-2:] if then == b"\r\n" else b"")
            with contextlib.suppress(TimeoutError):
                if not sock.recv(65_536):
                    return
        pytest.fail("the connection is still open")


def test_a_token_keeps_few_calls_open(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Event streams and long polls; other tokens are not affected, and a closed one is free."""
    monkeypatch.setattr(held, "HELD_MAX", 2)
    client = web.client()
    job = client.post("/v1/cancels", {"account": "ev", "order_id": "kept-open"}, status=202)
    streams = [client.call("GET", "/v1/events", stream=True) for _ in range(2)]
    assert [reply.status_code for reply in streams] == [200, 200]
    for path in ("/v1/events", f"/v1/jobs/{job['id']}?wait_ms=60000"):
        refused = client.call("GET", path, stream=True)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
    with web.client().call("GET", "/v1/events", stream=True) as other:
        assert other.status_code == 200
    streams[0].close()
    path = f"/v1/jobs/{job['id']}?wait_ms=1"
    eventually(lambda: client.call("GET", path).status_code == 200)
    streams[1].close()


def test_a_stream_ends_with_its_token(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or with its session; the client did nothing."""
    monkeypatch.setattr(status, "ASKED_AGAIN_MS", 0)
    client = web.client()
    stream = client.call("GET", "/v1/events", stream=True)
    lines = stream.iter_lines(chunk_size=1)
    assert next(lines)
    assert ApiTokens(web.world.store()).revoke(f"t{web.made}")
    assert list(lines)[-1:] != [], "it ended, and not in mid-event"


@pytest.fixture
def guessed(sim: Simulator, redis_url: str, tmp_path: Path) -> World:
    """A world whose wrong secrets are its own."""
    return World(sim, redis_url, tmp_path)


def guess(web: Web, forwarded: str) -> int:
    """Send a wrong token, as if a proxy had sent it for a client; return the status."""
    web.made += 1
    client = Client(web.url, f"guess-{web.made}")
    headers = {"X-Forwarded-For": forwarded, "Forwarded": f"for={forwarded}"}
    return client.call("GET", "/v1/status", headers=headers).status_code


def test_wrong_secrets_count_in_all_processes_together(guessed: World) -> None:
    """Of tokens, addresses and logins; a right token is accepted all the same."""
    with serving(guessed) as one, serving(guessed) as two:
        for web in (one, two):
            web.server.parts.wrong = SLOW
        calls = (
            lambda url: Client(url, "guess").call("GET", "/v1/status"),
            lambda url: Client(url).call("POST", "/v1/beat/guess"),
            lambda url: Client(url).call("POST", "/v1/hooks/guess"),
            lambda url: requests.post(f"{url}/login", data={"token": "guess"}, timeout=READ_S),
        )
        codes = [calls[n % len(calls)]((one, two)[n % 3 % 2].url).status_code for n in range(16)]
        assert codes == [401] * 10 + [429] * 6
        assert two.client().call("GET", "/v1/status").status_code == 200


def test_a_forged_source_does_not_reset_the_count_of_wrong_tokens(guessed: World) -> None:
    """Without a proxy in front, the client's address is the one it connects from."""
    with serving(guessed) as web:
        web.server.parts.wrong = SLOW
        codes = [guess(web, f"10.0.0.{n}") for n in range(12)]
    assert codes == [401] * 10 + [429] * 2


@pytest.mark.parametrize(
    ("first", "same", "other"),
    [
        ("10.0.0.1", "evil, 10.0.0.1", "10.0.0.2"),
        ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ("::ffff:10.0.0.1", "10.0.0.1", "::ffff:10.0.0.2"),
        ("unknown", "x, unknown", "_hidden"),
    ],
)
def test_behind_a_proxy_each_client_is_counted_apart(
    guessed: World, first: str, same: str, other: str
) -> None:
    """By what the proxy added last; of IPv6 by the network that one client has."""
    with serving(guessed, behind_proxy=True) as web:
        web.server.parts.wrong = SLOW
        assert [guess(web, first) for _ in range(10)] == [401] * 10
        assert [guess(web, each) for each in (same, first, other)] == [429, 429, 401]
