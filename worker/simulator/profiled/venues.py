"""What a profile does not say of an exchange: its addresses, its signature, its errors."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from worker.simulator.wire import Request

Signed = Callable[[Request, str, str], tuple[str, str]]
"""Takes a request, its path and a secret; returns the signature given and the right one."""


@dataclass(frozen=True, slots=True)
class Venue:
    """One exchange.

    Attributes:
        routes: By method and path, the operation.
        key: Header of the API key.
        signed: Of the signature.
        missing: Status and body of the refusal to cancel an order that is not open.
        unknown: The same for a question about an order; None for an empty list.
        refused: Status and body of a refused key or signature.
        busy: The same of a refusal for the rate.
        countdown: Name of the countdown in a request; empty without a timer.
        reports: Whether the reply to a cancel reports the order, not its id alone.
        nonce: Whether requests carry a nonce that must rise.
    """

    routes: Mapping[tuple[str, str], str]
    key: str
    signed: Signed
    missing: tuple[int, object]
    unknown: tuple[int, object] | None
    refused: tuple[int, object]
    busy: tuple[int, object]
    countdown: str = ""
    reports: bool = False
    nonce: bool = False


def _target(request: Request, path: str) -> str:
    return f"{path}?{request.query}" if request.query else path


def _stamped(stamp: str, given: str, *, as_base64: bool = False) -> Signed:
    """Return the signature of `timestamp + method + target + body`, by HMAC-SHA256."""

    def signed(request: Request, path: str, secret: str) -> tuple[str, str]:
        headers = request.headers
        text = headers.get(stamp, "") + request.method + _target(request, path)
        digest = hmac.digest(secret.encode(), text.encode() + request.body, "sha256")
        right = base64.b64encode(digest).decode() if as_base64 else digest.hex()
        return headers.get(given, ""), right

    return signed


def _payload(request: Request, path: str, secret: str) -> tuple[str, str]:
    """Return the signature of WhiteBIT: HMAC-SHA512 of the body in base64."""
    del path
    payload = base64.b64encode(request.body)
    right = hmac.new(secret.encode(), payload, hashlib.sha512).hexdigest()
    same = request.headers.get("x-txc-payload", "") == payload.decode()
    return request.headers.get("x-txc-signature", "") if same else "", right


def _queried(request: Request, path: str, secret: str) -> tuple[str, str]:
    """Return the signature of Coins.ph: HMAC-SHA256 of the query that it ends."""
    del path
    text, _, given = request.query.rpartition("&signature=")
    return given, hmac.digest(secret.encode(), text.encode(), "sha256").hex()


_NOT_FOUND: Final = {"errorCode": 240, "error": "No order found."}
_INNER: Final = {
    "code": 2,
    "message": "Inner validation failed",
    "errors": {"orderId": ["Unexecuted order was not found."]},
}
_WOO: Final = {"success": False, "code": 317184, "message": "The order cannot be found."}
VENUES: Final[Mapping[str, Venue]] = {
    "bitvavo": Venue(
        {
            ("DELETE", "/v2/order"): "cancel",
            ("GET", "/v2/order"): "query",
            ("GET", "/v2/ordersOpen"): "open_orders",
            ("POST", "/v2/cancelOrdersAfter"): "countdown",
        },
        "bitvavo-access-key",
        _stamped("bitvavo-access-timestamp", "bitvavo-access-signature"),
        (404, _NOT_FOUND),
        (404, _NOT_FOUND),
        (403, {"errorCode": 309, "error": "The signature is invalid."}),
        (429, {"errorCode": 105, "error": "Rate limit exceeded."}),
        "expiryAfterSeconds",
    ),
    "whitebit": Venue(
        {
            ("POST", "/api/v4/order/cancel"): "cancel",
            ("POST", "/api/v4/orders"): "open_orders",
            ("POST", "/api/v4/order/kill-switch"): "countdown",
        },
        "x-txc-apikey",
        _payload,
        (422, _INNER),
        None,
        (401, {"code": 10, "message": "Unauthorized request."}),
        (429, {"code": 0, "message": "Too many requests."}),
        "timeout",
        reports=True,
        nonce=True,
    ),
    "woo": Venue(
        {
            ("DELETE", "/v3/trade/order"): "cancel",
            ("GET", "/v3/trade/order"): "query",
            ("GET", "/v3/trade/orders"): "open_orders",
            ("POST", "/v3/trade/cancelAllAfter"): "countdown",
        },
        "x-api-key",
        _stamped("x-api-timestamp", "x-api-signature"),
        (400, _WOO),
        (400, _WOO),
        (401, {"success": False, "code": -1000, "message": "An unauthorized request."}),
        (429, {"success": False, "code": -1003, "message": "Rate limit exceed."}),
        "triggerAfter",
    ),
    "coinsph": Venue(
        {
            ("DELETE", "/openapi/v1/order"): "cancel",
            ("GET", "/openapi/v1/order"): "query",
            ("GET", "/openapi/v1/openOrders"): "open_orders",
        },
        "x-coins-apikey",
        _queried,
        (400, {"code": -2011, "msg": "CANCEL_REJECTED"}),
        (400, {"code": -2013, "msg": "Order does not exist."}),
        (400, {"code": -1022, "msg": "Signature for this request is not valid."}),
        (429, {"code": -1003, "msg": "Too many requests."}),
        reports=True,
    ),
    "bitget": Venue(
        {
            ("POST", "/api/v2/spot/trade/cancel-order"): "cancel",
            ("GET", "/api/v2/spot/trade/orderInfo"): "query",
            ("GET", "/api/v2/spot/trade/unfilled-orders"): "open_orders",
        },
        "access-key",
        _stamped("access-timestamp", "access-sign", as_base64=True),
        (400, {"code": "43001", "msg": "The order does not exist", "data": None}),
        None,
        (400, {"code": "40009", "msg": "sign signature error", "data": None}),
        (429, {"code": "429", "msg": "Too Many Requests", "data": None}),
    ),
}
