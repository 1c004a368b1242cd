"""What every request passes: host names, size, headers of the reply, the audit log."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.errors import StoreUnavailable
from worker.store.audit import noting
from worker.telemetry.health.request import Hosts, Request, name_of
from worker.web.authority import entry_of
from worker.web.parts import Parts
from worker.web.problems import MEDIA

log = logging.getLogger(__name__)

BODY_MAX = 1_048_576
"""Most bytes of a body."""
BROWSER = (b"accept-language", b"origin", b"referer", b"sec-fetch-mode")
NO_PAGE = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": NO_PAGE.encode(),
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
"""Of every reply that does not set them itself."""


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, parts: Parts, hosts: Hosts, tls: bool) -> None:
        self._app = app
        self._parts = parts
        self._hosts = hosts
        self._headers = dict(HEADERS)
        if tls:
            self._headers[b"strict-transport-security"] = b"max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        outward = self._outward(scope, send)
        given = dict(scope["headers"])
        if self._foreign(scope["path"], given):
            text = "not served under this name; use the address, or add the name to web.names"
            await _refuse(outward, HTTPStatus.MISDIRECTED_REQUEST, text)
            return
        if _length(given) > BODY_MAX:
            await _refuse(outward, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {BODY_MAX} bytes")
            return
        await self._app(scope, _bounded(receive), outward)

    def _foreign(self, path: str, given: dict[bytes, bytes]) -> bool:
        """Return whether the request names a host that a rebound DNS name may have made up."""
        host = name_of(given.get(b"host", b"").decode("latin-1"))
        browser = any(name in given for name in BROWSER)
        request = Request("", path, host=host, browser=browser)
        return self._hosts.refuse(request, page=not path.startswith(("/v1/", "/healthz")))

    def _outward(self, scope: Scope, send: Send) -> Send:
        async def outward(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [pair for pair in self._headers.items() if pair[0] not in present]
                message = {**message, "headers": [*message["headers"], *added]}
                if entry := entry_of(scope["state"], message["status"]):
                    await self._audit(entry)
            await send(message)

        return outward

    async def _audit(self, entry: str) -> None:
        try:
            await self._parts.redis.carry(noting(entry))
        except StoreUnavailable as error:
            log.warning("not in the audit log: %s: %s", error, entry)


def _bounded(receive: Receive) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY_MAX:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    return bounded


def _length(given: dict[bytes, bytes]) -> int:
    text = given.get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


async def _refuse(send: Send, status: HTTPStatus, detail: str) -> None:
    body: dict[str, Any] = {
        "type": "urn:cancel-worker:http",
        "title": status.phrase,
        "status": status,
        "detail": detail,
    }
    content = json.dumps(body).encode()
    headers = [
        (b"content-type", MEDIA.encode()),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": content})
