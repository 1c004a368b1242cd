"""Send a signed request over requests and return the whole reply, in bounded time.

One deadline covers a call from connecting to the last byte; see `bounded`.
"""

from __future__ import annotations

import http.client
import os
import re
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

import requests
import urllib3
from certifi import where
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util.ssl_ import create_urllib3_context

from worker import clock
from worker.config.settings import Http
from worker.errors import NotSent, ReplyLost
from worker.gateway.http.deadline import POOLS, BoundedConnection, call, left_s, received
from worker.gateway.http.decompression import unpack
from worker.gateway.http.response import NAME, receive
from worker.model.wire import Reply, Request
from worker.net import sockets

USER_AGENT = "cancel-worker"
FAILURES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
"""What the libraries below raise when there is no reply."""
NEIGHBOR_MS = 3_000
"""How long Linux holds packets back while it asks for a neighbor's hardware address:
`mcast_solicit` times `retrans_time_ms`, as both are unless someone has set them."""
KEEP_ALIVE = re.compile(r"\btimeout=([0-9]{1,6})\b", re.IGNORECASE)
KEEP_ALIVE_MARGIN_MS = 500
"""What a request takes to arrive is a part of the time that a server keeps its connection."""
BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class _Adapter(HTTPAdapter):
    """An adapter whose connections keep the deadline, bound to a source address."""

    def __init__(self, egress_ip: str | None) -> None:
        self._source = {"source_address": (egress_ip, 0)} if egress_ip else {}
        super().__init__(pool_connections=16, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as requests has it
        super().init_poolmanager(*args, **{**kwargs, **self._source})
        self.poolmanager.pool_classes_by_scheme = POOLS

    def build_connection_pool_key_attributes(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ANN401  as requests has it
        cert: Any = None,  # noqa: ANN401  as requests has it
    ) -> Any:  # noqa: ANN401  as requests has it
        """Have all connections share the certificates that are trusted.

        To load them takes longer than a handshake, and no deadline can end it.
        """
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] != "https":
            return host, tls
        return host, {"cert_reqs": "CERT_REQUIRED", "ssl_context": _trusting(verify)}

    def connection_to(self, url: str, verify: str | bool) -> BoundedConnection:  # noqa: FBT001
        """Return a connection that is not open yet, with its certificates set up."""
        pool: Any = self.get_connection_with_tls_context(_prepare(Request("GET", url)), verify)
        connection: BoundedConnection = pool._new_conn()  # noqa: SLF001  no other way to one
        return connection

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401  as requests has it
        manager = super().proxy_manager_for(proxy, **kwargs, **self._source)
        manager.pool_classes_by_scheme = POOLS
        return manager


@cache
def _trusting(verify: str | Literal[True]) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(where() if verify is True else verify)
    return context


@dataclass(slots=True)
class _Line:
    """One thread's session towards one host.

    Attributes:
        idle_ms: How long its connection may be idle and still be used.
    """

    adapter: _Adapter
    used_ms: float
    idle_ms: float
    connection: BoundedConnection | None = None
    connect_s: float = 0.0

    def close(self) -> None:
        """Close what is open; it is opened again when it is needed."""
        self.adapter.close()
        if self.connection is not None:
            self.connection.close()

    def __del__(self) -> None:
        """Close what its thread leaves open."""
        self.close()


