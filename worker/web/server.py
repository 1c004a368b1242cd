"""Run the application with uvicorn: where it may listen, and how long a client may take."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from worker.config.settings import Settings
from worker.errors import SettingsError, StoreUnavailable
from worker.factory import serve_health
from worker.telemetry.liveness import Liveness
from worker.web.app import build_app
from worker.web.parts import Parts, build_parts

log = logging.getLogger(__name__)

HEAD_S = 10
"""Longest time from a connection, or a first byte, to a complete request head."""
BODY_S = 30
"""Longest time from a request's head to the end of its body."""
HEAD_MAX = 65_536
"""Most bytes of a request head, apart from what one read returns."""
CLIENTS_MAX = 1_000
STOP_S = 3
"""How long requests under way may take when the process is stopped."""
ROUND_S = 1
BACKLOG = 1_024


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 that resets a connection without a whole request in time, or with a long head."""

    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._within(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._whole()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has arrived: a byte between requests starts the clock, too."""
        self._head_bytes += len(data)
        if self._deadline is None and self.timeout_keep_alive_task is not None:
            self._within(HEAD_S)
        super().data_received(data)
        if self._head_bytes > HEAD_MAX and not self.transport.is_closing():
            self.send_400_response("Request head too long.")

    def on_message_begin(self) -> None:
        """Begin to read a request, perhaps while another is answered."""
        if self._deadline is None:
            self._within(HEAD_S)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin a request, whose head has been read."""
        self._within(BODY_S)
        super().on_headers_complete()
        self._head_bytes = 0

    def on_message_complete(self) -> None:
        """End the body of a request."""
        self._whole()
        super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; `BODY_MAX` bounds it."""
        super().on_body(body)
        self._head_bytes = 0

    def _within(self, seconds: float) -> None:
        self._whole()
        self._deadline = self.loop.call_later(seconds, self._expire)

    def _whole(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.abort()


class _Uvicorn(uvicorn.Server):
    """Uvicorn that ends with exit code 0 on a signal, where it would raise it again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have SIGINT and SIGTERM stop the server."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handle_exit)
        yield


def check_listening(settings: Settings, *, behind_proxy: bool) -> None:
    """Refuse an address that others reach without TLS.

    Raises:
        SettingsError: It is neither loopback nor protected, or TLS is half configured.
    """
    web = settings.web
    if (web.cert_file is None) != (web.key_file is None):
        raise SettingsError("web.cert_file and web.key_file belong together; set both or none")
    if web.cert_file or behind_proxy or _is_loopback(web.host):
        return
    raise SettingsError(
        f"web.host {web.host} is reachable from other machines, and tokens would travel in clear "
        "text: set web.cert_file and web.key_file, or start with --behind-proxy behind a proxy "
        "that ends TLS"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Server:
    """One web process: the application on its socket, and its probes.

    Args:
        settings: What to serve, and where.
        behind_proxy: Whether a proxy in front ends TLS.

    Raises:
        SettingsError: The address may not be served, or cannot be bound.
    """

    def __init__(self, settings: Settings, *, behind_proxy: bool = False) -> None:
        check_listening(settings, behind_proxy=behind_proxy)
        web = settings.web
        self._settings = settings
        self._socket = _bind(web.host, web.port)
        self.parts = build_parts(settings, behind_proxy=behind_proxy)
        self.liveness = Liveness()
        app = build_app(self.parts, tls=bool(web.cert_file) or behind_proxy)
        app.router.lifespan_context = self._lifespan
        self._on_ready: Callable[[], None] = lambda: None
        config = uvicorn.Config(
            app,
            http=Protocol,
            loop="uvloop",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CLIENTS_MAX,
            timeout_graceful_shutdown=STOP_S,
            ssl_certfile=web.cert_file,
            ssl_keyfile=web.key_file,
        )
        self._server = _Uvicorn(config)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self._settings.web.cert_file else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until SIGINT, SIGTERM or `stop`.

        Args:
            on_ready: Called once requests are accepted.
        """
        self._on_ready = on_ready
        monitor = serve_health(self._settings, self.liveness, "web")
        try:
            self._server.run(sockets=[self._socket])
        finally:
            monitor.stop()

    def stop(self) -> None:
        """Have `run` return soon; from any thread."""
        self._server.should_exit = True

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncIterator[None]:
        task = asyncio.create_task(_watch(self.parts, self.liveness))
        self._on_ready()
        yield
        self.liveness.stopping()
        task.cancel()
        await self.parts.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY: a reply is two writes, and the second
    # would wait 40 ms for the acknowledgement of the first.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise SettingsError(
            f"web.host {host}, web.port {port}: {error.strerror or error}; set others"
        ) from None
    made.listen(BACKLOG)
    return made


async def _watch(parts: Parts, liveness: Liveness) -> None:
    """Note that the event loop runs and that Redis answers."""
    while True:
        liveness.moved()
        with contextlib.suppress(StoreUnavailable):
            await parts.now_ms()
            liveness.answered()
        await asyncio.sleep(ROUND_S)
