"""What a profile does not say of an exchange: its addresses, its signature, its errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from worker.simulator.profiled import signatures
from worker.simulator.profiled.signatures import Signed, stamped

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Venue:
    """One exchange.

    Attributes:
        routes: By method and path, the operation; a path may have places for fields.
        key: Header or field of the API key.
        signed: Of the signature.
        missing: Status and body of the refusal to cancel an order that is not open.
        unknown: The same for a question about an order; None for an empty list.
        refused: Status and body of a refused key or signature.
        busy: The same of a refusal for the rate.
        countdown: Name of the countdown in a request; empty without a timer.
        reports: Whether the reply to a cancel reports the order, not its id alone.
        nonce: Header or field of a nonce that must rise; empty without one.
        stale: Status and body of a refused nonce.
        late: Header or field of a timestamp in ms, and status and body of the refusal of one
            that is too far from the exchange's clock; none where no document has them.
        orders: Fields of an order's id.
        canceled: What the reply to a cancel has beside the order.
        closed: Whether a question reaches closed orders alone.
        dates: Whether the moments of a timer are written as dates.
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
    nonce: str = ""
    stale: tuple[int, object] = (400, {})
    late: tuple[str, int, object] | None = None
    orders: tuple[str, ...] = ("orderId",)
    canceled: tuple[tuple[Place, object], ...] = field(default=())
    closed: bool = False
    dates: bool = False


