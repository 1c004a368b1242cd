"""KuCoin's replies."""

from __future__ import annotations

from worker.simulator.book import Order
from worker.simulator.exchange import Verdict
from worker.simulator.wire import Reply, json_reply

SIZE = "0.00001"
NO_ORDER = "order_not_exist_or_not_allow_to_cancel"


def success(data: object, *, applied: bool = True) -> Verdict:
    """Make a success."""
    return Verdict(json_reply(200, {"code": "200000", "data": data}), applied=applied)


def error(code: str, message: str, status: int = 200) -> Reply:
    """Make an error."""
    return json_reply(status, {"code": code, "msg": message})


def refuse(refusal: str, code: str, message: str, status: int = 400) -> Verdict:
    """Refuse a request."""
    return Verdict(error(code, message, status), refusal=refusal)


def canceled_row(order: Order, *, by_client: bool, is_open: bool = False) -> dict[str, str]:
    """Write what a synchronous cancel states of the order."""
    left = is_open or order.status == "open"
    amounts = {
        "originSize": SIZE,
        "dealSize": SIZE if order.status == "filled" and not left else "0",
        "remainSize": SIZE if left else "0",
        "canceledSize": SIZE if order.status == "canceled" and not left else "0",
        "status": "open" if left else "done",
    }
    name = {"clientOid": order.client_id} if by_client else {"orderId": order.order_id}
    return {**name, **amounts}


def order_row(order: Order) -> dict[str, object]:
    """Write an order as questions and lists do."""
    return {
        "id": order.order_id,
        "clientOid": order.client_id,
        "symbol": order.pair,
        "opType": "DEAL",
        "type": "limit",
        "side": order.side,
        "price": "50000",
        "size": SIZE,
        "dealSize": SIZE if order.status == "filled" else "0",
        "cancelExist": order.status == "canceled",
        "tradeType": "TRADE",
        "inOrderBook": order.status == "open",
        "cancelledSize": SIZE if order.status == "canceled" else "0",
        "remainSize": SIZE if order.status == "open" else "0",
        "active": order.status == "open",
        "createdAt": int(order.placed_ms),
    }


def stop_row(order: Order) -> dict[str, object]:
    """Write a stop order, likewise."""
    states = {"open": "NEW", "canceled": "CANCELLED", "filled": "TRIGGERED"}
    return {
        "id": order.order_id,
        "symbol": order.pair,
        "status": states[order.status],
        "type": "limit",
        "side": order.side,
        "clientOid": order.client_id,
        "tradeType": "TRADE",
        "stop": "loss",
        "stopPrice": "10.0",
        "createdAt": int(order.placed_ms),
    }


def oco_row(order: Order) -> dict[str, object]:
    """Write a pair of orders of which one ends the other: it states no side."""
    states = {"open": "NEW", "canceled": "CANCELLED", "filled": "DONE"}
    return {
        "orderId": order.order_id,
        "symbol": order.pair,
        "clientOid": order.client_id,
        "orderTime": int(order.placed_ms),
        "status": states[order.status],
    }


THROTTLED = error("429000", "Too many requests in a short period of time", 429)
INTERNAL = error("500000", "Internal Server Error", 500)
