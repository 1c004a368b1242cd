"""Send a signed request and return the whole reply before a deadline.

One deadline covers a call from the DNS lookup to the last byte; see `connection`.
"""

from __future__ import annotations

import http.client
import os
import re
import threading
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import get_environ_proxies, select_proxy

from worker import clock
from worker.config.settings import Http
from worker.errors import NotSent, ReplyLost
from worker.gateway.http.decompression import decompress
from worker.gateway.http.request import encode
from worker.gateway.http.route import Route, route_to
from worker.model.wire import Reply, Request
from worker.net import sockets

FAILURES: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
"""What the libraries raise when there is no reply."""
NEIGHBOR_MS = 3_000
"""How long Linux holds packets back while it asks for a neighbor's hardware address:
`mcast_solicit` times `retrans_time_ms`, at their defaults."""
KEEP_ALIVE = re.compile(r"\btimeout=([0-9]{1,6})\b", re.IGNORECASE)
KEEP_ALIVE_MARGIN_MS = 500
"""Subtracted from the time for which a server keeps its connection: a request takes time
to arrive."""


@dataclass(slots=True)
class _Session:
    """One thread's session with one host.

    Attributes:
        idle_ms: Longest time for which its connection may be idle and still be used.
    """

    route: Route
    used_ms: float
    idle_ms: float


class Transport:
    """Sends requests; one session per thread, host and source address.

    It never follows a redirect, keeps no cookies, repeats nothing, checks
    certificates, and uses the environment's proxies only if the settings allow it.
    """

    def __init__(self, http_settings: Http) -> None:
        self._settings = http_settings
        self._local = threading.local()

    def send(
        self, request: Request, *, egress_ip: str | None, deadline_ms: int, body_max: int = 0
    ) -> Reply:
        """Send `request` once and return the whole reply.

        Args:
            request: Sent byte for byte.
            egress_ip: Local address to send from.
            deadline_ms: From now until the reply must be complete.
            body_max: Largest body, in bytes, if that is more than `http.max_reply_bytes`.

        Returns:
            The reply, whatever its status. A body that the server compressed without
            being asked to is decompressed; see `decompression`.

        Raises:
            NotSent: No byte of it was sent. Sending again is safe.
            ReplyLost: It was sent, and no whole reply came before the deadline, or one
                that is too large or malformed. What the request did is unknown.
        """
        until_ms, connect_ms = self._bounds(deadline_ms)
        body_max = max(body_max, self._settings.max_reply_bytes)
        session: _Session | None = None
        try:
            session = self._session(request.url, egress_ip)
            route = session.route
            route.connection.begin(until_ms, connect_ms)
            data = encode(request, proxy_headers=route.forward_headers)
            route.open()
            got = route.connection.call(data, body_max=body_max, bodiless=request.method == "HEAD")
        except FAILURES as error:
            # From None: the errors of the libraries repeat the URL or the header.
            if session is not None and session.route.connection.request_sent:
                raise ReplyLost(_reason(error)) from None
            raise NotSent(_reason(error)) from None
        if found := KEEP_ALIVE.search(got.headers.get("keep-alive", "")):
            kept_ms = int(found[1]) * 1_000 - KEEP_ALIVE_MARGIN_MS
            session.idle_ms = min(self._settings.idle_ms, kept_ms)
        body = got.body
        if coding := got.headers.get("content-encoding"):
            body = decompress(body, coding, limit=body_max)
        return Reply(got.status, got.headers, body, received_ms=clock.now_ms())

    def connect(self, url: str, *, egress_ip: str | None, deadline_ms: int) -> None:
        """Open a connection for this thread's next request to the host of `url`.

        The request can then be sent right after it is stamped. Does nothing where
        requests go through a proxy.

        Args:
            url: Of the request to come; nothing of it is sent.
            egress_ip: Local address to connect from.
            deadline_ms: From now until the connection must be open.

        Raises:
            NotSent: It could not be opened.
        """
        if proxied(url, self._settings):
            return
        until_ms, connect_ms = self._bounds(deadline_ms)
        try:
            route = self._session(url, egress_ip).route
            route.connection.begin(until_ms, connect_ms)
            route.open()
        except FAILURES as error:
            raise NotSent(_reason(error)) from None

    def late_ms(self, url: str) -> int | None:
        """Return how long after the end of a call its request may still leave this host.

        A call that ends without a reply resets its connection, so that the kernel
        sends nothing again; the kernel does the same when the process is stopped
        or killed. What has reached a host of the exchange cannot be recalled.

        Returns:
            Milliseconds; None where there is no bound: through a proxy, which has
            taken the bytes, and on systems without `TCP_USER_TIMEOUT`.
        """
        if sockets.USER_TIMEOUT is None or proxied(url, self._settings):
            return None
        return NEIGHBOR_MS

    def _bounds(self, deadline_ms: int) -> tuple[float, float]:
        """Return when a call ends, by `clock.monotonic_ms`, and how long it may connect."""
        if deadline_ms <= 0:
            raise NotSent("no time left")
        return clock.monotonic_ms() + deadline_ms, min(self._settings.connect_ms, deadline_ms)

    def _session(self, url: str, egress_ip: str | None) -> _Session:
        kept = self._local.__dict__
        if kept.setdefault("pid", pid := os.getpid()) != pid:
            # A fork shares its parent's connections: what one reads, the other loses.
            kept.update(pid=pid, sessions={})
        sessions: dict[tuple[str, str, str | None], _Session] = kept.setdefault("sessions", {})
        parts = urlsplit(url.partition("?")[0])  # which it knows of earlier requests
        key = (parts.scheme, parts.netloc, egress_ip)
        now = clock.monotonic_ms()
        session = sessions.get(key)
        if session is None:
            session = sessions[key] = _Session(
                self._route(url, egress_ip), now, self._settings.idle_ms
            )
        elif now - session.used_ms > session.idle_ms:
            # Before the server does: a request that is sent into a connection that
            # the server closes has an unknown outcome.
            session.route.connection.close()
        session.used_ms = now
        return session

    def _route(self, url: str, egress_ip: str | None) -> Route:
        proxies = get_environ_proxies(url) if self._settings.trust_env else {}
        ca_file = self._settings.ca_file
        verify: str | Literal[True] = str(ca_file) if ca_file else True
        return route_to(url, egress_ip=egress_ip, verify=verify, proxies=proxies)


def proxied(url: str, http_settings: Http) -> bool:
    """Return whether requests to `url` go through a proxy of the environment."""
    return http_settings.trust_env and bool(select_proxy(url, get_environ_proxies(url)))


def _reason(error: BaseException) -> str:
    """Name what failed without repeating a URL or a header."""
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
