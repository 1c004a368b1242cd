"""Receivers of notifications: a webhook and a mail server, on loopback."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Webhook:
    """Receives apprise's `json://` messages.

    Attributes:
        received: Title and text of each request, in order.
        status: What it answers.
        on_request: Called with the number of requests, before the answer.
    """

    def __init__(self) -> None:
        self.received: list[tuple[str, str]] = []
        self.status = 200
        self.on_request: Callable[[int], object] = lambda _count: None
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.received.append((body["title"], body["message"]))
                webhook.on_request(len(webhook.received))
                self.send_response(webhook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    return  # the sender has been killed

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def url(self, path: str) -> str:
        """Return its address as apprise takes it."""
        return f"json://127.0.0.1:{self._server.server_port}/{path}"

    @property
    def text(self) -> str:
        """All that was received."""
        return "\n".join(part for message in self.received for part in message)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class MailServer:
    """Receives mail over SMTP, without a login.

    Attributes:
        received: Subject and text of each mail.
    """

    def __init__(self) -> None:
        self.received: list[tuple[str, str]] = []
        mails = self.received

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 here\r\n")
                while line := self.rfile.readline():
                    verb = line[:4].upper()
                    if verb == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        mails.append(_read(b"".join(iter(self.rfile.readline, b".\r\n"))))
                    self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                    if verb == b"QUIT":
                        return

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """Its address as apprise takes it."""
        port = self._server.server_address[1]
        query = f"smtp=127.0.0.1&mode=insecure&from=bot@desk.test&to=trader@desk.test&port={port}"
        return f"mailto://127.0.0.1:{port}?{query}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _read(data: bytes) -> tuple[str, str]:
    mail = message_from_bytes(data)
    parts = [part for part in mail.walk() if part.get_content_type() == "text/plain"]
    body: Any = parts[0].get_payload(decode=True)
    return str(mail["Subject"]), body.decode()
