"""Send a signed request over requests and return the whole reply, in bounded time.

The time-outs of requests bound each wait for a byte, so a server that drips
one byte at a time holds a thread for ever. Here one deadline covers a call from
its first byte to its last: every read from the socket gets what is left of it.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from worker import clock
from worker.errors import NotSent, ReplyLost
from worker.settings import Http
from worker.wire import Reply, Request

CHUNK_BYTES = 16_384
USER_AGENT = "cancel-worker"


class _Call(threading.local):
    """The call under way on this thread."""

    deadline_ms: float = 0.0
    begun: bool = False
    """Whether a byte of the request may have left."""


_call = _Call()


class _BoundedRaw(io.RawIOBase):
    """A socket's bytes, each read bounded by the deadline of the call."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        # Holds the socket open until this is closed, as makefile's users expect.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401  any writable buffer
        left_ms = _call.deadline_ms - clock.monotonic_ms()
        if left_ms <= 0:
            raise TimeoutError("deadline passed")
        self._sock.settimeout(left_ms / 1_000)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedRaw(sock))


class _Connection(HTTPConnection):
    response_class = _BoundedResponse

    def send(self, data: Any) -> None:  # noqa: ANN401  as http.client has it
        if self.sock is None:
            self.connect()
        _call.begun = True
        super().send(data)


class _SecureConnection(HTTPSConnection):
    response_class = _BoundedResponse

    def send(self, data: Any) -> None:  # noqa: ANN401  as http.client has it
        if self.sock is None:
            self.connect()
        _call.begun = True
        super().send(data)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    """An adapter whose connections keep the deadline, bound to a source address."""

    def __init__(self, egress_ip: str | None) -> None:
        self._source = {"source_address": (egress_ip, 0)} if egress_ip else {}
        super().__init__(pool_connections=16, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as requests has it
        super().init_poolmanager(*args, **{**kwargs, **self._source})
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401  as requests has it
        manager = super().proxy_manager_for(proxy, **kwargs, **self._source)
        manager.pool_classes_by_scheme = _POOLS
        return manager


@dataclass(slots=True)
class _Line:
    """One thread's session towards one host."""

    adapter: _Adapter
    used_ms: float


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
            unasked is returned as it came.

        Raises:
            NotSent: No byte of it left. Sending again is safe.
            ReplyLost: It left, and no whole reply came in time, or one too
                large. What it did is unknown.
        """
        _call.deadline_ms = clock.monotonic_ms() + deadline_ms
        _call.begun = False
        adapter = self._adapter(request.url, egress_ip)
        try:
            response = adapter.send(
                _prepare(request),
                stream=True,
                timeout=(min(self._settings.connect_ms, deadline_ms) / 1_000, deadline_ms / 1_000),
                verify=str(self._settings.ca_file) if self._settings.ca_file else True,
                proxies=get_environ_proxies(request.url) if self._settings.trust_env else {},
            )
            try:
                body = self._read(response)
            finally:
                response.close()
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
        ) as error:
            reason = _reason(error)
            if _call.begun:
                raise ReplyLost(reason) from error
            raise NotSent(reason) from error
        return Reply(
            status=response.status_code,
            headers=_lower(response.headers),
            body=body,
            received_ms=clock.now_ms(),
        )

    def _read(self, response: requests.Response) -> bytes:
        limit = self._settings.max_reply_bytes
        parts: list[bytes] = []
        size = 0
        raw: urllib3.HTTPResponse = response.raw
        while part := raw.read(CHUNK_BYTES, decode_content=False):
            size += len(part)
            if size > limit:
                raise ReplyLost(f"the reply is longer than {limit} bytes")
            parts.append(part)
        return b"".join(parts)

    def _adapter(self, url: str, egress_ip: str | None) -> _Adapter:
        lines: dict[tuple[str, str | None], _Line] = self._local.__dict__.setdefault("lines", {})
        key = (urlsplit(url).netloc, egress_ip)
        now = clock.monotonic_ms()
        line = lines.get(key)
        if line is None:
            line = lines[key] = _Line(_Adapter(egress_ip), now)
        elif now - line.used_ms > self._settings.idle_ms:
            # Before the server does: a request written into a connection that
            # is being closed has an unknown outcome.
            line.adapter.close()
        line.used_ms = now
        return line.adapter


def _prepare(request: Request) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = request.url
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **request.headers}
    if request.body or request.method in ("POST", "PUT"):
        headers["Content-Length"] = str(len(request.body))
    prepared.headers = CaseInsensitiveDict(headers)
    prepared.body = request.body or None
    return prepared


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


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
