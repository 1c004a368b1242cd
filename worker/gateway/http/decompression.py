"""Unpack a body that a server has compressed, within a bound."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

_WINDOWS: Final[Mapping[str, int]] = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}


def unpack(body: bytes, coding: str, *, limit: int) -> bytes:
    """Return a body as it was before it was compressed.

    One that cannot be unpacked in one way, whole, once and within the limit is
    returned as it came: no exchange's document describes what it then is.

    Args:
        body: As it came.
        coding: What the reply's `Content-Encoding` says.
        limit: Most bytes to return unpacked, whatever the ratio.
    """
    window = _WINDOWS.get(coding.strip().lower())
    if window is None:
        return body
    unpacking = zlib.decompressobj(window)
    try:
        plain = unpacking.decompress(body, limit + 1)
    except zlib.error:
        return body
    whole = unpacking.eof and not unpacking.unused_data
    return plain if whole and len(plain) <= limit else body
