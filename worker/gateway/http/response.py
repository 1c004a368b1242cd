"""Read one HTTP/1.1 reply, and refuse a reply that can be read in two ways.

This module does no I/O and reads no clock: the caller passes a function that returns
the next bytes. The decision record `ops/docs/adr/http-reader.md` compares it with kept
parsers.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from string import ascii_lowercase

from worker.errors import ReplyLost

HEAD_MAX = 65_536
"""Bytes of a head, and of a line between the chunks of a body."""
LINES_MAX = 100
"""Lines of a head, and of the trailers after a chunked body."""
INTERIM_MAX = 50
"""Interim replies (1xx) before the final one."""
CHUNKS_MAX = 10_000
"""Chunks of a body: each takes time to read, however short it is."""
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Syntax of a header's name."""
BLANK = " \t"
"""Whitespace around a value; any other character belongs to the value."""
FRAMING = ("contentlength", "transferencoding", "contentencoding")
"""Headers that say where a body ends and how to decode it, letters only."""
BEGIN = b"HTTP/1."
STATUS = re.compile(r"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t].*)?")
HEAD_END = re.compile(rb"\r?\n\r?\n")
LENGTH = re.compile(r"[0-9]{1,18}")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

Receive = Callable[[], bytes]
"""Returns the next bytes; empty at the end of the stream."""


class UnreadableHeader(http.client.HTTPException):
    """A line of the head is not a header, or there are too many lines."""


class UnreadableLength(http.client.HTTPException):
    """The length of the body is not a number, or there are two lengths."""


@dataclass(frozen=True, slots=True)
class RawReply:
    """A whole reply as it was received.

    Attributes:
        status: From 200 on.
        headers: Names in lower case; the values of one name are joined with commas.
        body: Without its chunk framing; still compressed.
        reusable: Whether the connection may carry another request. It may not after a
            head with a line that is not a header.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    reusable: bool


def read_reply(receive: Receive, *, body_max: int, bodiless: bool = False) -> RawReply:
    """Read the final reply, and skip the interim replies before it.

    An interim reply that is returned as the reply would leave the final one on the
    connection, where the next request would take it for its own.

    Args:
        receive: Its errors are raised as they are.
        body_max: Most bytes of a body.
        bodiless: Whether the request has replies without a body, as HEAD has.

    Raises:
        ReplyLost: The body is longer than `body_max`.
        HTTPException: The reply is incomplete, malformed or ambiguous.
    """
    stream = _Stream(receive)
    for _ in range(INTERIM_MAX):
        minor, status, headers, malformed = _parse(stream.head())
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            raise http.client.UnknownProtocol("101")
        if status >= HTTPStatus.OK:
            break
    else:
        raise UnreadableHeader
    # With both, the chunks define the end of the body, and the connection is closed.
    length, chunked = _length(headers), _is_chunked(headers)
    delimited = chunked or length is not None
    if bodiless or status in BODILESS:
        body, delimited = b"", True
    elif chunked:
        body, delimited = stream.chunks(body_max), length is None
    elif length is None:
        body = stream.rest(body_max)
    else:
        body = stream.exactly(length, body_max)
    closes = minor == "0" or "close" in headers.get("connection", "").lower()
    # A server sends a 408 unasked: the reply to the request may still follow.
    closes = closes or malformed or status == HTTPStatus.REQUEST_TIMEOUT
    reusable = delimited and not closes and not stream.buffer
    return RawReply(status, headers, body, reusable)


class _Stream:
    """Received bytes; those not read yet are in `buffer`."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.buffer = bytearray()

    def head(self) -> str:
        """Read up to the empty line that ends a head."""
        buffer, searched = self.buffer, 0
        while (end := HEAD_END.search(buffer, searched)) is None:
            if len(buffer) > HEAD_MAX:
                raise UnreadableHeader
            searched = max(0, len(buffer) - 3)
            self._more()
            if buffer[: len(BEGIN)] != BEGIN[: len(buffer)]:
                raise http.client.BadStatusLine("not HTTP")
        head = buffer[: end.start()].decode("latin-1")
        del buffer[: end.end()]
        return head

    def exactly(self, size: int, body_max: int) -> bytes:
        """Read this number of bytes, if it is within the bound."""
        if size > body_max:
            raise _too_long(body_max)
        buffer = self.buffer
        while len(buffer) < size:
            self._more()
        data = bytes(buffer[:size])
        del buffer[:size]
        return data

    def chunks(self, body_max: int) -> bytes:
        """Read a chunked body and its trailers."""
        body = bytearray()
        for _ in range(CHUNKS_MAX):
            size = self._chunk_size()
            if not size:
                break
            if len(body) + size > body_max:
                raise _too_long(body_max)
            body += self.exactly(size, body_max)
            if self._line():
                raise UnreadableLength
        else:
            raise UnreadableLength
        for _ in range(LINES_MAX):
            if not self._line():
                return bytes(body)
        raise UnreadableHeader

    def rest(self, body_max: int) -> bytes:
        """Read to the end of the stream."""
        buffer = self.buffer
        while len(buffer) <= body_max:
            data = self._receive()
            if not data:
                break
            buffer += data
        else:
            raise _too_long(body_max)
        body = bytes(buffer)
        buffer.clear()
        return body

    def _chunk_size(self) -> int:
        match = CHUNK.fullmatch(self._line())
        if match is None:
            raise UnreadableLength
        return int(match[1], 16)

    def _line(self) -> bytes:
        buffer, searched = self.buffer, 0
        while (end := buffer.find(b"\n", searched)) < 0:
            if len(buffer) > HEAD_MAX:
                raise UnreadableHeader
            searched = len(buffer)
            self._more()
        line = bytes(buffer[:end]).removesuffix(b"\r")
        del buffer[: end + 1]
        if b"\r" in line or b"\0" in line:
            raise UnreadableHeader
        return line

    def _more(self) -> None:
        data = self._receive()
        if not data:
            if self.buffer:
                raise http.client.IncompleteRead(bytes(self.buffer))
            raise http.client.RemoteDisconnected("closed without a reply")
        self.buffer += data


