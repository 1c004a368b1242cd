"""Gate's replies."""

from __future__ import annotations

from worker.simulator.book import Order
from worker.simulator.exchange import Verdict
from worker.simulator.wire import Reply, json_reply


def error(status: int, label: str, message: str) -> Reply:
    """Make an error."""
    return json_reply(status, {"label": label, "message": message})


def refuse(refusal: str, status: int, label: str, message: str) -> Verdict:
    """Refuse a request."""
    return Verdict(error(status, label, message), refusal=refusal)


def spot_row(order: Order) -> dict[str, object]:
    """Write a spot order."""
    status = {"open": "open", "canceled": "cancelled", "filled": "closed"}[order.status]
    ended = {"open": "open", "canceled": "cancelled", "filled": "filled"}[order.status]
    return {
        "id": order.order_id,
        "text": order.client_id or "api",
        "create_time_ms": int(order.placed_ms),
        "status": status,
        "currency_pair": order.pair,
        "type": "limit",
        "account": "spot",
        "side": order.side,
        "amount": "1",
        "price": "0.1",
        "time_in_force": "gtc",
        "left": "0" if order.status == "filled" else "1",
        "finish_as": ended,
    }


def futures_row(order: Order) -> dict[str, object]:
    """Write a futures order, which has no side but the sign of its size."""
    size = 10 if order.side == "buy" else -10
    row: dict[str, object] = {
        "id": int(order.order_id),
        "user": 100000,
        "create_time": order.placed_ms / 1_000,
        "contract": order.pair,
        "size": size,
        "iceberg": 0,
        "left": 0 if order.status == "filled" else size,
        "price": "0.1",
        "tif": "gtc",
        "text": order.client_id or "api",
        "status": "open" if order.status == "open" else "finished",
    }
    if order.status != "open":
        row["finish_as"] = {"canceled": "cancelled", "filled": "filled"}[order.status]
    return row


def spot_stop_row(order: Order) -> dict[str, object]:
    """Write a price-triggered spot order."""
    status = {"open": "open", "canceled": "cancelled", "filled": "finish"}[order.status]
    return {
        "market": order.pair,
        "user": 100000,
        "trigger": {"price": "0.1", "rule": ">=", "expiration": 86_400},
        "put": {"type": "limit", "side": order.side, "price": "0.1", "amount": "1"},
        "id": int(order.order_id),
        "ctime": int(order.placed_ms // 1_000),
        "status": status,
        "reason": "",
    }


def futures_stop_row(order: Order) -> dict[str, object]:
    """Write a price-triggered futures order."""
    row: dict[str, object] = {
        "user": 100000,
        "trigger": {"strategy_type": 0, "price_type": 0, "price": "0.1", "rule": 1},
        "initial": {
            "contract": order.pair,
            "size": 10 if order.side == "buy" else -10,
            "price": "0.1",
            "text": "api",
        },
        "id": int(order.order_id),
        "create_time": order.placed_ms / 1_000,
        "status": "open" if order.status == "open" else "finished",
    }
    if order.status != "open":
        row["finish_as"] = {"canceled": "cancelled", "filled": "succeeded"}[order.status]
    return row


INTERNAL = error(500, "INTERNAL", "Internal server error")
CANCEL_FAIL = error(400, "CANCEL_FAIL", "Failed to cancel the order")
EXPIRED = refuse("timestamp", 403, "REQUEST_EXPIRED", "the request has expired")
NOT_FOUND = refuse("order", 404, "ORDER_NOT_FOUND", "Order not found")
