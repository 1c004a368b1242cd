"""Alerts reach Sentry over its own transport, without a secret in them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import sentry_sdk

from worker import sentry
from worker.alerts import alert
from worker.logs import Mask

SECRET = "planted-secret-0123456789"


@pytest.fixture
def envelopes() -> Iterator[tuple[str, list[bytes]]]:
    """A Sentry of our own: its DSN, and what it was sent."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            received.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://key@127.0.0.1:{server.server_port}/1", received
        server.shutdown()
        thread.join()


def test_an_alert_arrives_without_secrets(envelopes: tuple[str, list[bytes]]) -> None:
    """The event names kind and account, and masks what the settings hold secret."""
    dsn, received = envelopes
    sentry.start(dsn, Mask([SECRET]))
    try:
        alert("dead letter", f"given up: {SECRET}", account="bm", detail=f"x {SECRET} y")
        sentry_sdk.flush(5)
    finally:
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)
    text = b"".join(received).decode()
    assert "dead letter" in text
    assert "bm" in text
    assert SECRET not in text
