"""Replies of HTTP servers: those that mean one thing, and those that are refused."""

from __future__ import annotations

from collections.abc import Mapping

from worker.gateway.http.response import HEAD_MAX

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
READABLE: Mapping[str, tuple[bytes, tuple[int, bytes, bool]]] = {
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
"""Name → bytes, and the status, the body and whether the connection may be used again."""

REFUSED: Mapping[str, bytes] = {
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
"""Incomplete, malformed or ambiguous."""
