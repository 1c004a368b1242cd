"""Slow, many and malicious readers of a process's status page."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.pages import get
from tests.support.polling import eventually
from worker.telemetry.health import server as serving
from worker.telemetry.health.request import HEAD_MAX, Hosts
from worker.telemetry.health.server import READERS_MAX, Page, Server

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
FEW_S = 0.5
LARGE = "x" * 8_000_000
ANSWERED = (b"HTTP/1.1 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 431 ", b"HTTP/1.1 501 ", b"")
HOSTS = [
    ("127.0.0.1:9464", True),
    ("10.42.0.7:9464", True),
    ("[::1]:9464", True),
    ("[fd00::7]", True),
    ("localhost:9464", True),
    ("LOCALHOST", True),
    ("localhost.", True),
    ("app.localhost:9464", True),
    ("worker:9464", True),
    ("status.example.com:9464", True),
    ("evil.example", False),
    ("evil.example:9464", False),
    ("status.example.com.evil.example", False),
    ("127.0.0.1.evil.example", False),
    ("localhost.evil.example", False),
    ("[evil.example]", False),
    ("[evil:example]", False),
    ("::1:evil", True),
]
"""Hosts, and whether a page is served under them. Of the last all from the first colon on
is a port, as no browser sends it."""


@contextmanager
def serve(**options: object) -> Iterator[Server]:
    """Serve a few pages."""
    pages = {"/": lambda: Page("here"), "/large": lambda: Page(LARGE), "/live": lambda: Page("up")}
    server = Server("127.0.0.1", 0, pages, instant=["/live"], **options)  # type: ignore[arg-type]
    server.start()
    try:
        yield server
    finally:
        server.stop()


def connect(server: Server, stack: ExitStack) -> socket.socket:
    """Connect to a server."""
    return stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 5))


def all_of(sock: socket.socket) -> bytes:
    """Return what comes until the connection ends, however it ends."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while more := sock.recv(65_536):
            received += more
    return received


def ended(sock: socket.socket) -> bool:
    """Return whether a connection has been ended by the server."""
    sock.settimeout(0.01)
    try:
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_slow_readers_keep_no_other_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there may be, each sending single bytes, end in time; others are served."""
    monkeypatch.setattr(serving, "READER_S", FEW_S)
    with serve() as server, ExitStack() as stack:
        slow = [connect(server, stack) for _ in range(READERS_MAX)]
        for sock in slow:
            sock.sendall(b"GET / HTTP/1.1\r\nX: ")
        left = set(slow)

        def drip() -> bool:
            for sock in [*left]:
                with contextlib.suppress(OSError):
                    sock.sendall(b"a")
                if ended(sock):
                    left.discard(sock)
            assert get(server.url, "/live")[:2] == (200, "up")
            assert get(server.url)[:2] == (200, "here")
            return not left

        eventually(drip, what="slow readers ended although they sent")


def test_a_page_without_a_thread_is_made_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that can start none for a while serves its pages once it can."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "monitor page":
            raise RuntimeError("can't start new thread")
        start(thread)

    with serve() as server:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            assert [get(server.url)[0] for _ in range(4)] == [503] * 4
            assert get(server.url, "/live")[0] == 200
        assert get(server.url)[:2] == (200, "here")


def test_who_takes_a_reply_slowly_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time allowed is for all of it, so that a reply is not kept for ever."""
    monkeypatch.setattr(serving, "READER_S", FEW_S)
    with serve() as server, ExitStack() as stack:
        slow = []
        for _ in range(8):
            sock = connect(server, stack)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            sock.sendall(ASK.replace(b"/ ", b"/large ", 1))
            assert sock.recv(12) == b"HTTP/1.1 200"
            slow.append(sock)
        eventually(lambda: not server.readers, what="readers ended")
        assert all(len(all_of(sock)) < len(LARGE) for sock in slow)
        assert get(server.url, "/large")[1] == LARGE


def test_a_thousand_idle_connections_keep_no_other_out() -> None:
    """The oldest that have not asked make room for new ones."""
    with serve() as server, ExitStack() as stack:
        idle = [connect(server, stack) for _ in range(1_000)]
        assert get(server.url)[:2] == (200, "here")
        eventually(lambda: server.readers <= READERS_MAX, what="bounded")
        assert eventually(lambda: ended(idle[0]), what="the oldest closed")
        assert not ended(idle[-1])
        idle[-1].settimeout(5)
        idle[-1].sendall(ASK)
        assert all_of(idle[-1]).endswith(b"here")


