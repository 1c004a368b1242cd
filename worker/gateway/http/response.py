"""Read one HTTP reply, in one way only: what can be read in two is not read.

Neither I/O nor time is of this module's making: it is given what takes in more.
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
"""Lines of a head, and of what follows a body in chunks."""
INTERIM_MAX = 50
"""Interim replies before the one."""
CHUNKS_MAX = 10_000
"""Chunks of a body: each takes time to read, however short it is."""
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What a header's name may be."""
BLANK = " \t"
"""What may stand around a value; whatever else does is a part of it."""
FRAMING = ("contentlength", "transferencoding", "contentencoding")
"""What tells where a body ends and how to read it, in letters alone."""
BEGIN = b"HTTP/1."
STATUS = re.compile(r"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t].*)?")
HEAD_END = re.compile(rb"\r?\n\r?\n")
LENGTH = re.compile(r"[0-9]{1,18}")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

Take = Callable[[], bytes]
"""Returns what has arrived next, nothing at the end."""


class UnreadableHeader(http.client.HTTPException):
    """Lines of a reply's head are no headers, or there are too many."""


class UnreadableLength(http.client.HTTPException):
    """A reply's length is no number, or two."""


@dataclass(frozen=True, slots=True)
class Received:
    """A whole reply.

    Attributes:
        status: From 200 on.
        headers: By their names in lower case; of several, all with commas between.
        body: Out of its chunks, but as packed as it came.
        keeps: Whether its connection may be used again; not after a head with a
            line that is no header.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    keeps: bool


def receive(take: Take, *, limit: int, bodiless: bool = False) -> Received:
    """Read a reply; interim ones before it are passed over.

    Taken for the reply, an interim one would leave the real one to be read as the
    reply to the next request of this connection.

    Args:
        take: Whatever it raises ends the reading.
        limit: Most bytes of a body.
        bodiless: Whether what was asked for has no body, whatever length is told.

    Raises:
        ReplyLost: The body is longer than `limit`.
        HTTPException: The reply is cut short, or not to be read.
    """
    stream = _Stream(take)
    for _ in range(INTERIM_MAX):
        minor, status, headers, odd = _parse(stream.head())
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            raise http.client.UnknownProtocol("101")
        if status >= HTTPStatus.OK:
            break
    else:
        raise UnreadableHeader
    # A reply with both is read as its chunks tell, and nothing after it is believed.
    length, chunked = _length(headers), _is_chunked(headers)
    ended = chunked or length is not None
    if bodiless or status in BODILESS:
        body, ended = b"", True
    elif chunked:
        body, ended = stream.chunks(limit), length is None
    elif length is None:
        body = stream.rest(limit)
    else:
        body = stream.exactly(length, limit)
    closes = minor == "0" or "close" in headers.get("connection", "").lower()
    # Nobody asked for it: what was asked for may yet be answered.
    closes = closes or status == HTTPStatus.REQUEST_TIMEOUT
    closes = closes or odd
    return Received(status, headers, body, keeps=ended and not closes and not stream.held)


class _Stream:
    """Bytes as they come; `held` are those that have not been read."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self.held = bytearray()

    def head(self) -> str:
        """Read up to the empty line that ends a head."""
        held, looked = self.held, 0
        while (end := HEAD_END.search(held, looked)) is None:
            if len(held) > HEAD_MAX:
                raise UnreadableHeader
            looked = max(0, len(held) - 3)
            self._more()
            if held[: len(BEGIN)] != BEGIN[: len(held)]:
                raise http.client.BadStatusLine("no HTTP")
        head = held[: end.start()].decode("latin-1")
        del held[: end.end()]
        return head

    def exactly(self, size: int, limit: int) -> bytes:
        """Read so many bytes, if that is within the limit."""
        if size > limit:
            raise _too_long(limit)
        held = self.held
        while len(held) < size:
            self._more()
        data = bytes(held[:size])
        del held[:size]
        return data

    def chunks(self, limit: int) -> bytes:
        """Read a body in chunks, and what follows it."""
        body = bytearray()
        for _ in range(CHUNKS_MAX):
            size = self._chunk_size()
            if not size:
                break
            if len(body) + size > limit:
                raise _too_long(limit)
            body += self.exactly(size, limit)
            if self._line():
                raise UnreadableLength
        else:
            raise UnreadableLength
        for _ in range(LINES_MAX):
            if not self._line():
                return bytes(body)
        raise UnreadableHeader

    def rest(self, limit: int) -> bytes:
        """Read until there is no more."""
        held = self.held
        while len(held) <= limit:
            data = self._take()
            if not data:
                break
            held += data
        else:
            raise _too_long(limit)
        body = bytes(held)
        held.clear()
        return body

    def _chunk_size(self) -> int:
        said = CHUNK.fullmatch(self._line())
        if said is None:
            raise UnreadableLength
        return int(said[1], 16)

    def _line(self) -> bytes:
        held, looked = self.held, 0
        while (end := held.find(b"\n", looked)) < 0:
            if len(held) > HEAD_MAX:
                raise UnreadableHeader
            looked = len(held)
            self._more()
        line = bytes(held[:end]).removesuffix(b"\r")
        del held[: end + 1]
        if b"\r" in line or b"\0" in line:
            raise UnreadableHeader
        return line

    def _more(self) -> None:
        data = self._take()
        if not data:
            if self.held:
                raise http.client.IncompleteRead(bytes(self.held))
            raise http.client.RemoteDisconnected("closed without a reply")
        self.held += data


def _too_long(limit: int) -> ReplyLost:
    return ReplyLost(f"the reply is longer than {limit} bytes")


def _parse(head: str) -> tuple[str, int, dict[str, str], bool]:
    """Return the minor version, the status, the headers, and whether a line is none."""
    head = head.replace("\r\n", "\n")
    if "\r" in head or "\0" in head:
        raise UnreadableHeader  # some take it for the end of a line
    first, *lines = head.split("\n")
    status = STATUS.fullmatch(first)
    if status is None:
        raise http.client.BadStatusLine("no status")
    if len(lines) >= LINES_MAX:
        raise UnreadableHeader
    headers: dict[str, str] = {}
    name, odd = "", False
    for line in lines:
        if name and line[0] in BLANK:
            headers[name] += " " + line.strip(BLANK)
            continue
        name, colon, value = line.partition(":")
        if not colon or not NAME.fullmatch(name):
            if odd or not _is_harmless(line):
                raise UnreadableHeader
            name, odd = "", True
            continue
        name, value = name.lower(), value.strip(BLANK)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return status[1], int(status[2]), headers, odd


def _is_harmless(line: str) -> bool:
    """Return whether a line that is no header can be passed over.

    Not one that another reader may take for where the body ends, for a part of the
    line before, or for a status.
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
    """Return the length that is given; what gives one that cannot be read may not be whole."""
    given = headers.get("content-length")
    if given is None:
        return None
    if LENGTH.fullmatch(given):
        return int(given)
    lengths = {length.strip(BLANK) for length in given.split(",")} - {""}
    if len(lengths) > 1 or not all(map(LENGTH.fullmatch, lengths)):
        raise UnreadableLength
    return int(lengths.pop()) if lengths else None
