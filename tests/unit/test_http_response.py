"""Reading a reply: the same however its bytes come, and never in two ways."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import ReplyLost
from worker.gateway.http.response import HEAD_MAX, Received, receive

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT = 100


def read(data: bytes, *, pieces: int = 0, limit: int = LIMIT, bodiless: bool = False) -> Received:
    """Read what comes in so large pieces, or at once, and then ends."""
    size = pieces or max(1, len(data))
    parts = iter([data[at : at + size] for at in range(0, len(data), size)])
    return receive(lambda: next(parts, b""), limit=limit, bodiless=bodiless)


READ: dict[str, tuple[bytes, tuple[int, bytes, bool]]] = {
    "a length": (OK + b"Content-Length: 2\r\n\r\n{}", (200, b"{}", True)),
    "the same length twice": (OK + b"Content-Length: 2\r\n" * 2 + b"\r\n{}", (200, b"{}", True)),
    "a length of 0": (OK + b"Content-Length: 0\r\n\r\n", (200, b"", True)),
    "no length": (OK + b"\r\n{}", (200, b"{}", False)),
    "more than its length": (OK + b"Content-Length: 2\r\n\r\n{}{}", (200, b"{}", False)),
    "newlines alone": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", (200, b"{}", True)),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}", True)),
    "no headers": (b"HTTP/1.1 204 X\r\n\r\n", (204, b"", True)),
    "no body, whatever length": (OK[:9] + b"304 X\r\nContent-Length: 9\r\n\r\n", (304, b"", True)),
    "an old version": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}", False)),
    "closed": (OK + b"Connection: Close\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}", False)),
    "one that nobody asked for": (
        b"HTTP/1.1 408 X\r\nContent-Length: 2\r\n\r\n{}",
        (408, b"{}", False),
    ),
    "chunks": (CHUNKED + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", (200, b"{}", True)),
    "chunks and trailers": (
        CHUNKED + b"A\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
        (200, b"0123456789", True),
    ),
    "chunks and more": (CHUNKED + b"1\r\n{\r\n0\r\n\r\nHTTP", (200, b"{", False)),
    "chunks before a length": (
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n",
        (200, b"{", False),
    ),
    "interim replies": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nA: b\r\n\r\n"
        + OK
        + b"Content-Length: 1\r\n\r\n!",
        (200, b"!", True),
    ),
    "one line that is no header": (OK + b"x\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}", False)),
    "a space in a header's name": (
        OK + b"Content-Length: 2\r\nX Cache: hit\r\n\r\n{}",
        (200, b"{}", False),
    ),
    "a header of no name": (OK + b": x\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}", False)),
    "a name in bytes above ASCII": (
        OK + b"X-\xff: x\r\nContent-Length: 2\r\n\r\n{}",
        (200, b"{}", False),
    ),
    "names in any case": (OK + b"cOnTeNt-LeNgTh: 2\r\n\r\n{}", (200, b"{}", True)),
    "a body like a head": (OK + b"Content-Length: 4\r\n\r\n\r\n\r\n", (200, b"\r\n\r\n", True)),
}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("pieces", [0, 1, 2, 7])
def test_what_can_be_read(name: str, pieces: int) -> None:
    """It is the same in one piece and byte by byte; what follows it spoils the connection."""
    data, (status, body, keeps) = READ[name]
    got = read(data, pieces=pieces)
    assert (got.status, got.body) == (status, body)
    if keeps:
        assert got.keeps
    elif not pieces:
        assert not got.keeps


UNREAD: dict[str, bytes] = {
    "nothing": b"",
    "cut in the status": OK[:-3],
    "cut in the head": OK + b"Content-Le",
    "cut in the body": OK + b"Content-Length: 3\r\n\r\n{}",
    "cut in a chunk": CHUNKED + b"3\r\n{}",
    "cut before the last chunk": CHUNKED + b"2\r\n{}\r\n",
    "cut in the trailers": CHUNKED + b"2\r\n{}\r\n0\r\nX: y\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "another version": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a status below 100": b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\n{}",
    "switching": b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "two lengths in one": OK + b"Content-Length: 2, 3\r\n\r\n{} ",
    "a folded length": OK + b"Content-Length: 2\r\n 3\r\n\r\n" + b"x" * 23,
    "a length with a sign": OK + b"Content-Length: +2\r\n\r\n{}",
    "a chunk with a sign": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "a chunk in another base": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than told": CHUNKED + b"2\r\n{}x\r\n0\r\n\r\n",
    "a coding not known": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding and a form feed": OK + b"Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n",
    "a length and a next line": OK + b"Content-Length: 2\x85\r\n\r\n{}",
    "a return within a line": OK + b"X: y\rContent-Length: 3\r\nContent-Length: 2\r\n\r\n{} ",
    "a NUL within a line": OK + b"X: \0\r\nContent-Length: 2\r\n\r\n{}",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "a space in a name": OK + b"Content-Length : 2\r\n\r\n{}",
    "a fold of no header": OK + b" Content-Length: 2\r\n\r\n{}",
    "two lines that are no headers": OK + b"x\r\ny\r\nContent-Length: 2\r\n\r\n{}",
    "a length with no colon": OK + b"Content-Length=2\r\n\r\n{}",
    "a length in two words": OK + b"Content Length: 2\r\n\r\n{}",
    "a coding with a quote": OK + b'"Transfer-Encoding": chunked\r\nContent-Length: 2\r\n\r\n{}',
    "a packing with no name": OK + b":Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "a second status": OK + b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n{}",
    "a fold of what is no header": OK + b"x\r\n y\r\nContent-Length: 2\r\n\r\n{}",
    "100 headers": OK + b"X: y\r\n" * 100 + b"\r\n",
    "a head without end": OK + b"X: " + b"y" * (2 * HEAD_MAX),
    "a chunk size without end": CHUNKED + b"0" * (2 * HEAD_MAX),
    "a return within a chunk's line": CHUNKED + b"1;a\rb\r\n{\r\n0\r\n\r\n",
    "a body of very many chunks": CHUNKED + b"1\r\nx\r\n" * 10_001 + b"0\r\n\r\n",
    "interim replies without end": b"HTTP/1.1 102 X\r\n\r\n" * 60 + OK + b"\r\n",
    "trailers without end": CHUNKED + b"0\r\n" + b"X: y\r\n" * 200,
}


@pytest.mark.parametrize("name", UNREAD)
@pytest.mark.parametrize("pieces", [0, 1])
def test_what_cannot_be_read_is_no_reply(name: str, pieces: int) -> None:
    """What is cut short, or may mean two things, raises what the transport takes for a loss."""
    with pytest.raises(http.client.HTTPException):
        read(UNREAD[name], pieces=pieces, limit=50_000)


@pytest.mark.parametrize("pieces", [0, 1])
@pytest.mark.parametrize(
    "head_and_body",
    [
        OK + b"Content-Length: 101\r\n\r\n" + b"x" * 101,
        OK + b"\r\n" + b"x" * 101,
        CHUNKED + b"64\r\n" + b"x" * 100 + b"\r\n1\r\nx\r\n0\r\n\r\n",
    ],
)
def test_too_long_a_body_is_lost(head_and_body: bytes, pieces: int) -> None:
    """One byte over the limit is too much, however its length is told."""
    with pytest.raises(ReplyLost, match="longer than 100 bytes"):
        read(head_and_body, pieces=pieces)
    assert len(read(head_and_body, limit=101).body) == 101


def test_nothing_is_taken_beyond_the_end() -> None:
    """A reply that is whole is returned at once: to ask for more would wait for nothing."""

    def parts() -> Iterator[bytes]:
        yield OK + b"Content-Length: 2\r\n"
        yield b"\r\n{}"
        raise AssertionError("asked for more")

    more = parts()
    assert receive(lambda: next(more), limit=LIMIT).body == b"{}"


def test_a_head_asked_for_alone_has_no_body() -> None:
    """What was asked with HEAD has none, whatever it says."""
    got = read(OK + b"Content-Length: 9\r\n\r\n", bodiless=True)
    assert (got.body, got.keeps) == (b"", True)


def test_headers_by_lower_case_names() -> None:
    """Of several of a name, and of folded ones, all that they say."""
    got = read(OK + b"X-A: b\r\nx-a:  c \r\nX-B: d\r\n\te\r\nContent-Length: 0\r\n\r\n")
    assert got.headers == {"x-a": "b, c", "x-b": "d e", "content-length": "0"}


def test_a_line_that_is_no_header_changes_no_other() -> None:
    """It is passed over, and is no part of the header before it."""
    got = read(OK + b"X-A: b\r\nx y z\r\nX-B: c\r\nContent-Length: 0\r\n\r\n")
    assert got.headers == {"x-a": "b", "x-b": "c", "content-length": "0"}


@given(st.binary(max_size=200), st.integers(1, 60))
def test_any_bytes_are_a_reply_or_an_error(data: bytes, pieces: int) -> None:
    """Nothing else is raised, and how the bytes come changes nothing."""
    data = OK + data

    def outcome(size: int) -> tuple[object, ...]:
        try:
            got = read(data, pieces=size)
        except (http.client.HTTPException, ReplyLost):
            return ()
        return got.status, got.headers, got.body

    assert outcome(pieces) == outcome(0)