def test_room_is_made_by_the_address_that_takes_the_most() -> None:
    """One that is slow and alone on its address outlasts a crowd from another."""
    with serve() as server, ExitStack() as stack:
        probe = socket.socket()
        stack.enter_context(probe)
        probe.bind(("127.0.0.2", 0))
        probe.settimeout(5)
        probe.connect(("127.0.0.1", server.port))
        probe.sendall(ASK[:10])
        for _ in range(2 * READERS_MAX):
            connect(server, stack)
        assert get(server.url)[:2] == (200, "here")
        probe.sendall(ASK[10:])
        assert all_of(probe).endswith(b"here")


def test_what_waits_for_redis_does_not_keep_a_liveness_probe_waiting() -> None:
    """However many wait for a page, or have left since."""
    release, asked = threading.Event(), threading.Semaphore(0)

    def held() -> Page:
        asked.release()
        release.wait(10)
        return Page("late")

    pages: dict[str, Callable[[], Page]] = {"/held": held, "/live": lambda: Page("up")}
    pages["/other"] = lambda: Page("other")
    server = Server("127.0.0.1", 0, pages, instant=["/live"])
    server.start()
    try:
        with ExitStack() as stack:
            waiting = [connect(server, stack) for _ in range(20)]
            for sock in waiting:
                sock.sendall(ASK.replace(b"/ ", b"/held ", 1))
            assert asked.acquire(timeout=5)
            assert get(server.url, "/live")[:2] == (200, "up")
            assert get(server.url, "/other")[:2] == (200, "other")
            for sock in waiting[:10]:
                sock.close()
            release.set()
            for sock in waiting[10:]:
                assert all_of(sock).endswith(b"late")
    finally:
        release.set()
        server.stop()


def test_requests_of_any_shape_are_answered_or_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage, giant headers, pipelining, half-open connections: all end, and none harms others."""
    monkeypatch.setattr(serving, "READER_S", FEW_S)
    dice = random.Random(7)
    shapes = [
        b"",
        b"\r\n\r\n",
        b"\x00" * 50 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nsomething",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"GET ftp://a/ HTTP/1.1\r\n\r\n",
        b"GET //evil HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 2 * HEAD_MAX + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * HEAD_MAX + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 2_000_000,
        ASK.replace(b"/ ", b"/%00%0d%0a ", 1),
        *(dice.randbytes(dice.randrange(400)) for _ in range(100)),
        *(dice.randbytes(40) + b"\r\n\r\n" for _ in range(50)),
    ]
    with serve() as server:
        for shape in shapes:
            with ExitStack() as stack:
                sock = connect(server, stack)
                with contextlib.suppress(OSError):
                    sock.sendall(shape)
                    sock.shutdown(socket.SHUT_WR)
                answer = all_of(sock)
                assert answer.startswith(ANSWERED), shape[:60]
                assert answer.count(b"HTTP/1.1 ") <= 1
            assert get(server.url)[:2] == (200, "here")
        with ExitStack() as stack:
            sock = connect(server, stack)
            sock.sendall(ASK * 5)
            assert all_of(sock).count(b"HTTP/1.1 200") == 1
            half_open = connect(server, stack)
            half_open.sendall(ASK)
            half_open.shutdown(socket.SHUT_WR)
            assert all_of(half_open).endswith(b"here")
            bare = connect(server, stack)
            bare.sendall(b"GET / HTTP/1.0\n\n")
            assert all_of(bare).endswith(b"here")


@pytest.mark.parametrize(("host", "served"), HOSTS)
def test_pages_are_served_under_names_that_no_other_site_can_have(
    host: str, *, served: bool
) -> None:
    """A name that another site may have point here (DNS rebinding) is refused."""
    with serve(hosts=Hosts(frozenset({"status.example.com"}))) as server:
        status, body, headers = get(server.url, host=host)
        assert (status, body == "here") == ((200, True) if served else (421, False))
        assert "access-control-allow-origin" not in headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        if not served:
            assert "metrics.names" in body
        whole = get(server.url, f"http://{host}/", host="localhost")
        assert whole[0] == status or (whole[0] == 400 and not served)


def test_scrapers_and_probes_may_use_any_name() -> None:
    """Only a browser can be made to ask under another site's name."""
    with serve() as server:
        assert get(server.url, "/live", host="worker.prod.svc.cluster.local")[0] == 200
        for header in ("Accept-Language", "Origin", "Referer", "Sec-Fetch-Mode"):
            asked = {header: "x"}
            assert get(server.url, "/live", host="evil.example", headers=asked)[0] == 421
            assert get(server.url, "/live", headers=asked)[0] == 200
