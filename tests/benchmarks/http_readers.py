"""Compare our HTTP reader with kept ones: processor time, and which replies they read.

Run: `uv run --with httptools --with h11 python -m tests.benchmarks.http_readers`. The
decision record `ops/docs/adr/http-reader.md` holds the figures.
"""

from __future__ import annotations

import http.client
import io
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import h11
import httptools
import requests
from requests.adapters import HTTPAdapter

from tests.benchmarks.exchange import Exchange
from tests.support import http_replies
from worker.config.settings import Http
from worker.errors import ReplyLost
from worker.gateway.http.response import Receive, read_reply
from worker.gateway.http.transport import Transport
from worker.model.wire import Request

ROUNDS = 31
CALLS = 300
BODY = b'{"code":200,"msg":"Success","result":{"id":"1223181","status":"CANCELLED"}}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EDGE = b"".join(b"X-Header-%d: %b\r\n" % (number, b"v" * 20) for number in range(12))
REPLIES: Mapping[str, bytes] = {
    "2 headers": HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "14 headers": HEAD + EDGE + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
}
ERRORS: tuple[type[Exception], ...] = (
    http.client.HTTPException,
    ReplyLost,
    ValueError,
    h11.RemoteProtocolError,
    httptools.HttpParserError,
    httptools.HttpParserUpgrade,
)


Read = tuple[int, bytes]
"""Status and body."""


def ours(receive: Receive) -> Read:
    """Read with `worker.gateway.http.response`."""
    reply = read_reply(receive, body_max=1_000_000)
    return reply.status, reply.body


class _Message:
    """What llhttp reports of a reply."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body: list[bytes] = []
        self.whole = False
        self.status = 0
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self.status if self.whole else self.parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        if not self.whole:
            self.body.append(data)

    def on_message_complete(self) -> None:
        self.whole = self.whole or self.status >= 200


def by_httptools(receive: Receive) -> Read:
    """Read with llhttp."""
    message = _Message()
    while not message.whole:
        data = receive()
        if not data and not message.status:
            raise http.client.RemoteDisconnected("closed")
        if not data and not {b"content-length", b"transfer-encoding"} & message.headers.keys():
            break  # httptools has no call for the end of the stream
        if not data:
            raise http.client.IncompleteRead(b"")
        try:
            message.parser.feed_data(data)
        except httptools.HttpParserError:
            if not message.whole:
                raise
    return message.status, b"".join(message.body)


ASKED = h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")])


def by_h11(receive: Receive) -> Read:
    """Read with h11."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(ASKED)
    connection.send(h11.EndOfMessage())
    status, body = 0, []
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(receive())
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            return status, b"".join(body)
        elif not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
            raise http.client.HTTPException


class _Socket(io.RawIOBase):
    """A socket as http.client reads from it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = b""

    def makefile(self, *_: object) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._left or self._receive()
        size = min(len(data), len(buffer))
        buffer[:size], self._left = data[:size], data[size:]
        return size


def by_http_client(receive: Receive) -> Read:
    """Read with http.client, which urllib3 and requests use."""
    response = http.client.HTTPResponse(_Socket(receive))  # type: ignore[arg-type]  # uses makefile alone
    response.begin()
    return response.status, response.read()


READERS: Mapping[str, Callable[[Receive], Read]] = {
    "ours": ours,
    "httptools": by_httptools,
    "h11": by_h11,
    "http.client": by_http_client,
}


def main() -> None:
    """Measure and print."""
    for name, data in REPLIES.items():
        spent = interleaved(
            {
                reader: lambda read=read, data=data: read(iter((data,)).__next__)  # type: ignore[misc]
                for reader, read in READERS.items()
            }
        )
        show(f"read {name}", spent)
    with Exchange() as exchange:
        show("send", interleaved(senders(exchange.url)))
    for name, read in READERS.items():
        judge(name, read)


def judge(name: str, read: Callable[[Receive], Read]) -> None:
    """Print which replies a reader reads otherwise than ours."""
    refused, readable = http_replies.REFUSED, http_replies.READABLE
    accepts = [case for case, data in refused.items() if outcome(read, data)]
    loses = [case for case, (data, want) in readable.items() if outcome(read, data) != want[:2]]
    print(f"{name} accepts {len(accepts)} of {len(refused)} to refuse: {'; '.join(accepts)}")  # noqa: T201
    print(f"{name} loses {len(loses)} of {len(readable)} to read: {'; '.join(loses)}")  # noqa: T201


def outcome(read: Callable[[Receive], Read], data: bytes) -> Read | None:
    """Return what is read of a reply and the end of the stream; None if it is refused."""
    parts = iter((data,))
    with suppress(*ERRORS):
        return read(lambda: next(parts, b""))
    return None


def senders(url: str) -> dict[str, Callable[[], object]]:
    """Return our transport and a whole request by requests and urllib3."""
    headers = {"X-Signature": "x" * 44, "X-Api-Key": "k" * 32}
    request = Request("POST", f"{url}/order/cancel", headers, b"id=1223181")
    transport, adapter = Transport(Http()), HTTPAdapter(pool_maxsize=1)
    prepared = requests.Request("POST", request.url, headers, data=request.body).prepare()
    return {
        "ours": lambda: transport.send(request, egress_ip=None, deadline_ms=5_000),
        "requests and urllib3": lambda: adapter.send(prepared, timeout=5).content,
    }


def interleaved(calls: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return, by name, the microseconds of processor a call of each round but the first."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 1):
        for name, call in calls.items():
            began_s = time.thread_time()
            for _ in range(CALLS):
                call()
            if number:
                spent[name].append((time.thread_time() - began_s) / CALLS * 1e6)
    return spent


def show(title: str, spent: Mapping[str, list[float]]) -> None:
    """Print the median of each, and of its differences from ours in the same round."""
    for name, values in spent.items():
        more = statistics.median(a - b for a, b in zip(values, spent["ours"], strict=True))
        print(f"{title:16}{name:22}{statistics.median(values):7.1f} us {more:+7.1f} us")  # noqa: T201


if __name__ == "__main__":
    main()
