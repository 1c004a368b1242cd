"""One client's connection: HTTP/1.1 read and written by hand, for speed."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from worker.simulator.wire import Delivery, Manner, Request, encode_head, json_reply

HEAD_MAX = 32 * 1024
BODY_MAX = 8 * 1024 * 1024
_CHUNK = 64 * 1024


class BadRequestError(Exception):
    """What arrived is no request that this server reads."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class _PeerGoneError(Exception):
    """The peer closed the connection."""


class Connection:
    """Serve requests one after another until either side has had enough."""

    def __init__(
        self,
        sock: socket.socket,
        source: str,
        serve: Callable[[Request], Delivery],
        stopping: threading.Event,
    ) -> None:
        self._sock = sock
        self._source = source
        self._serve = serve
        self._stopping = stopping
        self._unread = bytearray()

    def run(self) -> None:
        """Serve until the end; the socket is closed afterwards."""
        with contextlib.closing(self._sock), contextlib.suppress(OSError, _PeerGoneError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._run()
            except BadRequestError as error:
                reply = json_reply(error.status, {"error": error.reason})
                self._sock.sendall(encode_head(reply, date="", close=True) + reply.body)

    def end(self) -> None:
        """Wake the thread that serves this connection, from another one."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        keep_alive = True
        while keep_alive and not self._stopping.is_set():
            request, keep_alive = self._read_request()
            delivery = self._serve(request)
            keep_alive = self._deliver(delivery, keep_alive=keep_alive)

    def _read_request(self) -> tuple[Request, bool]:
        method, target, version, headers = _parse_head(self._read_head())
        path, _, query = target.partition("?")
        if "transfer-encoding" in headers:
            raise BadRequestError(411, "a body needs a Content-Length")
        length = headers.get("content-length", "0")
        if not length.isdigit() or not length.isascii():
            raise BadRequestError(400, "unreadable Content-Length")
        if len(length) > 9 or int(length) > BODY_MAX:  # noqa: PLR2004
            raise BadRequestError(413, "body too large")
        if headers.get("expect", "").lower() == "100-continue":
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._read_body(int(length))
        request = Request(method, path, query, headers, body, self._source)
        close = headers.get("connection", "").lower() == "close" or version == "HTTP/1.0"
        return request, not close

    def _read_head(self) -> str:
        searched = 0
        while (end := self._unread.find(b"\r\n\r\n", max(0, searched - 3))) < 0:
            searched = len(self._unread)
            if searched > HEAD_MAX:
                raise BadRequestError(431, "head too large")
            self._receive()
        head = self._unread[:end].decode("latin-1")
        del self._unread[: end + 4]
        return head

    def _read_body(self, length: int) -> bytes:
        while len(self._unread) < length:
            self._receive()
        body = bytes(self._unread[:length])
        del self._unread[:length]
        return body

    def _receive(self) -> None:
        data = self._sock.recv(_CHUNK)
        if not data:
            raise _PeerGoneError
        self._unread += data

    def _deliver(self, delivery: Delivery, *, keep_alive: bool) -> bool:
        """Send a reply in its manner; return whether the connection lives on."""
        reply = delivery.reply
        manner = delivery.manner
        if manner is Manner.NEVER:
            return False
        head = encode_head(reply, date=delivery.date, close=not keep_alive)
        if manner is Manner.HALF:
            self._sock.sendall(head + reply.body[: len(reply.body) // 2])
            return False
        if manner is Manner.LATE:
            self._stopping.wait(delivery.pause_ms / 1_000)
        if manner is Manner.DRIPPED:
            return self._drip(head + reply.body, delivery.pause_ms) and keep_alive
        self._sock.sendall(head + reply.body)
        return keep_alive

    def _drip(self, data: bytes, pause_ms: float) -> bool:
        for at in range(len(data)):
            self._sock.sendall(data[at : at + 1])
            if self._stopping.wait(pause_ms / 1_000):
                return False
        return True


def _parse_head(head: str) -> tuple[str, str, str, dict[str, str]]:
    """Split a head into method, target, version and headers in lower case."""
    first, *rest = head.split("\r\n")
    try:
        method, target, version = first.split(" ")
    except ValueError:
        raise BadRequestError(400, "unreadable request line") from None
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(400, "unreadable header")
        headers[name.lower()] = value.strip()
    return method, target, version, headers
