"""One HTTP exchange as data: what is sent, what came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """A signed request, byte for byte as it goes out.

    The url may hold a signature's input and the headers hold keys, so neither
    is shown.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: Unpacked, if the server compressed it unasked and that was within bounds.
        received_ms: Local Unix time in ms at which the reply was whole.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_ms: int
