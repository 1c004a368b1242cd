"""A Sentry of our own on loopback, for the real SDK to send to."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "5e9f7a3c1b2d4e6f8091a2b3c4d5e6f7"
"""The DSN's key. It is no secret to Sentry, and no other reads it."""


@dataclass
class FakeSentry:
    """What arrived: whole bodies, unpacked."""

    dsn: str = ""
    bodies: list[bytes] = field(default_factory=list)

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Return the payloads of one kind, as `event` or `check_in`."""
        found = []
        for body in [*self.bodies]:
            _, *lines = body.split(b"\n")
            for header, payload in zip(lines[::2], lines[1::2], strict=False):
                if header and json.loads(header).get("type") == kind:
                    found.append(json.loads(payload))
        return found

    def tags(self) -> list[str]:
        """Return the kind of each alert that arrived, in order."""
        return [str(event.get("tags", {}).get("alert")) for event in self.items("event")]


@contextmanager
def fake_sentry() -> Iterator[FakeSentry]:
    """Run one."""
    sentry = FakeSentry()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sentry.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sentry.dsn = f"http://{KEY}@127.0.0.1:{server.server_port}/1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield sentry
        finally:
            server.shutdown()
            thread.join()
