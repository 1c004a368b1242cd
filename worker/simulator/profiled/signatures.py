"""The signatures of exchanges that run by a profile: the one given, and the right one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from worker.simulator.forms import body_text
from worker.simulator.wire import Request

Signed = Callable[[Request, str, str], tuple[str, str]]
"""Takes a request, its path and a secret; returns the signature given and the right one."""


def target(request: Request, path: str) -> str:
    """Return path and query as they were sent."""
    return f"{path}?{request.query}" if request.query else path


def stamped(stamp: str, given: str, *, as_base64: bool = False, with_query: bool = True) -> Signed:
    """Return the signature of `timestamp + method + target + body`, by HMAC-SHA256."""

    def signed(request: Request, path: str, secret: str) -> tuple[str, str]:
        headers = request.headers
        place = target(request, path) if with_query else path
        text = headers.get(stamp, "") + request.method + place
        digest = hmac.digest(secret.encode(), text.encode() + request.body, "sha256")
        right = base64.b64encode(digest).decode() if as_base64 else digest.hex()
        return headers.get(given, ""), right

    return signed


def queried(request: Request, path: str, secret: str) -> tuple[str, str]:
    """Return the signature that ends a query: HMAC-SHA256 of what goes before it."""
    del path
    text, _, given = request.query.rpartition("&signature=")
    return given, hmac.digest(secret.encode(), text.encode(), "sha256").hex()


def of_whitebit(request: Request, path: str, secret: str) -> tuple[str, str]:
    """Return HMAC-SHA512 of the body in base64."""
    del path
    payload = base64.b64encode(request.body)
    right = hmac.new(secret.encode(), payload, hashlib.sha512).hexdigest()
    same = request.headers.get("x-txc-payload", "") == payload.decode()
    return request.headers.get("x-txc-signature", "") if same else "", right


def of_htx(request: Request, path: str, secret: str) -> tuple[str, str]:
    """Return HMAC-SHA256, in base64, of method, host, path and query on a line each."""
    text, _, given = request.query.rpartition("&Signature=")
    lines = f"{request.method}\napi.huobi.pro\n{path}\n{text}"
    digest = hmac.digest(secret.encode(), lines.encode(), "sha256")
    right = base64.b64encode(digest).decode()
    return given.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="), right


def of_krakenfutures(request: Request, path: str, secret: str) -> tuple[str, str]:
    """Return HMAC-SHA512 of the SHA-256 of query and path, by a secret in base64."""
    endpoint = path.removeprefix("/derivatives")
    digest = hashlib.sha256((request.query + endpoint).encode()).digest()
    right = hmac.digest(base64.b64decode(secret), digest, "sha512")
    return request.headers.get("authent", ""), base64.b64encode(right).decode()


def of_phemex(request: Request, path: str, secret: str) -> tuple[str, str]:
    """Return HMAC-SHA256 of path, query, expiry and body."""
    headers = request.headers
    text = path + request.query + headers.get("x-phemex-request-expiry", "")
    right = hmac.digest(secret.encode(), text.encode() + request.body, "sha256")
    return headers.get("x-phemex-request-signature", ""), right.hex()


def of_bitfinex(request: Request, path: str, secret: str) -> tuple[str, str]:
    """Return HMAC-SHA384 of path, nonce and body."""
    text = f"/api{path}{request.headers.get('bfx-nonce', '')}"
    right = hmac.digest(secret.encode(), text.encode() + request.body, "sha384")
    return request.headers.get("bfx-signature", ""), right.hex()


def of_cryptocom(request: Request, path: str, secret: str) -> tuple[str, str]:
    """Return HMAC-SHA256 of method, id, key, parameters in order, and nonce."""
    del path
    try:
        body: Any = json.loads(body_text(request.body))
        params = "".join(f"{name}{value}" for name, value in sorted(body["params"].items()))
        text = f"{body['method']}{body['id']}{body['api_key']}{params}{body['nonce']}"
        given = str(body["sig"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", "unsigned"
    return given, hmac.digest(secret.encode(), text.encode(), "sha256").hex()
