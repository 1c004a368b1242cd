"""A small HTTP server in its own thread, with limits on connections and time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from worker.telemetry.health.request import (
    ANY_LOCAL,
    BadRequest,
    Hosts,
    Request,
    head_of,
    read_request,
)

log = logging.getLogger(__name__)

READERS_MAX = 128
"""Maximum connections. For a new one, the oldest of the address with the most is closed."""
READER_S = 8.0
"""Maximum duration of a connection, with its request and its reply."""
BACKLOG = 1_024
TURNS = 2
"""Maximum threads that render one page, so that slow requests do not block other pages."""
CHUNK = 4_096
TEXT = "text/plain; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Page:
    """The reply for a path."""

    body: str
    kind: str = "text/html; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK


Pages = Mapping[str, Callable[[], Page]]


def url(host: str, port: int | str) -> str:
    """Return the URL of a host and port."""
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@dataclass(eq=False, slots=True)
class _Reader:
    """One connection."""

    address: str
    writer: asyncio.StreamWriter
    asked: bool = False


class Server:
    """Serves pages; each is rendered for each request.

    A connection lasts at most `READER_S`. At `READERS_MAX` connections, a new one closes
    an old one: of the address with the most connections, one without a complete request
    first. So neither slow nor many clients block others.

    Args:
        host: The address to bind.
        port: The port to bind; 0 for any free one.
        pages: Renderers by path; each runs in a thread, as it may wait for Redis.
        instant: Paths whose renderers never block; they run in the event loop.
        hosts: Host names under which pages are served.

    Raises:
        OSError: The address cannot be bound.
    """

    def __init__(
        self,
        host: str,
        port: int,
        pages: Pages,
        *,
        instant: Collection[str] = (),
        hosts: Hosts = ANY_LOCAL,
    ) -> None:
        self._pages = pages
        self._instant = instant
        self._hosts = hosts
        self._readers: dict[_Reader, None] = {}
        self._turns = {path: asyncio.Semaphore(TURNS) for path in pages}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started, self._ending = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="monitor", daemon=True
        )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.listen(BACKLOG)
        except OSError:
            self._socket.close()
            raise
        self.host, self.port = self._socket.getsockname()[:2]

    @property
    def url(self) -> str:
        """URL of the server."""
        return url(str(self.host), self.port)

    @property
    def readers(self) -> int:
        """Number of open connections."""
        return len(self._readers)

    def start(self) -> None:
        """Start serving in a thread."""
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Stop serving and close every connection."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # stopped already
                self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join()
        self._socket.close()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with await asyncio.start_server(
            self._serve, sock=self._socket, limit=CHUNK, backlog=BACKLOG
        ):
            self._started.set()
            await self._ending.wait()

    async def _serve(self, source: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        reader = _Reader(str(peer[0]) if peer else "", writer)
        self._admit(reader)
        try:
            async with asyncio.timeout(READER_S):
                await self._answer(reader, source)
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            log.debug("a client disconnected, or was too slow")
        finally:
            self._readers.pop(reader, None)
            _drop(writer)

    def _admit(self, reader: _Reader) -> None:
        if len(self._readers) >= READERS_MAX:
            counts = Counter(each.address for each in self._readers)
            most = max(counts, key=lambda address: counts[address])
            theirs = [each for each in self._readers if each.address == most]
            oldest = min(theirs, key=lambda each: each.asked)
            del self._readers[oldest]
            _drop(oldest.writer)
        self._readers[reader] = None

    async def _answer(self, reader: _Reader, source: asyncio.StreamReader) -> None:
        request = None
        try:
            request = await _read(source)
            if request is None:
                return
            reader.asked = True
            page = await self._page(request)
        except BadRequest as error:
            page = _text(error.status)
        content = page.body.encode()
        lines = [f"HTTP/1.1 {page.status.value} {page.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in HEADERS.items()]
        lines += [f"Content-Type: {page.kind}", f"Content-Length: {len(content)}", "", ""]
        reader.writer.write("\r\n".join(lines).encode())
        if request is None or request.method != "HEAD":
            reader.writer.write(content)
        await reader.writer.drain()

    async def _page(self, request: Request) -> Page:
        path = request.path
        make = self._pages.get(path)
        if self._hosts.refuse(request, page=path == "/"):
            raise BadRequest(HTTPStatus.MISDIRECTED_REQUEST)
        if make is None:
            raise BadRequest(HTTPStatus.NOT_FOUND)
        return _make(make) if path in self._instant else await self._made(path, make)

    async def _made(self, path: str, make: Callable[[], Page]) -> Page:
        """Render a page in a thread; its slot is freed when the thread ends."""
        turns, loop = self._turns[path], asyncio.get_running_loop()
        await turns.acquire()
        made: asyncio.Future[Page] = loop.create_future()

        def take(page: Page) -> None:
            turns.release()
            if not made.done():
                made.set_result(page)

        def work() -> None:
            page = _make(make)
            with contextlib.suppress(RuntimeError):  # the server has stopped
                loop.call_soon_threadsafe(take, page)

        try:
            threading.Thread(target=work, name="monitor page", daemon=True).start()
        except RuntimeError:  # the system has no free thread
            turns.release()
            raise BadRequest(HTTPStatus.SERVICE_UNAVAILABLE) from None
        return await made


async def _read(source: asyncio.StreamReader) -> Request | None:
    """Read a request; None if the client disconnected before it was complete."""
    received = b""
    while (head := head_of(received)) is None:
        more = await source.read(CHUNK)
        if not more:
            return None
        received += more
    return read_request(head)


def _drop(writer: asyncio.StreamWriter) -> None:
    """Reset a connection: the kernel then keeps no data for it."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _make(make: Callable[[], Page]) -> Page:
    try:
        return make()
    except Exception:
        log.exception("a page of the health server could not be rendered")
        return Page("see the log\n", TEXT, HTTPStatus.INTERNAL_SERVER_ERROR)


def _text(status: HTTPStatus) -> Page:
    words = status.phrase.lower()
    if status is HTTPStatus.MISDIRECTED_REQUEST:
        words = "not served under this name; use the address, or add the name to metrics.names"
    return Page(f"{words}\n", TEXT, status)


def open_server(
    host: str,
    ports: Iterable[int],
    pages: Pages,
    *,
    instant: Collection[str] = (),
    hosts: Hosts = ANY_LOCAL,
) -> Server | None:
    """Serve on the first free port of these; log the URL.

    Args: as for `Server`.

    Returns:
        The server; None, with a warning in the log, if no port can be bound.
    """
    taken: list[int] = []
    for port in ports:
        try:
            server = Server(host, port, pages, instant=instant, hosts=hosts)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                taken.append(port)
                continue
            reason = error.strerror or str(error)
            log.warning("no metrics and no probes: metrics.host %s: %s", host, reason)
            return None
        server.start()
        if taken:
            log.warning("port %s is in use; metrics and probes at %s", taken[0], server.url)
        else:
            log.info("metrics and probes at %s", server.url)
        return server
    log.warning("no metrics and no probes: ports %s are in use; set metrics.port", taken)
    return None