_NOT_FOUND: Final = {"errorCode": 240, "error": "No order found."}
_INNER: Final = {
    "code": 2,
    "message": "Inner validation failed",
    "errors": {"orderId": ["Unexecuted order was not found."]},
}
_WOO: Final = {"success": False, "code": 317184, "message": "The order cannot be found."}
_BINGX: Final = {"code": 80016, "msg": "order does not exist"}
_PHEMEX: Final = {"code": 10002, "msg": "OM_ORDER_NOT_FOUND", "data": None}
_CRYPTOCOM: Final = {"id": 1, "method": "private/cancel-order", "code": 40401}
VENUES: Final[Mapping[str, Venue]] = {
    "bitvavo": Venue(
        {
            ("DELETE", "/v2/order"): "cancel",
            ("GET", "/v2/order"): "query",
            ("GET", "/v2/ordersOpen"): "open_orders",
            ("POST", "/v2/cancelOrdersAfter"): "countdown",
        },
        "bitvavo-access-key",
        stamped("bitvavo-access-timestamp", "bitvavo-access-signature"),
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
            ("POST", "/api/v4/trade-account/order/history"): "query",
            ("POST", "/api/v4/order/kill-switch"): "countdown",
        },
        "x-txc-apikey",
        signatures.of_whitebit,
        (422, _INNER),
        (200, []),
        (401, {"code": 10, "message": "Unauthorized request."}),
        (429, {"code": 0, "message": "Too many requests."}),
        "timeout",
        reports=True,
        nonce="nonce",
        stale=(429, {"code": 0, "message": "Too many requests."}),
        closed=True,
    ),
    "woo": Venue(
        {
            ("DELETE", "/v3/trade/order"): "cancel",
            ("GET", "/v3/trade/order"): "query",
            ("GET", "/v3/trade/orders"): "open_orders",
            ("POST", "/v3/trade/cancelAllAfter"): "countdown",
        },
        "x-api-key",
        stamped("x-api-timestamp", "x-api-signature"),
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
        signatures.queried,
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
        stamped("access-timestamp", "access-sign", as_base64=True),
        (400, {"code": "43001", "msg": "The order does not exist", "data": None}),
        None,
        (400, {"code": "40009", "msg": "sign signature error", "data": None}),
        (429, {"code": "429", "msg": "Too Many Requests", "data": None}),
        late=("access-timestamp", 400, {"code": "40008", "msg": "Request timestamp expired"}),
    ),
    "htx": Venue(
        {
            ("POST", "/v1/order/orders/{orderId}/submitcancel"): "cancel",
            ("GET", "/v1/order/orders/{orderId}"): "query",
            ("GET", "/v1/order/openOrders"): "open_orders",
            ("POST", "/v2/algo-orders/cancel-all-after"): "countdown",
        },
        "AccessKeyId",
        signatures.of_htx,
        (200, {"status": "error", "err-code": "order-orderstate-error", "data": None}),
        (200, {"status": "error", "err-code": "base-record-invalid", "data": None}),
        (200, {"status": "error", "err-code": "api-signature-not-valid", "data": None}),
        (429, {"status": "error", "err-code": "rate-too-many-requests", "data": None}),
        "timeout",
    ),
    "mexc": Venue(
        {
            ("DELETE", "/api/v3/order"): "cancel",
            ("GET", "/api/v3/order"): "query",
            ("GET", "/api/v3/openOrders"): "open_orders",
        },
        "x-mexc-apikey",
        signatures.queried,
        (400, {"code": -2011, "msg": "Unknown order sent."}),
        (400, {"code": -2013, "msg": "Order does not exist."}),
        (400, {"code": 700002, "msg": "Signature for this request is not valid."}),
        (429, {"code": 429, "msg": "Too Many Requests"}),
        late=("timestamp", 400, {"code": 700003, "msg": "Timestamp outside of the recvWindow."}),
        reports=True,
    ),
    "bingx": Venue(
        {
            ("POST", "/openApi/spot/v1/trade/cancel"): "cancel",
            ("GET", "/openApi/spot/v1/trade/query"): "query",
            ("GET", "/openApi/spot/v1/trade/openOrders"): "open_orders",
            ("POST", "/openApi/spot/v1/trade/cancelAllAfter"): "countdown",
        },
        "x-bx-apikey",
        signatures.queried,
        (200, _BINGX),
        (200, _BINGX),
        (200, {"code": 100001, "msg": "Signature verification failed"}),
        (429, {"code": 100410, "msg": "rate limited"}),
        "timeOut",
        reports=True,
    ),
    "coinbase": Venue(
        {
            ("POST", "/api/v3/brokerage/orders/batch_cancel"): "cancel",
            ("GET", "/api/v3/brokerage/orders/historical/batch"): "open_orders",
            ("GET", "/api/v3/brokerage/orders/historical/{order_id}"): "query",
        },
        "cb-access-key",
        stamped("cb-access-timestamp", "cb-access-sign", with_query=False),
        (200, {"results": [{"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER"}]}),
        (404, {"error": "NOT_FOUND", "message": "order with this orderID was not found"}),
        (401, {"errors": [{"id": "authentication_error", "message": "invalid signature"}]}),
        (429, {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}),
        orders=("order_ids", "order_id"),
        canceled=((("results", 0, "success"), True),),
    ),
    "krakenfutures": Venue(
        {
            ("POST", "/derivatives/api/v3/cancelorder"): "cancel",
            ("GET", "/derivatives/api/v3/orders/status"): "query",
            ("GET", "/derivatives/api/v3/openorders"): "open_orders",
            ("POST", "/derivatives/api/v3/cancelallordersafter"): "countdown",
        },
        "apikey",
        signatures.of_krakenfutures,
        (200, {"result": "success", "cancelStatus": {"status": "notFound"}}),
        None,
        (200, {"result": "error", "error": "authenticationError"}),
        (200, {"result": "error", "error": "apiLimitExceeded"}),
        "timeout",
        reports=True,
        orders=("order_id", "orderIds"),
        dates=True,
    ),
    "phemex": Venue(
        {
            ("DELETE", "/spot/orders"): "cancel",
            ("GET", "/spot/orders"): "open_orders",
            ("GET", "/api-data/spots/orders/by-order-id"): "query",
        },
        "x-phemex-access-token",
        signatures.of_phemex,
        (200, _PHEMEX),
        None,
        (401, {"code": 401, "msg": "401 Request IP mismatch."}),
        (429, {"code": 429, "msg": "Too many requests"}),
        orders=("orderID",),
    ),
    "bitfinex": Venue(
        {
            ("POST", "/v2/auth/w/order/cancel"): "cancel",
            ("POST", "/v2/auth/r/orders/{symbol}/hist"): "query",
            ("POST", "/v2/auth/r/orders/{symbol}"): "open_orders",
        },
        "bfx-apikey",
        signatures.of_bitfinex,
        (500, ["error", 10001, "Order not found."]),
        None,
        (500, ["error", 10100, "apikey: digest invalid"]),
        (500, ["error", 11010, "ratelimit: error"]),
        nonce="bfx-nonce",
        stale=(500, ["error", 10114, "nonce: small"]),
        closed=True,
        orders=("id",),
        canceled=(((1,), "oc-req"), ((6,), "SUCCESS"), ((7,), "Submitted for cancellation")),
    ),
    "cryptocom": Venue(
        {
            ("POST", "/exchange/v1/private/cancel-order"): "cancel",
            ("POST", "/exchange/v1/private/get-order-detail"): "query",
            ("POST", "/exchange/v1/private/get-open-orders"): "open_orders",
        },
        "api_key",
        signatures.of_cryptocom,
        (400, _CRYPTOCOM),
        (400, _CRYPTOCOM),
        (401, {"id": 1, "method": "private/cancel-order", "code": 40101}),
        (429, {"id": 1, "method": "private/cancel-order", "code": 42901}),
        late=("nonce", 400, {"id": 1, "method": "private/cancel-order", "code": 40102}),
        orders=("order_id",),
    ),
}
