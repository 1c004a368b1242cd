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
import re
import socket
import threading
from http import HTTPStatus
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import allowed_gai_family

from worker import clock

LENGTH = re.compile(r"[0-9]{1,18}")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What a header's name may be."""
LINE_MAX = 65_536
LINES_MAX = 100
BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class UnreadableHeader(http.client.HTTPException):
    """A line of a reply's head is no header, or there are too many."""


class UnreadableLength(http.client.HTTPException):
    """A reply's length is no number, or two."""


class Call(threading.local):
    """The call under way on this thread."""

    deadline_ms: float = 0.0
    begun: bool = False
    """Whether a byte of the request may have left."""


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
    """A reply whose head and length can be read one way only.

    http.client parses heads as those of letters, leniently and at the cost of
    signing some; so here they are parsed anew.
    """

    fp: io.BufferedReader

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(_Readable(sock), *args, **kwargs)  # type: ignore[arg-type]  # all it reads

    def begin(self) -> None:
        """Read the head; that of a reply which is no interim one.

        Interim replies are passed over: taken for the reply, one would leave the
        real one to be read as the reply to the next request of this connection.

        Raises:
            HTTPException: It is cut short, or does not say how long the body is.
            TimeoutError: The deadline of the call has passed.
        """
        if self.headers is not None:
            return
        while True:
            version, status, reason = self._read_status()
            if not version.startswith("HTTP/1.") or status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise http.client.UnknownProtocol(version)
            headers = _head(self.fp)
            if status >= HTTPStatus.OK:
                break
        self.code = self.status = status
        self.reason = reason.strip()
        self.version = 10 if version == "HTTP/1.0" else 11
        self.headers = self.msg = headers
        self.chunked = _is_chunked(headers)
        self.chunk_left = None
        self.will_close = self._check_close()
        self.length = _length(headers)
        if status in BODILESS or self._method == "HEAD":
            self.length = 0
        elif self.chunked:
            self.length = None
        elif self.length is None:
            self.will_close = True


def _head(reader: io.BufferedReader) -> http.client.HTTPMessage:
    """Read headers up to the empty line that ends them."""
    headers: list[list[str]] = []
    for _ in range(LINES_MAX):
        line = reader.readline(LINE_MAX)
        if line in (b"\r\n", b"\n"):
            break
        if not line.endswith(b"\n"):
            raise http.client.IncompleteRead(line)
        text = line.decode("latin-1")
        if text[0] in " \t" and headers:
            headers[-1][1] += " " + text.strip()
            continue
        name, colon, value = text.partition(":")
        if not colon or not NAME.fullmatch(name):
            raise UnreadableHeader
        headers.append([name, value.strip()])
    else:
        raise UnreadableHeader
    message = http.client.HTTPMessage()
    for name, value in headers:
        message[name] = value
    return message


def _is_chunked(headers: http.client.HTTPMessage) -> bool:
    codings = headers.get_all("transfer-encoding")
    if codings is None:
        return False
    if [coding.strip().lower() for coding in codings] != ["chunked"]:
        raise UnreadableLength
    return True


def _length(headers: http.client.HTTPMessage) -> int | None:
    """Return the length that is given; what gives one that cannot be read may not be whole."""
    given = headers.get_all("content-length")
    if given is None:
        return None
    lengths = {length.strip() for length in ",".join(given).split(",")} - {""}
    if len(lengths) > 1 or not all(map(LENGTH.fullmatch, lengths)):
        raise UnreadableLength
    return int(lengths.pop()) if lengths else None


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
        super().send(data)

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
