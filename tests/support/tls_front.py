"""TLS in front of a server that speaks none, as a real listener of its own."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.raw_server import Peer, Server

CHUNK = 65_536


@contextmanager
def tls_front(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Listen with TLS, and pass all on to a port of loopback; yield the new port."""

    def forward(peer: Peer) -> None:
        with socket.create_connection(("127.0.0.1", port)) as behind:
            behind.settimeout(0)
            peer.sock.settimeout(0)
            while not peer.stopping.is_set():
                moved = _move(peer.sock, behind) + _move(behind, peer.sock)
                if not moved:
                    peer.stopping.wait(0.001)

    with Server(forward, tls=context) as server:
        yield server.port


def _move(source: socket.socket, target: socket.socket) -> int:
    """Pass on what there is; raise if the source has closed."""
    data = b""
    with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
        data = source.recv(CHUNK)
        if not data:
            raise ConnectionResetError
    if data:
        target.settimeout(5)
        target.sendall(data)
        target.settimeout(0)
    return len(data)
