"""HTTP clients of the synchronous systems, leanest last."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import requests

from tests.benchmarks.signing import PATH, signed

Post = Callable[[str], None]
Made = TypeVar("Made")
EXCHANGE = "BENCH_EXCHANGE"
CLIENT = "BENCH_CLIENT"
TIMEOUT_S = 10.0


class Refused(Exception):
    """The exchange did not prove the cancel."""


def choose(**clients: Callable[[str], Made]) -> Made:
    """Return the client that the environment names, of these."""
    name = os.environ.get(CLIENT, "session")
    if name not in clients:
        raise ValueError(f"{CLIENT}={name}: one of {', '.join(clients)}")
    return clients[name](os.environ[EXCHANGE])


def chosen() -> Post:
    """Return the client that the environment names."""
    return choose(plain=plain, session=session, lean=lean)


def plain(url: str) -> Post:
    """Return `requests.post`, as a newcomer writes it: a connection a call."""

    def post(order_id: str) -> None:
        headers, body = signed(order_id)
        prove(order_id, requests.post(url + PATH, body, headers=headers, timeout=TIMEOUT_S).text)

    return post


def session(url: str) -> Post:
    """Return a `requests.Session` a thread that does not read the environment's proxies."""
    local = threading.local()

    def post(order_id: str) -> None:
        held: requests.Session | None = getattr(local, "session", None)
        if held is None:
            held = local.session = requests.Session()
            held.trust_env = False
        headers, body = signed(order_id)
        prove(order_id, held.post(url + PATH, body, headers=headers, timeout=TIMEOUT_S).text)

    return post


def lean(url: str) -> Post:
    """Return a raw keep-alive socket a thread that reads what this exchange answers."""
    local = threading.local()
    where = urlsplit(url)

    def post(order_id: str) -> None:
        sock: socket.socket | None = getattr(local, "sock", None)
        if sock is None:
            sock = local.sock = socket.create_connection(
                (where.hostname, where.port), timeout=TIMEOUT_S
            )
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(request_bytes(where.netloc, order_id))
        prove(order_id, sock.recv(4_096).decode())

    return post


def request_bytes(host: str, order_id: str) -> bytes:
    """Return a whole request."""
    headers, body = signed(order_id)
    lines = [f"POST {PATH} HTTP/1.1", f"host: {host}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def prove(order_id: str, reply: str) -> None:
    """Raise unless the reply says that this order is canceled."""
    if f'"{order_id}","status":"CANCELLED"' not in reply:
        raise Refused(f"{order_id}: {reply[:100]}")
