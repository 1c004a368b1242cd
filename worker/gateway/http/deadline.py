"""Connections of which each wait is bounded by the deadline of the call under way.

The time-outs of requests bound each wait for a byte, so a server that drips
one byte at a time holds a thread for ever. Here whatever waits, the look-up of
a host's name included, gets what is left of the call. What is not acknowledged
by then is dropped; see `sockets`.
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

from worker import clock
from worker.gateway.http.response import receive
from worker.net import sockets

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


class BoundedConnection(HTTPConnection):
    """A connection that keeps the deadline, and says when a request began to leave."""

    debuglevel = 0  # of this class: to turn it up for all would print each header
    response_class = BoundedResponse
    _peer = ""
    """The address that this is or was connected to."""

    def connect(self) -> None:
        """Connect; no byte of a request has left by then."""
        try:
            super().connect()
        except BaseException:
            self.rank(answered=False)
            raise
        finally:
            call.begun = False  # what a proxy was told is no part of the request
        self.rank(answered=True)

    def send(self, data: Any) -> None:  # noqa: ANN401  as http.client has it
        """Send bytes that are dropped if they are not acknowledged by the deadline."""
        if self.sock is None:
            self.connect()
        seconds = left_s()
        self.sock.settimeout(seconds)
        if isinstance(self.sock, socket.socket):  # else TLS within a proxy's TLS
            sockets.drop_unsent_after(self.sock, seconds * 1_000)
        call.begun = True
        self.sock.sendall(data)

    def rank(self, *, answered: bool) -> None:
        """Note whether the address that this is or was connected to is of use."""
        if self._peer:
            sockets.rank(self._host, self.port or 0, self._peer, answered=answered)

    @property
    def _host(self) -> str:
        return self._dns_host.strip("[]")

    def _new_conn(self) -> socket.socket:
        """Connect within the time for it, TLS included, however many addresses there are."""
        limit_ms = clock.monotonic_ms() + float(self.timeout or 0) * 1_000
        self._peer = ""
        try:
            sock = sockets.connect(
                self._host,
                self.port or 0,
                until_ms=min(limit_ms, call.deadline_ms),
                source=self.source_address,
            )
        except (OSError, ValueError) as failed:
            raise NewConnectionError(self, "no connection") from failed
        try:
            self._peer = str(sock.getpeername()[0])
            sock.settimeout(left_s(limit_ms))
            for option in self.socket_options or ():
                sock.setsockopt(*option)
        except OSError as failed:
            sock.close()
            raise NewConnectionError(self, "no connection") from failed
        return sock


def left_s(limit_ms: float = math.inf) -> float:
    """Return what is left of the deadline, or until `limit_ms`, in s.

    Raises:
        TimeoutError: Nothing is.
    """
    left_ms = min(limit_ms, call.deadline_ms) - clock.monotonic_ms()
    if left_ms <= 0:
        raise TimeoutError("deadline passed")
    return left_ms / 1_000


class _Connection(BoundedConnection):
    pass


class _SecureConnection(BoundedConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}