class Transport:
    """Sends requests; one session per thread, host and source address.

    Never follows a redirect, keeps no cookies, repeats nothing, checks
    certificates, and uses the environment's proxies only if told to.
    """

    def __init__(self, http_settings: Http) -> None:
        self._settings = http_settings
        self._local = threading.local()

    def send(self, request: Request, *, egress_ip: str | None, deadline_ms: int) -> Reply:
        """Send `request` once and return the whole reply.

        Args:
            request: Sent byte for byte.
            egress_ip: Local address to send from.
            deadline_ms: From now until the reply must be whole.

        Returns:
            The reply, whatever its status. A body that the server compressed
            unasked is unpacked; see `unpacking`.

        Raises:
            NotSent: No byte of it left. Sending again is safe.
            ReplyLost: It left, and no whole reply came in time, or one too
                large. What it did is unknown.
        """
        self._begin(deadline_ms)
        proxies = get_environ_proxies(request.url) if self._settings.trust_env else {}
        try:
            line = self._line(request.url, egress_ip)
            line.connect_s = min(self._settings.connect_ms, deadline_ms) / 1_000
            ask = self._ask_by_proxy if proxies else self._ask
            return ask(line, request, proxies)
        except FAILURES as error:
            # From None: what is below repeats the URL, or the header it refused.
            reason = _reason(error)
            if call.begun:
                raise ReplyLost(reason) from None
            raise NotSent(reason) from None

    def connect(self, url: str, *, egress_ip: str | None, deadline_ms: int) -> None:
        """Have a connection ready for the next request of this thread to the host of `url`.

        What is stamped afterwards leaves at once. Through a proxy nothing is done.

        Args:
            url: Of the request to come; nothing of it is sent.
            egress_ip: Local address to connect from.
            deadline_ms: From now until the connection must be open.

        Raises:
            NotSent: There is none.
        """
        if proxied(url, self._settings):
            return
        self._begin(deadline_ms)
        try:
            line = self._line(url, egress_ip)
            line.connect_s = min(self._settings.connect_ms, deadline_ms) / 1_000
            self._opened(line, url)
        except FAILURES as error:
            raise NotSent(_reason(error)) from None

    def late_ms(self, url: str) -> int | None:
        """Return how long after the end of a call its request may yet leave this host.

        A call that ends without a reply resets its connection, so that the kernel
        sends nothing again; the kernel does the same when the process is stopped
        or killed. What has reached a host of the exchange is not called back.

        Returns:
            Milliseconds; None where there is no bound: through a proxy, which has
            taken the bytes, and on systems without `TCP_USER_TIMEOUT`.
        """
        if sockets.USER_TIMEOUT is None or proxied(url, self._settings):
            return None
        return NEIGHBOR_MS

    @property
    def _verify(self) -> str | bool:
        return str(self._settings.ca_file) if self._settings.ca_file else True

    def _begin(self, deadline_ms: int) -> None:
        if deadline_ms <= 0:
            raise NotSent("no time left")
        call.deadline_ms = clock.monotonic_ms() + deadline_ms
        call.begun = False
        call.body_max = self._settings.max_reply_bytes

    def _opened(self, line: _Line, url: str) -> BoundedConnection:
        """Return the connection of a line, opened if it is not."""
        connection = line.connection
        if connection is None:
            connection = line.connection = line.adapter.connection_to(url, self._verify)
        elif not connection.is_connected:
            connection.close()
        connection.timeout = line.connect_s
        if connection.sock is None:
            try:
                connection.connect()
            except BaseException:
                connection.close()
                raise
        return connection

    def _ask(self, line: _Line, request: Request, _: Mapping[str, str]) -> Reply:
        """Ask over a connection that requests has set up, with what was signed as it stands.

        What requests and urllib3 do for each request of a session, which needs
        none of it, costs more than all else that a cancel does here.
        """
        data = _bytes_of(request)
        connection = self._opened(line, request.url)
        try:
            connection.send(data)
            got = receive(
                partial(received, connection.sock),
                limit=call.body_max,
                bodiless=request.method == "HEAD",
            )
        except BaseException as error:
            if isinstance(error, OSError):
                connection.rank(answered=False)
            connection.close()
            raise
        if not got.keeps:
            connection.close()
        elif told := KEEP_ALIVE.search(got.headers.get("keep-alive", "")):
            line.idle_ms = min(self._settings.idle_ms, int(told[1]) * 1_000 - KEEP_ALIVE_MARGIN_MS)
        return _reply(got.status, got.headers, got.body)

    def _ask_by_proxy(self, line: _Line, request: Request, proxies: Mapping[str, str]) -> Reply:
        response = line.adapter.send(
            _prepare(request),
            stream=True,
            timeout=(line.connect_s, left_s()),
            verify=self._verify,
            proxies=dict(proxies),
        )
        try:
            body = response.raw.read(decode_content=False)
        finally:
            response.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return _reply(response.status_code, headers, body)

    def _line(self, url: str, egress_ip: str | None) -> _Line:
        kept = self._local.__dict__
        if kept.setdefault("pid", pid := os.getpid()) != pid:
            # A fork shares its parent's connections: what is read from one is lost to the other.
            kept.update(pid=pid, lines={})
        lines: dict[tuple[str, str | None], _Line] = kept.setdefault("lines", {})
        key = (urlsplit(url).netloc, egress_ip)
        now = clock.monotonic_ms()
        line = lines.get(key)
        if line is None:
            line = lines[key] = _Line(_Adapter(egress_ip), now, self._settings.idle_ms)
        elif now - line.used_ms > line.idle_ms:
            # Before the server does: a request written into a connection that
            # is being closed has an unknown outcome.
            line.close()
        line.used_ms = now
        return line


def proxied(url: str, http_settings: Http) -> bool:
    """Return whether requests to `url` go through a proxy of the environment."""
    return http_settings.trust_env and bool(select_proxy(url, get_environ_proxies(url)))


def _reply(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    if coding := headers.get("content-encoding"):
        body = unpack(body, coding, limit=call.body_max)
    return Reply(status, headers, body, received_ms=clock.now_ms())


def _prepare(request: Request) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = request.url
    prepared.headers = CaseInsensitiveDict(_headers_of(request))
    prepared.body = request.body or None
    return prepared


def _headers_of(request: Request) -> dict[str, str]:
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **request.headers}
    if request.body or request.method in ("POST", "PUT"):
        headers["Content-Length"] = str(len(request.body))
    return headers


def _bytes_of(request: Request) -> bytes:
    """Return a request as it goes over the wire, in one piece.

    Raises:
        ValueError: A part of it would change what the others mean.
    """
    parts = urlsplit(request.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {_host(parts)}"]
    headers = _headers_of(request)
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if BREAKS.search("\t".join(lines)) or " " in target or not all(map(NAME.fullmatch, headers)):
        raise ValueError("a header or the URL would break the request")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


def _host(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    return host.removesuffix(":443" if parts.scheme == "https" else ":80")


def _reason(error: BaseException) -> str:
    """Name what went wrong without repeating a URL or a header."""
    seen: list[str] = []
    link: BaseException | None = error
    while link is not None and len(seen) < 4:  # noqa: PLR2004  deep enough to reach the socket
        name = type(link).__name__
        if isinstance(link, OSError) and link.strerror and link.errno:
            name = f"{name}: {link.strerror}"
        if name not in seen:
            seen.append(name)
        link = link.__cause__ or link.__context__
    return " < ".join(seen)
