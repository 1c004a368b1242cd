"""Connections that end every wait at the deadline of the current call.

The timeouts of requests bound each wait for a byte, so a server that sends one byte at
a time holds a thread without limit. Here every wait, the DNS lookup included, gets the
rest of the call's time. Bytes that are not acknowledged by the deadline are dropped;
see `worker.net.sockets`.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import weakref
from collections.abc import Callable
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from worker import clock
from worker.gateway.http.response import RawReply, read_reply
from worker.net import sockets

RECEIVE_BYTES = 16_384
"""Most bytes that one call to the socket returns."""


class DeadlineConnection(HTTPConnection):
    """A connection whose waits end at a deadline. One thread uses it.

    Attributes:
        deadline_ms: End of the current call, by `clock.monotonic_ms`.
        request_sent: Whether a byte of the current request may have left this host.
    """

    debuglevel = 0  # http.client prints every header if its class attribute is changed
    deadline_ms = 0.0
    request_sent = False
    _address = ""
    """The address that it is or was connected to."""
    _closing: weakref.finalize[..., DeadlineConnection] | None = None

    def begin(self, deadline_ms: float, connect_ms: float) -> None:
        """Begin a call: connecting may take `connect_ms` of the time until the deadline."""
        self.deadline_ms = deadline_ms
        self.timeout = connect_ms / 1_000
        self.request_sent = False

    def connect(self) -> None:
        """Connect, through a proxy's tunnel if one is set. No byte of the request is sent."""
        try:
            super().connect()
        except BaseException:
            self.rank(answered=False)
            raise
        finally:
            self.request_sent = False  # CONNECT is not the request
        if self._closing is not None:
            self._closing.detach()
        # Once its thread has ended. `__del__` may run after the socket's in a reference cycle.
        self._closing = weakref.finalize(self, self.sock.close)
        self._closing.atexit = False
        self.rank(answered=True)

    def send(self, data: Any) -> None:  # noqa: ANN401  signature of http.client
        """Send bytes; those not acknowledged by the deadline are dropped."""
        seconds = self.left_s()
        self.sock.settimeout(seconds)
        if isinstance(self.sock, socket.socket):  # not for TLS within a proxy's TLS
            sockets.drop_unsent_after(self.sock, seconds * 1_000)
        self.request_sent = True
        self.sock.sendall(data)

    def receive(self) -> bytes:
        """Return the next bytes; empty at the end.

        Raises:
            TimeoutError: The deadline has passed.
        """
        self.sock.settimeout(self.left_s())
        return self.sock.recv(RECEIVE_BYTES)

    def call(self, data: bytes, *, body_max: int, bodiless: bool) -> RawReply:
        """Send a request and read its reply; see `read_reply`.

        The connection is closed after any failure and after a reply that ends it.
        """
        try:
            self.send(data)
            reply = read_reply(self.receive, body_max=body_max, bodiless=bodiless)
        except BaseException as error:
            if isinstance(error, OSError) and self.proxy is None:
                self.rank(answered=False)
            self.close()
            raise
        if not reply.reusable:
            self.close()
        return reply

    def rank(self, *, answered: bool) -> None:
        """Record whether the connected address answers; see `sockets.rank`."""
        if self._address:
            sockets.rank(self._host, self.port or 0, self._address, answered=answered)

    def left_s(self, limit_ms: float = math.inf) -> float:
        """Return the seconds until the deadline, or until `limit_ms` if that is earlier.

        Raises:
            TimeoutError: It has passed.
        """
        left_ms = min(limit_ms, self.deadline_ms) - clock.monotonic_ms()
        if left_ms <= 0:
            raise TimeoutError("deadline passed")
        return left_ms / 1_000

    def response_class(  # type: ignore[override]  # http.client has a class here
        self,
        sock: socket.socket,
        **options: Any,  # noqa: ANN401  signature of http.client
    ) -> http.client.HTTPResponse:
        """Return the reader of a proxy's reply to CONNECT."""
        return http.client.HTTPResponse(_Readable(sock, self.left_s), **options)  # type: ignore[arg-type]  # uses makefile alone

    @property
    def _host(self) -> str:
        return self._dns_host.strip("[]")

    def _new_conn(self) -> socket.socket:
        """Connect within `timeout`, TLS included, whatever the number of addresses."""
        limit_ms = clock.monotonic_ms() + float(self.timeout or 0) * 1_000
        self._address = ""
        try:
            sock = sockets.connect(
                self._host,
                self.port or 0,
                until_ms=min(limit_ms, self.deadline_ms),
                source=self.source_address,
            )
        except (OSError, ValueError) as failed:
            raise NewConnectionError(self, "no connection") from failed
        try:
            self._address = str(sock.getpeername()[0])
            sock.settimeout(self.left_s(limit_ms))
            for option in self.socket_options or ():
                sock.setsockopt(*option)
        except OSError as failed:
            sock.close()
            raise NewConnectionError(self, "no connection") from failed
        return sock


class _Reader(io.RawIOBase):
    """A socket's bytes; each read ends at the deadline."""

    def __init__(self, sock: socket.socket, left_s: Callable[[], float]) -> None:
        self._sock = sock
        self._left_s = left_s
        # Keeps the socket open until this is closed, as users of makefile expect.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401  any writable buffer
        self._sock.settimeout(self._left_s())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Readable:
    """A socket as http.client reads from it."""

    def __init__(self, sock: socket.socket, left_s: Callable[[], float]) -> None:
        self._sock = sock
        self._left_s = left_s

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._left_s))


class _SecureConnection(DeadlineConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = DeadlineConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}
"""By scheme: the pools that make these connections."""
