"""Bybit's replies."""

from __future__ import annotations

from worker.simulator.book import Order
from worker.simulator.exchange import Verdict
from worker.simulator.wire import Reply, json_reply


def done(result: object, now_ms: float) -> Reply:
    """Make a success."""
    return _reply(0, "OK", result, now_ms)


def error(
    code: int,
    message: str,
    now_ms: float,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """Make an error."""
    return _reply(code, message, {}, now_ms, status=status, headers=headers)


def refuse(refusal: str, code: int, message: str, now_ms: float) -> Verdict:
    """Refuse a request."""
    return Verdict(error(code, message, now_ms), refusal=refusal)


def too_many(now_ms: float, resets_ms: float) -> Reply:
    """Refuse for the rate of one user, until a time that a header gives."""
    reset = str(int(resets_ms))
    headers = (
        ("X-Bapi-Limit", "10"),
        ("X-Bapi-Limit-Status", "0"),
        ("X-Bapi-Limit-Reset-Timestamp", reset),
    )
    return error(10006, "Too many visits!", now_ms, headers=headers)


def order_row(order: Order, status: str, kind: str) -> dict[str, str | bool]:
    """Write an order as questions and lists do."""
    return {
        "orderId": order.order_id,
        "orderLinkId": order.client_id,
        "symbol": order.pair,
        "side": order.side.capitalize(),
        "orderStatus": status,
        "cancelType": "CancelByUser" if order.status == "canceled" else "UNKNOWN",
        "rejectReason": "EC_NoError",
        "orderType": "Limit",
        "stopOrderType": kind,
        "price": "0.1",
        "qty": "1",
        "cumExecQty": "1" if order.status == "filled" else "0",
        "reduceOnly": False,
        "createdTime": str(int(order.placed_ms)),
    }


def _reply(
    code: int,
    message: str,
    result: object,
    now_ms: float,
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    body = {
        "retCode": code,
        "retMsg": message,
        "result": result,
        "retExtInfo": {},
        "time": int(now_ms),
    }
    return json_reply(status, body, headers)


FORBIDDEN = Reply(403, b"403, access too frequent", content_type="text/plain")
