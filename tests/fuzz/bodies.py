"""Any bytes as a body that a server has compressed: unpacked whole and within bounds, or left.

The first byte chooses the coding.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fuzz.target import Target
from worker.exchanges.replies import read_json
from worker.gateway.http.decompression import decompress

LIMIT = 2_000
CODINGS = ("gzip", "deflate", "identity", "br", "gzip, gzip", " X-GZIP ", "")
PLAIN = (b"", b"{}", b'{"code": 200, "result": {"id": "1"}}', b"0" * LIMIT, b"0" * (LIMIT + 1))
BOMB = gzip.compress(b"0" * 1_000_000, mtime=0)
WORDS = (b"\x1f\x8b\x08", b"\x78\x9c", b"\x00\x00\xff\xff", b"\xef\xbb\xbf", b"{}", b"\x03\x00")


def check(data: bytes) -> None:
    """Unpack the bytes, and compare with what unpacks without a bound."""
    number, body = (data[:1] or b"\0")[0] % len(CODINGS), data[1:]
    coding = CODINGS[number]
    plain = decompress(body, coding, limit=LIMIT)
    read_json(plain)
    if plain is body:
        return
    assert len(plain) <= LIMIT
    assert "," not in coding
    kind = coding.strip().lower()
    assert kind in ("gzip", "x-gzip", "deflate")
    whole = zlib.decompress(body) if kind == "deflate" else gzip.decompress(body)
    assert plain == whole


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target."""
    packed = [gzip.compress(plain, mtime=0) for plain in PLAIN] + [
        zlib.compress(plain) for plain in PLAIN
    ]
    packed += [BOMB, packed[1] + packed[1], packed[1] + b"x", packed[2][:-1], *PLAIN]
    corpus = [bytes([coding]) + body for body in packed for coding in (0, 1)]
    yield Target(check, corpus, WORDS, 1)
