"""Any bytes on a connection: one reply or none, whatever pieces they come in.

The first byte chooses how large those are.
"""

from __future__ import annotations

import http.client
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.fuzz.target import Target
from worker.errors import ReplyLost
from worker.gateway.http.response import BODILESS, RawReply, read_reply

LIMIT = 300
HEAD_END = re.compile(rb"\r?\n\r?\n")
LINE_END = re.compile(rb"\r?\n")
HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:")
INTERIM = re.compile(rb"HTTP/1\.[0-9][ \t]+1")
"""http.client passes over few of them."""
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CORPUS = (
    OK + b"Content-Length: 2\r\n\r\n{}",
    OK + b"Content-Length: 2\r\nContent-Length: 2\r\nX-A: b\r\n c\r\n\r\n{}",
    OK + CHUNKED + b"\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nX: y\r\n\r\n",
    OK + CHUNKED + b"\r\n12C\r\n" + b"x" * 300 + b"\r\n0\r\n\r\n",
    OK + b"Connection: close\r\n\r\n{}",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.0 503 \r\nRetry-After: 9\r\n\r\n<html>",
    b"HTTP/1.1 204 X\nDate: Mon, 01 Jan 2024 00:00:00 GMT\n\n",
    b"HTTP/1.1 304\r\nContent-Length: 5\r\n\r\n" + OK,
    OK + b"X Cache: hit\r\nContent-Length: 2\r\n\r\n{}",
    OK + b"Content-Length: 2\r\nno header\r\nX-A: b\r\n\r\n{}",
    OK + CHUNKED + b": x\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
)
WORDS = (
    *(
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"0\r\n\r\n",
        b"\0",
        b"\xff",
    ),
    *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/1.", b"100", b"101", b"204", b"304", b"999", b" OK"),
    *(b"Content-Length: ", b"content-length:", CHUNKED, b"chunked", b"Connection: close\r\n"),
    *(b"+2", b"-2", b"0x2", b"2_0", b"2, 2", b"2,3", b"ffffffffffffffff", b"9" * 30, OK),
    *(b"no header\r\n", b"X A: b\r\n", b"Content Length: 2\r\n", b"Content-Encoding: gzip\r\n"),
)


class _Closed(io.BytesIO):
    """Bytes as http.client takes a socket."""

    def makefile(self, *_: object) -> io.BytesIO:
        return self


def check(data: bytes) -> None:
    """Read the bytes at once and in pieces, and compare with a reader of another make."""
    size, data = 1 + (data[:1] or b"\0")[0] % 64, data[1:]
    whole = outcome(data, len(data) or 1)
    if outcome(data, size) != whole:
        raise AssertionError(f"read otherwise in pieces of {size}")
    if whole is None:
        return
    if len(whole.body) > LIMIT:
        raise AssertionError("a body above the limit")
    if whole.reusable and outcome(data + b"HTTP", len(data) + 4) != _not_reusable(whole):
        raise AssertionError("what follows changes the reply, or goes unseen")
    rest = without_odd_lines(data)
    if rest != data and not same_apart_from_keeping(outcome(rest, len(rest) or 1), whole):
        raise AssertionError("a line that is no header changes the reply")
    other = lenient(data)
    if other is not None and other != (whole.status, whole.body):
        raise AssertionError(f"http.client reads {other}")


def outcome(data: bytes, size: int) -> RawReply | None:
    """Return what is read; None if it is no reply."""
    parts = iter([data[at : at + size] for at in range(0, len(data), size)])
    got = None
    with suppress(http.client.HTTPException, ReplyLost):
        got = read_reply(lambda: next(parts, b""), body_max=LIMIT)
    if got is not None and next(parts, b""):
        # In pieces, what follows a reply has not been seen, and shows on the connection.
        got = _not_reusable(got)
    return got


def _not_reusable(got: RawReply) -> RawReply:
    return RawReply(got.status, got.headers, got.body, reusable=False)


def without_odd_lines(data: bytes) -> bytes:
    """Return a reply without the lines of its first head that are no headers."""
    end = HEAD_END.search(data)
    if end is None:
        return data
    first, *lines = LINE_END.split(data[: end.start()])
    kept = [line for line in lines if line[:1] in (b" ", b"\t") or HEADER.match(line)]
    return data if len(kept) == len(lines) else b"\r\n".join([first, *kept]) + data[end.start() :]


def same_apart_from_keeping(one: RawReply | None, other: RawReply) -> bool:
    """Return whether two replies are the same except for the connection's state."""
    return one is not None and _not_reusable(one) == _not_reusable(other)


def lenient(data: bytes) -> tuple[int, bytes] | None:
    """Return what http.client reads, where it can be compared."""
    response = http.client.HTTPResponse(_Closed(data))  # type: ignore[arg-type]  # all it reads
    try:
        response.begin()
        length = response.headers.get_all("content-length") or []
        alike = response.status not in BODILESS and not INTERIM.match(data)
        coded = "transfer-encoding" in response.headers and not response.chunked
        # http.client takes what follows a line that is no header for a part of the body.
        alike = alike and not response.headers.defects
        if not alike or coded or len(length) > 1 or not all(map(str.isdigit, length)):
            return None
        return response.status, response.read()
    except (http.client.HTTPException, ValueError):
        return None


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target."""
    corpus = [bytes([size]) + data for data in CORPUS for size in (0, 6)]
    yield Target(check, corpus, WORDS, 1)
