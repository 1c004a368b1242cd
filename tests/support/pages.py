"""What a worker or beat shows over HTTP, as a reader gets it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http.client import HTTPConnection
from urllib.parse import urlsplit

from tests.support.polling import eventually
from tests.support.processes import WorkerProcess

SERVED = re.compile(r"metrics and probes at (http://\S+?/)\"")
READ_S = 60.0


def served_at(process: WorkerProcess) -> str:
    """Wait until a process says where it serves; return the URL."""

    def said() -> str:
        found = SERVED.search(process.text())
        return found[1] if found else ""

    return eventually(said, within_ms=30_000, what="the address of the probes")


def get(
    url: str,
    path: str = "/",
    *,
    method: str = "GET",
    host: str = "",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, str, dict[str, str]]:
    """Return status, body and headers of one request, under another `Host` if one is given."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=READ_S)
    sent = {**(headers or {}), **({"Host": host} if host else {})}
    try:
        connection.request(method, path, headers=sent)
        reply = connection.getresponse()
        received = {name.lower(): value for name, value in reply.getheaders()}
        return reply.status, reply.read().decode(), received
    finally:
        connection.close()