def _too_long(body_max: int) -> ReplyLost:
    return ReplyLost(f"the reply is longer than {body_max} bytes")


def _parse(head: str) -> tuple[str, int, dict[str, str], bool]:
    """Return the minor version, the status, the headers, and whether one line is malformed."""
    head = head.replace("\r\n", "\n")
    if "\r" in head or "\0" in head:
        raise UnreadableHeader  # some readers end a line there
    first, *lines = head.split("\n")
    status = STATUS.fullmatch(first)
    if status is None:
        raise http.client.BadStatusLine("not a status line")
    if len(lines) >= LINES_MAX:
        raise UnreadableHeader
    headers: dict[str, str] = {}
    name, malformed = "", False
    for line in lines:
        if name and line[0] in BLANK:
            headers[name] += " " + line.strip(BLANK)
            continue
        name, colon, value = line.partition(":")
        if not colon or not NAME.fullmatch(name):
            if malformed or not _is_harmless(line):
                raise UnreadableHeader
            name, malformed = "", True
            continue
        name, value = name.lower(), value.strip(BLANK)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return status[1], int(status[2]), headers, malformed


def _is_harmless(line: str) -> bool:
    """Return whether a line that is not a header can be skipped.

    It cannot if another reader may take it for the length or coding of the body, for a
    part of the line before it, or for a status line.
    """
    letters = "".join(char for char in line.lower() if char in ascii_lowercase)
    framing = any(word in letters for word in FRAMING)
    return not framing and line[0] not in BLANK and not line.startswith(BEGIN.decode())


def _is_chunked(headers: dict[str, str]) -> bool:
    coding = headers.get("transfer-encoding")
    if coding is None:
        return False
    if coding.lower() != "chunked":
        raise UnreadableLength
    return True


def _length(headers: dict[str, str]) -> int | None:
    """Return the length of the body; None if none is given."""
    given = headers.get("content-length")
    if given is None:
        return None
    if LENGTH.fullmatch(given):
        return int(given)
    lengths = {length.strip(BLANK) for length in given.split(",")} - {""}
    if len(lengths) > 1 or not all(map(LENGTH.fullmatch, lengths)):
        raise UnreadableLength
    return int(lengths.pop()) if lengths else None
