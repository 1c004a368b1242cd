"""A fast loopback exchange: Everstrike's cancel, and when each order first arrived.

Run: `python -m tests.benchmarks.exchange_server PORT`; see `exchange.Exchange`.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import sys
import time
from typing import Final, cast
from urllib.parse import parse_qsl

from tests.benchmarks.signing import SECRET

HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length:"
SIGNATURE: Final = b"x-signature:"


class Book:
    """What has arrived; `delay_s` is how long each answer takes."""

    def __init__(self) -> None:
        self.arrivals: dict[str, list[int]] = {}
        """Order id → monotonic ns of its first arrival, how often it came, how
        often its answer could be given."""
        self.delay_s = 0.0

    def cancel(self, head: bytes, body: bytes) -> tuple[list[str], bytes]:
        """Note the orders; return them and Everstrike's proof that they are canceled."""
        at_ns = time.monotonic_ns()
        digest = hmac.digest(SECRET.encode(), body, "sha256")
        if base64.b64encode(digest) != header(head, SIGNATURE):
            return [], response(b'{"code":401,"message":"signature"}', b"401 Unauthorized")
        if body.startswith(b"ids"):
            ids = [value for _, value in parse_qsl(body.decode())]
            rows = ",".join(self._note(each, at_ns) for each in ids)
            return ids, response(f'{{"code":200,"result":[{rows}]}}'.encode())
        order_id = body[3:].decode()
        row = self._note(order_id, at_ns)
        return [order_id], response(f'{{"code":200,"result":{row}}}'.encode())

    def answered(self, ids: list[str]) -> None:
        """Note that an answer was given."""
        for order_id in ids:
            if order_id in self.arrivals:  # else forgotten by now
                self.arrivals[order_id][2] += 1

    def control(self, path: bytes) -> bytes:
        """Answer the benchmark's own questions."""
        match path.split(b"/")[1:]:
            case [b"count"]:
                return response(str(len(self.arrivals)).encode())
            case [b"answered"]:
                return response(str(sum(row[2] > 0 for row in self.arrivals.values())).encode())
            case [b"arrivals"]:
                return response(json.dumps(self.arrivals).encode())
            case [b"forget"]:
                self.arrivals = {}
            case [b"delay", ms]:
                self.delay_s = int(ms) / 1_000
            case _:
                return response(b"{}", b"404 Not Found")
        return response(b"{}")

    def _note(self, order_id: str, at_ns: int) -> str:
        seen = self.arrivals.get(order_id)
        if seen is None:
            self.arrivals[order_id] = [at_ns, 1, 0]
        else:
            seen[1] += 1
        return f'{{"id":"{order_id}","status":"CANCELLED"}}'


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are answered in order."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._held = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._held += data
        while (end := self._held.find(HEAD_END)) >= 0:
            head = self._held[:end]
            body_at = end + len(HEAD_END)
            whole = body_at + int(header(head, LENGTH) or 0)
            if len(self._held) < whole:
                return
            body, self._held = self._held[body_at:whole], self._held[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        _, path, _ = head.split(b" ", 2)
        if not path.startswith(b"/auth/cancel"):
            self._transport.write(self._book.control(path))
            return
        ids, answer = self._book.cancel(head, body)
        if self._book.delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self._book.delay_s, self._give, ids, answer)
        else:
            self._give(ids, answer)

    def _give(self, ids: list[str], answer: bytes) -> None:
        """Answer, unless who asked is gone."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(answer)
            self._book.answered(ids)


def header(head: bytes, name: bytes) -> bytes:
    """Return a header's value; `name` is lower-case and ends with its colon."""
    for line in head.split(b"\r\n"):
        if len(line) > len(name) and line[: len(name)].lower() == name:
            return line[len(name) :].strip()
    return b""


def response(body: bytes, status: bytes = b"200 OK") -> bytes:
    """Return the bytes of a reply."""
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    book = Book()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(book), "127.0.0.1", port, backlog=1_024
    )
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(int(sys.argv[1])))
    else:
        uvloop.run(serve(int(sys.argv[1])))
