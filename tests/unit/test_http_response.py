"""Reading a reply: the same however its bytes come, and never in two ways."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.http_replies import CHUNKED, OK, READABLE, REFUSED
from worker.errors import ReplyLost
from worker.gateway.http.response import RawReply, read_reply

LIMIT = 100


def read(data: bytes, *, pieces: int = 0, limit: int = LIMIT, bodiless: bool = False) -> RawReply:
    """Read what comes in so large pieces, or at once, and then ends."""
    size = pieces or max(1, len(data))
    parts = iter([data[at : at + size] for at in range(0, len(data), size)])
    return read_reply(lambda: next(parts, b""), body_max=limit, bodiless=bodiless)


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("pieces", [0, 1, 2, 7])
def test_what_can_be_read(name: str, pieces: int) -> None:
    """It is the same in one piece and byte by byte; what follows it spoils the connection."""
    data, (status, body, keeps) = READABLE[name]
    got = read(data, pieces=pieces)
    assert (got.status, got.body) == (status, body)
    if keeps:
        assert got.reusable
    elif not pieces:
        assert not got.reusable


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("pieces", [0, 1])
def test_what_cannot_be_read_is_no_reply(name: str, pieces: int) -> None:
    """What is cut short, or may mean two things, raises what the transport takes for a loss."""
    with pytest.raises(http.client.HTTPException):
        read(REFUSED[name], pieces=pieces, limit=50_000)


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
    """One byte over the limit is too much, however its length is given."""
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
    assert read_reply(lambda: next(more), body_max=LIMIT).body == b"{}"


def test_a_head_asked_for_alone_has_no_body() -> None:
    """What was asked with HEAD has none, whatever it says."""
    got = read(OK + b"Content-Length: 9\r\n\r\n", bodiless=True)
    assert (got.body, got.reusable) == (b"", True)


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
