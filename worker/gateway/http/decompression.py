"""Decompress the body of a reply, within a bound."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

_WINDOWS: Final[Mapping[str, int]] = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}


def decompress(body: bytes, coding: str, *, limit: int) -> bytes:
    """Return the decompressed body.

    The body is returned unchanged if its coding is unknown or applied twice, if it is
    incomplete, if bytes follow it, or if the result is above the limit. No document of
    an exchange describes such a body.

    Args:
        body: As received.
        coding: The reply's `Content-Encoding`.
        limit: Most bytes of the result, whatever the ratio.
    """
    window = _WINDOWS.get(coding.strip().lower())
    if window is None:
        return body
    decompressor = zlib.decompressobj(window)
    try:
        plain = decompressor.decompress(body, limit + 1)
    except zlib.error:
        return body
    complete = decompressor.eof and not decompressor.unused_data
    return plain if complete and len(plain) <= limit else body
