"""HTTP requests to the health server: parsing and host checks. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

HEAD_MAX = 16_384
"""Maximum bytes of a request line with its headers."""
_LINE = re.compile(r"([A-Z]{1,20}) (\S+)(?: HTTP/1\.\d)?")
_BROWSER = ("accept-language", "origin", "referer", "sec-fetch-mode")
"""Headers that browsers send and scrapers and probes do not; always `Accept-Language`."""


class BadRequest(Exception):
    """A refused request; `status` is the HTTP status of the reply."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request without its body.

    Attributes:
        path: Path without the query.
        host: Host of the request in lower case, without the port; empty if not given.
        browser: Whether a browser may have sent it.
    """

    method: str
    path: str
    host: str = ""
    browser: bool = False


def head_of(received: bytes) -> bytes | None:
    """Return the head of a request; None while it is incomplete.

    Raises:
        BadRequest: The head is longer than `HEAD_MAX`.
    """
    ends = [at for end in (b"\r\n\r\n", b"\n\n") if (at := received.find(end)) >= 0]
    if min(ends, default=len(received)) > HEAD_MAX:
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    return received[: min(ends)] if ends else None


def read_request(head: bytes) -> Request:
    """Read a request line and its headers.

    Raises:
        BadRequest: It is not an HTTP request, or its method is not GET or HEAD.
    """
    first, *lines = head.decode("latin-1").lstrip("\r\n").splitlines() or [""]
    matched = _LINE.fullmatch(first)
    if matched is None:
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    method, target = matched.groups()
    headers = _headers(lines)
    host = headers.get("host", "")
    if not target.startswith("/"):
        # An absolute URL, as sent to proxies: its host overrides the header.
        host, target = _split(target)
    if method not in ("GET", "HEAD"):
        raise BadRequest(HTTPStatus.NOT_IMPLEMENTED)
    browser = any(name in headers for name in _BROWSER)
    return Request(method, target.partition("?")[0], name_of(host), browser)


def _headers(lines: list[str]) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or (name == "host" and name in headers):
            raise BadRequest(HTTPStatus.BAD_REQUEST)
        headers[name] = value.strip()
    return headers


def _split(target: str) -> tuple[str, str]:
    try:
        parts = urlsplit(target)
    except ValueError:
        raise BadRequest(HTTPStatus.BAD_REQUEST) from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    return parts.netloc, parts.path or "/"


def name_of(host: str) -> str:
    """Return a `Host` without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


@dataclass(frozen=True, slots=True)
class Hosts:
    """Host names under which browsers may read pages that name accounts.

    Protects against DNS rebinding: another site's name, resolved to this address, lets
    that site's scripts read replies as its own. Such a name has a dot. Addresses, names
    without a dot (`localhost`, a container's name) and those in `names` are safe.

    Attributes:
        names: Further allowed names, in lower case.
    """

    names: Collection[str] = field(default=())

    def refuse(self, request: Request, *, page: bool) -> bool:
        """Return whether to refuse a request.

        Args:
            request: The parsed request.
            page: Whether it is for a page. For other paths, scrapers and
                probes may use any name; browsers may not.
        """
        return not self._known(request.host) and (page or request.browser)

    def _known(self, host: str) -> bool:
        if "." not in host or host.endswith(".localhost") or host in self.names:
            return ":" not in host or _is_address(host)
        return _is_address(host)


ANY_LOCAL = Hosts()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
