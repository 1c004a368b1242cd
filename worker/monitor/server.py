"""A small HTTP server on a thread of its own, for a few readers at a time."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

log = logging.getLogger(__name__)

READERS_MAX = 8
READER_S = 5.0
POLL_S = 0.5
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Page:
    """What a path answers with."""

    body: str
    kind: str = "text/html; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK


Pages = Mapping[str, Callable[[], Page]]


def url(host: str, port: int | str) -> str:
    """Return where to look."""
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class Server(ThreadingHTTPServer):
    """Serves pages, each made anew for each reader.

    A reader too many is turned away at once, and a slow one after a while: the
    process has other work.

    Raises:
        OSError: The address cannot be had.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        self.pages = pages
        self._readers = threading.BoundedSemaphore(READERS_MAX)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Where to look."""
        return url(str(self.server_address[0]), self.server_port)

    def start(self) -> None:
        """Serve from now on, on a thread."""
        threading.Thread(
            target=self.serve_forever, args=(POLL_S,), name="monitor", daemon=True
        ).start()

    def stop(self) -> None:
        """Serve no more."""
        self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        """Bind, without asking a name server who we are."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  the library's
        """Have a thread answer, if there are not too many."""
        if self._readers.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  same
        """Answer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._readers.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002  same
        """Say nothing of readers that went away."""
        log.debug("a reader went away")


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = READER_S
    server_version = "cancel-worker"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *_: object) -> None:
        """Log nothing: a probe each few seconds is no news."""

    def _answer(self, *, body: bool) -> None:
        make = self.server.pages.get(self.path.partition("?")[0])
        if make is None:
            page = Page("not found\n", "text/plain; charset=utf-8", HTTPStatus.NOT_FOUND)
        else:
            try:
                page = make()
            except Exception:
                log.exception("a page of the monitor cannot be made")
                status = HTTPStatus.INTERNAL_SERVER_ERROR
                page = Page("see the log\n", "text/plain; charset=utf-8", status)
        content = page.body.encode()
        self.send_response(page.status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)


def free_port(host: str, ports: Iterable[int]) -> int | None:
    """Return the first of these ports that is free now; None if none can be had."""
    for port in ports:
        try:
            Server(host, port, {}).server_close()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            return None
        return port
    return None


def open_server(host: str, ports: Iterable[int], pages: Pages) -> Server | None:
    """Serve on the first of these ports that is free, saying so if it is another.

    Returns:
        The server; None, and a warning, if none can be had: the work goes on
        without.
    """
    taken: list[int] = []
    for port in ports:
        try:
            server = Server(host, port, pages)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                taken.append(port)
                continue
            reason = error.strerror or str(error)
            log.warning("no metrics and no status page: metrics.host %s: %s", host, reason)
            return None
        server.start()
        if taken:
            log.warning("port %s is taken; metrics and status page at %s", taken[0], server.url)
        else:
            log.info("metrics and status page at %s", server.url)
        return server
    log.warning("no metrics and no status page: ports %s are taken; set metrics.port", taken)
    return None
