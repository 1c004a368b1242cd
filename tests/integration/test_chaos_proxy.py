"""The proxy of the fault runs does what its modes say."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.links import Links
from tests.chaos.proxy import NAMED

REPLY_S = 5
SILENCE_S = 0.2
DELAY_MS = 150


class Echo(threading.Thread):
    """A server that answers each piece with `re:` before it, and knows who came."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sources: list[str] = []
        self.came = threading.Event()

    def run(self) -> None:
        """Serve one connection after another."""
        while True:
            try:
                sock, address = self._listener.accept()
            except OSError:
                return
            self.sources.append(address[0])
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            try:
                while data := sock.recv(100):
                    self.came.set()
                    sock.sendall(b"re:" + data)
            except OSError:
                return

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Echo]:
    made = Echo()
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def proxy(server: Echo) -> Iterator[Links]:
    with Links({"link": [server.port]}) as made:
        yield made


@pytest.fixture
def links(proxy: Links) -> Links:
    proxy.turn("link", "pass")
    return proxy


@pytest.fixture
def echo(server: Echo) -> Echo:
    server.came.clear()
    server.sources.clear()
    return server


def ended(sock: socket.socket) -> bool:
    """Return whether the other end closes, without having sent anything."""
    try:
        return sock.recv(10) == b""
    except ConnectionResetError:
        return True


def connected(links: Links, source: str = "127.0.0.1") -> socket.socket:
    """Connect through the link."""
    (door,) = links.doors["link"]
    return socket.create_connection(("127.0.0.1", door), REPLY_S, source_address=(source, 0))


def test_a_whole_link_passes_on_and_keeps_the_clients_address(links: Links, echo: Echo) -> None:
    """Who counts by address sees the same as without the proxy."""
    with connected(links, "127.0.0.2") as sock:
        sock.sendall(b"a")
        assert sock.recv(10) == b"re:a"
    assert echo.sources == ["127.0.0.2"]


def test_a_cut_ends_what_is_open_and_what_is_opened(links: Links) -> None:
    """Until the link is whole again."""
    with connected(links) as sock:
        sock.sendall(b"a")
        assert sock.recv(10) == b"re:a"
        links.turn("link", "cut")
        assert ended(sock)
    with connected(links) as sock:
        assert ended(sock)
    links.turn("link", "pass")
    with connected(links) as sock:
        sock.sendall(b"b")
        assert sock.recv(10) == b"re:b"


@pytest.mark.parametrize(("mode", "arrives"), [("mute", True), ("hang", False)])
def test_no_reply_comes_and_none_comes_late(
    links: Links, echo: Echo, mode: str, *, arrives: bool
) -> None:
    """`mute` has let the request pass, `hang` has not; both end the connection at last."""
    with connected(links) as sock:
        links.turn("link", mode)
        sock.sendall(b"a")
        assert echo.came.wait(REPLY_S if arrives else SILENCE_S) is arrives
        sock.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            sock.recv(10)
        links.turn("link", "pass")
        sock.settimeout(REPLY_S)
        assert ended(sock)


def test_a_delay_holds_up_and_loses_nothing(links: Links) -> None:
    """Each way by as much."""
    with connected(links) as sock:
        links.turn("link", "delay", delay_ms=DELAY_MS)
        sock.sendall(b"a")
        sock.settimeout(DELAY_MS * 1.5 / 1_000)
        with pytest.raises(TimeoutError):
            sock.recv(10)
        sock.settimeout(REPLY_S)
        assert sock.recv(10) == b"re:a"


@pytest.mark.parametrize(("reset", "arrives"), [(False, True), (True, False)])
def test_a_held_link_delivers_late_what_its_client_did_not_reset(
    links: Links, echo: Echo, *, reset: bool, arrives: bool
) -> None:
    """A kernel sends again for a client that has closed, and drops what was reset."""
    sock = connected(links)
    links.turn("link", "hold")
    sock.sendall(b"a")
    assert not echo.came.wait(SILENCE_S)
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    assert not echo.came.wait(SILENCE_S)
    links.turn("link", "pass")
    assert echo.came.wait(REPLY_S if arrives else SILENCE_S) is arrives


@pytest.mark.parametrize("form", NAMED)
def test_client_that_learns_the_servers_address_stays_on_the_link(
    links: Links, echo: Echo, form: bytes
) -> None:
    """As a Sentinel names it."""
    (door,) = links.doors["link"]

    def named(port: int) -> bytes:
        return form % (len(str(port)), port)

    with connected(links) as sock:
        sock.sendall(named(echo.port))
        assert sock.recv(100) == b"re:" + named(door)
