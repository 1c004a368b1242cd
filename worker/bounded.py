"""Connections of which each wait is bounded by the deadline of the call under way.

The time-outs of requests bound each wait for a byte, so a server that drips
one byte at a time holds a thread for ever. Here whatever waits on the socket
gets what is left of the call. Only the look-up of a host's name takes as long
as the resolver lets it.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import threading
from functools import partial
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import allowed_gai_family

from worker import clock
from worker.reception import receive

PIECE_BYTES = 16_384
"""How much is read at once."""


class Call(threading.local):
    """The call under way on this thread."""

    deadline_ms: float = 0.0
    begun: bool = False
    """Whether a byte of the request may have left."""
    body_max: int = 0
    """Most bytes that the body of its reply may have."""


call = Call()
"""It is read and written by the transport too."""


class _BoundedRaw(io.RawIOBase):
    """A socket's bytes, each read bounded by the deadline of the call."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        # Holds the socket open until this is closed, as makefile's users expect.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401  any writable buffer
        self._sock.settimeout(left_s())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Readable:
    """A socket as http.client wants to read from it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedRaw(self._sock))


class BoundedResponse(http.client.HTTPResponse):
    """A reply through a proxy, read whole and in one way only; see `reception`."""

    fp: io.BufferedReader

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(_Readable(sock), *args, **kwargs)  # type: ignore[arg-type]  # all it reads

    def begin(self) -> None:
        """Read all of it.

        Raises:
            ReplyLost: It is too long.
            HTTPException: It is cut short, or not to be read.
            TimeoutError: The deadline of the call has passed.
        """
        if self.headers is not None:
            return
        received = receive(
            partial(self.fp.read1, PIECE_BYTES),
            limit=call.body_max,
            bodiless=self._method == "HEAD",
        )
        self.fp.close()
        self.fp = io.BufferedReader(io.BytesIO(received.body))
        self.code = self.status = received.status
        self.version, self.reason = 11, ""
        self.headers = self.msg = http.client.HTTPMessage()
        for name, value in received.headers.items():
            if name not in ("transfer-encoding", "content-length"):
                self.headers[name] = value
        self.chunked = False
        self.chunk_left = None
        self.length = len(received.body)
        self.will_close = not received.keeps


def received(sock: socket.socket) -> bytes:
    """Return what arrives next on a socket; nothing at the end.

    Raises:
        TimeoutError: The deadline of the call has passed.
    """
    sock.settimeout(left_s())
    return sock.recv(PIECE_BYTES)


class _Bounded(HTTPConnection):
    """A connection that keeps the deadline, and says when a request began to leave."""

    debuglevel = 0  # of this class: to turn it up for all would print each header
    response_class = BoundedResponse

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            call.begun = False  # what a proxy was told is no part of the request

    def send(self, data: Any) -> None:  # noqa: ANN401  as http.client has it
        if self.sock is None:
            self.connect()
        self.sock.settimeout(left_s())
        call.begun = True
        self.sock.sendall(data)

    def _new_conn(self) -> socket.socket:
        """Connect within the time for it, TLS included, however many addresses there are."""
        limit_ms = clock.monotonic_ms() + float(self.timeout or 0) * 1_000
        host = self._dns_host.strip("[]")
        error: OSError = TimeoutError("no address answered in time")
        try:
            for family, kind, proto, _, address in socket.getaddrinfo(
                host, self.port, allowed_gai_family(), socket.SOCK_STREAM
            ):
                sock = socket.socket(family, kind, proto)
                try:
                    for option in self.socket_options or ():
                        sock.setsockopt(*option)
                    if self.source_address:
                        sock.bind(self.source_address)
                    sock.settimeout(left_s(limit_ms))
                    sock.connect(address)
                    sock.settimeout(left_s(limit_ms))
                except OSError as failed:
                    error = failed
                    sock.close()
                else:
                    return sock
        except (OSError, UnicodeError) as failed:
            raise NewConnectionError(self, "no address") from failed
        raise NewConnectionError(self, "no connection") from error


def left_s(limit_ms: float = math.inf) -> float:
    """Return what is left of the deadline, or until `limit_ms`, in s.

    Raises:
        TimeoutError: Nothing is.
    """
    left_ms = min(limit_ms, call.deadline_ms) - clock.monotonic_ms()
    if left_ms <= 0:
        raise TimeoutError("deadline passed")
    return left_ms / 1_000


class _Connection(_Bounded):
    pass


class _SecureConnection(_Bounded, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}
