"""What a worker or beat shows over HTTP, as a reader gets it."""

from __future__ import annotations

import re
from http.client import HTTPConnection
from urllib.parse import urlsplit

from tests.support.polling import eventually
from tests.support.processes import WorkerProcess

SERVED = re.compile(r"metrics and status page at (http://\S+?/)\"")
READ_S = 10.0


def served_at(process: WorkerProcess) -> str:
    """Wait until a process says where it serves; return the URL."""

    def said() -> str:
        found = SERVED.search(process.text())
        return found[1] if found else ""

    return eventually(said, within_ms=30_000, what="the address of the status page")


def get(url: str, path: str = "/", *, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    """Return status, body and headers of one request."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=READ_S)
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        headers = {name.lower(): value for name, value in reply.getheaders()}
        return reply.status, reply.read().decode(), headers
    finally:
        connection.close()
