"""Attacks on the web process that the other files do not try: raw requests, paths, frames."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.web_server import Client, Web, serving
from tests.support.world import World
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis
from worker.web.server import HEAD_MAX

READ_S = 60
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


def test_a_forged_source_does_not_reset_the_count_of_wrong_tokens(web: Web) -> None:
    """Without a proxy in front, the client's address is the one it connects from."""
    with serving(web.world) as guessed:
        codes: list[int] = []
        while 429 not in codes:
            assert len(codes) < 200
            number = len(codes)
            client = Client(guessed.url, f"guess-{number}")
            forged = {"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"}
            codes.append(client.call("GET", "/v1/status", headers=forged).status_code)
        assert set(codes) == {401, 429}
