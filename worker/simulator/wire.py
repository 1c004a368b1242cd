"""One HTTP exchange as data, and how a reply leaves the server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus

_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose bytes have all been read.

    Attributes:
        method: In upper case, as sent.
        path: Without the query, undecoded.
        query: Behind the `?`, undecoded: what is signed is what was sent.
        headers: Names in lower case.
        body: As sent.
        source: The peer's IP address.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply before it is written out."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Manner(Enum):
    """How a reply leaves."""

    WHOLE = auto()
    NEVER = auto()
    """The connection is closed with nothing sent."""
    LATE = auto()
    DRIPPED = auto()
    """Byte by byte with a pause between, head included."""
    HALF = auto()
    """The head, half of the body, then the connection is closed."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A reply, and what is done to it on the way.

    Attributes:
        pause_ms: Before a late reply, or between two dripped bytes.
        date: Value of the `Date` header, by the exchange's clock.
    """

    reply: Reply
    manner: Manner = Manner.WHOLE
    pause_ms: float = 0.0
    date: str = ""


def json_reply(status: int, document: object, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Make a JSON reply."""
    return Reply(status, json.dumps(document, separators=(",", ":")).encode(), headers=headers)


def html_reply(status: int) -> Reply:
    """Make the page of a proxy in front of an exchange that does not answer."""
    title = f"{status} {_REASONS.get(status, '')}".rstrip()
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n"
        f"<body><center><h1>{title}</h1></center></body>\r\n</html>\r\n"
    )
    return Reply(status, page.encode(), content_type="text/html")


def encode_head(reply: Reply, *, date: str, close: bool) -> bytes:
    """Write a reply's status line and headers, up to and with the empty line."""
    lines = [
        f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, '')}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {len(reply.body)}",
        f"Connection: {'close' if close else 'keep-alive'}",
    ]
    if date:
        lines.append(f"Date: {date}")
    lines.extend(f"{name}: {value}" for name, value in reply.headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
