"""Servers that mean harm: bounded in time and memory, never believed, never followed."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Callable

import pytest

from tests.support.raw_server import Act, Peer, Server, reply
from worker.config.settings import Http
from worker.errors import ReplyLost
from worker.exchanges import EXCHANGES
from worker.gateway.http.transport import Transport
from worker.model.commands import CancelOrder
from worker.model.outcomes import Closed, Outcome, Unproven
from worker.model.wire import Reply, Request

DEADLINE_MS = 5_000
GIGABYTE = 1 << 30
GROWTH_MAX_KB = 24_000
"""By how much a process may grow that meets all of them: the bound on a reply is 1 MB."""
SECRET = "Zk9-planted-secret-0123456789"
CANCEL = CancelOrder("1223181", pair="btc_idr", side="buy")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PROOF = b"{}"
"""What one of the exchanges says when it has canceled."""


def bomb(packed: bytes, encoding: str) -> bytes:
    """Return a reply that says how to unpack it."""
    return reply(packed, headers=f"Content-Encoding: {encoding}\r\n")


ZEROS = gzip.compress(b"0" * 50_000_000, 9)
RAW: dict[str, bytes] = {
    "gzip bomb": bomb(ZEROS, "gzip"),
    "gzip in gzip": bomb(gzip.compress(ZEROS), "gzip, gzip"),
    "deflate bomb": bomb(zlib.compress(b"0" * 50_000_000, 9), "deflate"),
    "brotli": bomb(b"\x5b\xff\xff\x1f\x00" * 99, "br"),
    "zstd": bomb(b"\x28\xb5\x2f\xfd" * 99, "zstd"),
    "gzip cut short": bomb(ZEROS[:100], "gzip"),
    "packed proof, packed again": bomb(gzip.compress(gzip.compress(PROOF)), "gzip, gzip"),
    "packed proof, unannounced": reply(gzip.compress(PROOF)),
    "packed proof, then more": bomb(gzip.compress(PROOF) + PROOF, "gzip"),
    "packed proof, cut short": bomb(gzip.compress(PROOF)[:-1], "gzip"),
    "a picture": reply(b"\x89PNG\r\n\x1a\n" * 99, headers="Content-Type: image/png\r\n"),
    "a page": reply(b"<html>ok</html>", headers="Content-Type: application/json\r\n"),
    "UTF-16": reply('{"success": 1}'.encode("utf-16")),
    "proof, then more": reply(PROOF + b"{}"),
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n" + PROOF + b"x" * 38,
    "length of words": OK + b"Content-Length: two\r\n\r\n{}",
    "length below zero": OK + b"Content-Length: -2\r\n\r\n{}",
    "length without end": OK + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n{}",
    "no HTTP": b'{"success": 1, "return": {"order_id": 1223181}}\r\n\r\n',
    "HTTP/0.9": b"<html>hello</html>",
    "HTTP/9.9": b"HTTP/9.9 200 OK\r\nContent-Length: 9\r\n\r\n<html></h",
    "status 0": b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\n{}",
    "status 1000": b"HTTP/1.1 1000 OK\r\nContent-Length: 2\r\n\r\n{}",
    "status below zero": b"HTTP/1.1 -200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "header of no name": OK + b": x\r\n\r\n{",
    "header with a NUL": OK + b"X: \x00\r\nContent-Length: 1\r\n\r\n{",
    "99 headers": OK + b"X-A: b\r\n" * 99 + b"\r\n[",
    "100,000 headers": OK + b"X-A: b\r\n" * 100_000 + b"\r\n{}",
    "header of 10 MB": OK + b"X-A: " + b"b" * 10_000_000 + b"\r\n\r\n{}",
    "chunk size of 10 MB": CHUNKED + b"0" * 10_000_000 + b"2\r\n{}\r\n0\r\n\r\n",
    "chunk of words": CHUNKED + b"two\r\n{}\r\n0\r\n\r\n",
    "chunk below zero": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "200 interim replies": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 200,
    "interim with 1,000 headers": b"HTTP/1.1 103 X\r\n" + b"X-A: b\r\n" * 1_000 + b"\r\n",
    "headers that are none": OK + b"X-A\r\nX-B\r\nContent-Length: 2\r\n\r\n{}",
    "length with a space in its name": OK + b"Content Length: 2\r\n\r\n{}",
    "a second status": OK + b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}",
    "fold of no header": OK + b" Content-Length: 2\r\n\r\n{}",
    "endless folds": OK + b"X-A: b\r\n" + b" c\r\n" * 1_000 + b"\r\n",
    "coding that is not known": OK + b"Transfer-Encoding: zip\r\nContent-Length: 2\r\n\r\n{}",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "date of the year 0": reply(b"[]", headers="Date: Mon, 00 Jan 0000 99:99:99 GMT\r\n"),
}


def _sends(data: bytes) -> Act:
    def act(peer: Peer) -> None:
        peer.request()
        peer.send(data)

    return act


def _floods(head: bytes, data: bytes) -> Act:
    def act(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        peer.flood(data)

    return act


BLOCK = b"x" * 65_536
FLOODS: dict[str, Act] = {
    "a gigabyte": _floods(OK + b"Content-Length: %d\r\n\r\n" % GIGABYTE, BLOCK),
    "endless body": _floods(OK + b"\r\n", BLOCK),
    "endless chunks": _floods(CHUNKED, b"10000\r\n" + BLOCK + b"\r\n"),
    "endless headers": _floods(OK, b"X-A: b\r\n" * 5_000),
    "endless header": _floods(OK + b"X-A: ", BLOCK),
    "endless status": _floods(b"HTTP/1.1 200 ", BLOCK),
    "endless chunk size": _floods(CHUNKED, BLOCK),
    "endless gzip": _floods(OK + b"Content-Encoding: gzip\r\n\r\n", BLOCK),
    "endless interim replies": _floods(b"", b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" * 999),
}
HOSTILE: dict[str, Act] = {name: _sends(data) for name, data in RAW.items()} | FLOODS


def call(transport: Transport, url: str, deadline_ms: int = DEADLINE_MS) -> Reply:
    """Send a cancel with a secret in it."""
    request = Request("POST", url, {"X-Key": SECRET}, f"secret={SECRET}".encode())
    return transport.send(request, egress_ip=None, deadline_ms=deadline_ms)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_hostile_server_says_proves_nothing(name: str) -> None:
    """Whatever it sends, the reply is lost or, to every adapter, no proof; nothing is raised."""
    with Server(HOSTILE[name]) as server:
        try:
            got = call(Transport(Http()), server.url, 400 if name in FLOODS else DEADLINE_MS)
        except ReplyLost:
            return
    for exchange in EXCHANGES.values():
        answer = exchange.classify(CANCEL, got)
        assert isinstance(answer, Unproven), exchange.name
        assert answer.outcome is Outcome.UNKNOWN, exchange.name
        assert answer.detail.isprintable()


ODD: dict[str, bytes] = {
    "byte order mark": reply(b"\xef\xbb\xbf" + PROOF),
    "gzip": bomb(gzip.compress(PROOF), "gzip"),
    "deflate": bomb(zlib.compress(PROOF), "deflate"),
    "gzip and a byte order mark": bomb(gzip.compress(b"\xef\xbb\xbf" + PROOF), "gzip"),
    "said to be gzip": bomb(PROOF, "gzip"),
    "header that is none": OK + b"X-A\r\nContent-Length: 2\r\n\r\n{}",
    "header with a space in its name": OK + b"X A: b\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
    "chunk extension": CHUNKED + b"2;name=value\r\n{}\r\n0\r\n\r\n",
    "interim reply": b"HTTP/1.1 103 X\r\nLink: </x>\r\n\r\n" + reply(PROOF),
}


@pytest.mark.parametrize("name", ODD)
def test_what_cannot_mislead_is_read(name: str) -> None:
    """A reply that is slightly off its document, and means one thing alone, is the proof it is."""
    with Server(_sends(ODD[name])) as server:
        got = call(Transport(Http()), server.url)
    assert EXCHANGES["bitmart"].classify(CANCEL, got) == Closed(Outcome.CANCELED)


MEET = """
import json, resource, sys
from worker.errors import ReplyLost
from worker.config.settings import Http
from worker.gateway.http.transport import Transport
from worker.model.wire import Request
def size(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
transport = Transport(Http())
urls = json.loads(sys.argv[1])
found = []
for url in [urls[0], *urls]:  # the first call loads what it needs
    try:
        transport.send(Request("POST", url), egress_ip=None, deadline_ms=300)
    except ReplyLost:
        pass
    found.append(size())
print(json.dumps(found))
"""


def test_all_of_them_together_cost_little_memory() -> None:
    """A process that meets every one, a gigabyte among them, hardly grows."""
    servers = [Server(act) for act in HOSTILE.values()]
    try:
        for server in servers:
            server.__enter__()
        urls = json.dumps([server.url for server in servers])
        done = subprocess.run(
            [sys.executable, "-c", MEET, urls], capture_output=True, text=True, check=True
        )
    finally:
        for server in servers:
            server.__exit__(None, None, None)
    sizes_kb: list[int] = json.loads(done.stdout)
    grown = dict(zip(HOSTILE, (size - sizes_kb[0] for size in sizes_kb[1:]), strict=True))
    assert max(grown.values()) < GROWTH_MAX_KB, grown


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
@pytest.mark.parametrize("where", ["{}", "//{host}", "http://user:pass@{host}/", "\\\\{host}"])
def test_no_other_host_ever_receives_it(status: int, where: str) -> None:
    """A redirect to another host, in any form, is not followed: that host sees no connection."""
    with Server(_sends(reply(PROOF))) as other:
        host = f"127.0.0.1:{other.port}"
        location = other.url if where == "{}" else where.format(host=host)
        extra = f"Location: {location}\r\nRefresh: 0; url={other.url}\r\nAlt-Svc: h2={host}\r\n"
        moved = reply(PROOF, status=f"{status} Moved", headers=extra)
        with Server(_sends(moved)) as server:
            got = call(Transport(Http()), server.url)
        assert other.connections == 0
    for exchange in EXCHANGES.values():
        answer = exchange.classify(CANCEL, got)
        assert isinstance(answer, Unproven)
        assert answer.outcome is Outcome.UNKNOWN


def followed_by(more: bytes) -> Callable[[Peer], None]:
    """Answer the first request with too much, and each later one as it should be."""

    def act(peer: Peer) -> None:
        peer.request()
        peer.send(reply(b"first") + (more if peer.number == 1 else b""))
        while True:
            peer.request()
            peer.send(reply(b"asked for"))

    return act


@pytest.mark.parametrize("size", [1, 20_000, 200_000])
def test_what_follows_a_reply_is_nobodys_reply(size: int) -> None:
    """More than was announced is never taken for the answer to the next request."""
    transport = Transport(Http())
    with Server(followed_by(reply(b"unasked" * size))) as server:
        assert call(transport, server.url).body == b"first"
        assert call(transport, server.url).body in (b"asked for", b"first")
