"""Hosts with several addresses, of which some are dead, and resolvers that do not answer."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from kombu.exceptions import OperationalError
from pydantic import SecretStr

from tests.support.polling import eventually
from tests.support.raw_server import Peer, Server, forever, full_listener
from worker import clock
from worker.celery_app import make_app
from worker.config.settings import Http, Settings
from worker.errors import NotSent, ReplyLost, StoreUnavailable
from worker.gateway.http.transport import Transport
from worker.model.wire import Reply, Request
from worker.net import sockets
from worker.net.dns import Row
from worker.store.connection import Store
from worker.store.embedded import EmbeddedRedis
from worker.store.opening import build_store

HOST = "exchange.test"
DEADLINE_MS = 4_000


def row(address: str, port: int) -> Row:
    """Return what `getaddrinfo` says of an address."""
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


Resolve = Callable[..., None]


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Give the host its addresses; what is known of it is forgotten first."""
    real = socket.getaddrinfo
    sockets._ranks.clear()  # noqa: SLF001

    def set_rows(*rows: Row) -> None:
        def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
            return list(rows) if host == HOST else real(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return set_rows


def send(transport: Transport, port: int = 80, scheme: str = "http", **fields: Any) -> Reply:
    """Send a request to the host."""
    request = Request("GET", f"{scheme}://{HOST}:{port}/")
    options = {"egress_ip": None, "deadline_ms": DEADLINE_MS, **fields}
    return transport.send(request, **options)


@contextlib.contextmanager
def full_listener_v6() -> Iterator[int]:
    """Listen on a port of IPv6 whose queue is full."""
    with socket.socket(socket.AF_INET6) as listener, contextlib.ExitStack() as stack:
        listener.bind(("::1", 0))
        listener.listen(0)
        for _ in range(4):
            sock = stack.enter_context(socket.socket(socket.AF_INET6))
            sock.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                sock.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_dead_first_address_does_not_hide_the_next(resolves: Resolve) -> None:
    """The next one is tried beside it, well within `connect_ms`; then it is the first."""
    with full_listener() as dead, Server(forever) as server:
        resolves(row("127.0.0.1", dead), row("127.0.0.1", dead), row("127.0.0.2", server.port))
        with Server(forever, host="127.0.0.2", port=server.port) as other:
            assert send(Transport(Http())).status == 200
            assert (server.connections, other.connections) == (0, 1)


def test_dead_family_does_not_hide_the_other(resolves: Resolve) -> None:
    """With all of IPv6 dead, IPv4 is tried second, not last."""
    with full_listener_v6() as dead, Server(forever) as server:
        resolves(*[row("::1", dead)] * 6, row("127.0.0.1", server.port))
        assert send(Transport(Http(connect_ms=800))).status == 200


def test_address_that_worked_is_tried_first(resolves: Resolve) -> None:
    """A connection after one that went to the second address goes there at once."""
    with full_listener() as dead, Server(forever, host="127.0.0.2") as server:
        resolves(row("127.0.0.1", dead), row("127.0.0.2", server.port))
        send(Transport(Http()))
        order = sockets._in_order(  # noqa: SLF001
            HOST, 80, [row("127.0.0.1", dead), row("127.0.0.2", server.port)]
        )
        assert order[0][4][0] == "127.0.0.2"


def test_no_two_connections_are_kept(resolves: Resolve) -> None:
    """Only connecting is raced: one request arrives, over one connection."""
    with Server(forever) as one, Server(forever, host="127.0.0.2") as two:
        resolves(row("127.0.0.1", one.port), row("127.0.0.2", two.port))
        assert send(Transport(Http())).status == 200
        assert len(one.requests) + len(two.requests) == 1


@pytest.mark.parametrize("egress_ip", ["127.0.0.3", "::1"])
def test_family_of_the_egress_address_decides(resolves: Resolve, egress_ip: str) -> None:
    """Addresses of the other family are left out."""
    v6 = ":" in egress_ip
    with Server(forever, host="::1") as six, Server(forever) as four:
        resolves(row("::1", six.port), row("127.0.0.1", four.port))
        assert send(Transport(Http()), egress_ip=egress_ip).status == 200
        assert (six.connections, four.connections) == ((1, 0) if v6 else (0, 1))


def test_no_address_of_the_family_sends_nothing(resolves: Resolve) -> None:
    """A host of IPv6 alone cannot be reached from an address of IPv4."""
    with Server(forever, host="::1") as six:
        resolves(row("::1", six.port))
        with pytest.raises(NotSent, match="family not supported"):
            send(Transport(Http()), egress_ip="127.0.0.3")


def test_address_whose_handshake_hangs_is_tried_last(resolves: Resolve, tmp_path: Any) -> None:
    """A host may accept connections and hang; the next call goes elsewhere."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(tls)
    transport = Transport(Http(connect_ms=300, ca_file=tmp_path / "ca.pem"))
    with Server(Peer.hold) as mute, Server(forever, tls=tls, host="127.0.0.2") as server:
        resolves(row("127.0.0.1", mute.port), row("127.0.0.2", server.port))
        with pytest.raises(NotSent):
            send(transport, 443, "https")
        assert send(transport, 443, "https").status == 200


def test_address_that_gives_no_reply_is_tried_last(resolves: Resolve) -> None:
    """The request is lost, and not sent elsewhere; the next one is."""
    transport = Transport(Http())

    def mute(peer: Peer) -> None:
        peer.request()
        peer.hold()

    with Server(mute) as first, Server(forever, host="127.0.0.2") as second:
        resolves(row("127.0.0.1", first.port), row("127.0.0.2", second.port))
        with pytest.raises(ReplyLost):
            send(transport, deadline_ms=200)
        assert len(second.requests) == 0
        assert send(transport).status == 200
        assert len(first.requests) == len(second.requests) == 1


@pytest.fixture
def dead_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have no name be looked up."""
    stop = threading.Event()
    under_way: list[int] = []

    def look_up(*_: Any, **__: Any) -> Any:
        under_way.append(1)
        stop.wait(60)
        under_way.pop()
        raise socket.gaierror(socket.EAI_AGAIN, "dead")

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: look_up() if host.endswith(".internal") else real(host, *a, **k),
    )
    yield
    stop.set()
    eventually(lambda: not under_way)


