"""A signed request as the bytes that are sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from worker.gateway.http.response import NAME
from worker.model.wire import Request

USER_AGENT = "cancel-worker"
BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""Characters that would end or change a line of the head."""


def encode(request: Request, *, proxy_headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a request. They are sent in one piece.

    Args:
        request: Its method, URL, headers and body are sent as they are.
        proxy_headers: Headers for the proxy that forwards the request, which then
            gets the whole URL. None if no proxy reads the request.

    Raises:
        ValueError: The method, the URL or a header contains a character that would
            change the rest of the request.
    """
    base, _, query = request.url.partition("?")
    parts, query = urlsplit(base), query.partition("#")[0]
    target = (parts.path or "/") + (f"?{query}" if query else "")
    host = _host(parts)
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **request.headers}
    if request.body or request.method in ("POST", "PUT"):
        headers["Content-Length"] = str(len(request.body))
    if proxy_headers is not None:
        target = f"{parts.scheme}://{host}{target}"
        headers |= proxy_headers
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if BREAKS.search("\t".join(lines)) or " " in target or not all(map(NAME.fullmatch, headers)):
        raise ValueError("a character of the URL or of a header would change the request")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


def _host(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    return host.removesuffix(":443" if parts.scheme == "https" else ":80")
