"""The far end of a cable: `python -m tests.support.far_host PORT [CERTIFICATE KEY]`.

Prints the body of each request that arrives, one a line.
"""

from __future__ import annotations

import ssl
import sys

from tests.support.hosts import FAR
from tests.support.raw_server import Peer, Server, reply


def answer(peer: Peer) -> None:
    """Print and answer each request; read no more after one that asks for it."""
    while True:
        request = peer.request()
        print(request.rpartition(b"\r\n\r\n")[2][:80].decode(), flush=True)  # noqa: T201
        peer.send(reply())
        if b"/stop-reading" in request:
            peer.hold()


def main(port: str, *certificate: str) -> None:
    """Serve until the input is closed."""
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
    with Server(answer, tls=tls, host=FAR, port=int(port)):
        print("ready", flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