URLS = (
    "redis://redis.internal:6379/0",
    "rediss://redis.internal:6379/0",
    "sentinel://one.internal,two.internal/0?master=m",
)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.usefixtures("dead_resolver")
def test_dead_resolver_is_an_unavailable_store(url: str) -> None:
    """A call ends within `redis_timeout_ms`, however long the resolver takes."""
    settings = Settings(redis_url=SecretStr(url), redis_timeout_ms=300)
    store = build_store(settings)
    for _ in range(2):
        began = clock.monotonic_ms()
        with pytest.raises(StoreUnavailable):
            store.run("time")
        assert clock.monotonic_ms() - began < 300 + 200


@pytest.mark.parametrize("url", URLS)
@pytest.mark.usefixtures("dead_resolver")
def test_dead_resolver_does_not_hold_celery(url: str) -> None:
    """The broker's connection ends its look-up in time too."""
    settings = Settings(redis_url=SecretStr(url), redis_timeout_ms=300)
    with make_app(settings).connection_for_write() as connection:
        began = clock.monotonic_ms()
        with pytest.raises(OperationalError):
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        assert clock.monotonic_ms() - began < 3 * 300 + 200


@pytest.mark.usefixtures("dead_resolver")
def test_dead_resolver_sends_nothing_to_an_exchange() -> None:
    """The call ends within its deadline."""
    began = clock.monotonic_ms()
    request = Request("GET", "http://exchange.internal/")
    with pytest.raises(NotSent):
        Transport(Http()).send(request, egress_ip=None, deadline_ms=200)
    assert clock.monotonic_ms() - began < 200 + 200


def test_dead_address_of_redis_does_not_hide_the_next(
    resolves: Resolve, own_redis: EmbeddedRedis
) -> None:
    """A Redis behind two addresses is reached though the first is dead."""
    with full_listener() as dead:
        resolves(row("127.0.0.1", dead), row("127.0.0.1", own_redis.port))
        settings = Settings(redis_url=SecretStr(f"redis://{HOST}:1/0"))
        store: Store = build_store(settings)
        assert store.client.ping()
