"""Binance's replies."""

from __future__ import annotations

from worker.simulator.book import Order
from worker.simulator.exchange import Verdict
from worker.simulator.wire import Reply, json_reply

_STATUS = {"open": "NEW", "canceled": "CANCELED", "filled": "FILLED"}


def error(status: int, code: int, message: str) -> Reply:
    """Make an error as all markets write it."""
    return json_reply(status, {"code": code, "msg": message})


def refuse(refusal: str, status: int, code: int, message: str) -> Verdict:
    """Refuse a request."""
    return Verdict(error(status, code, message), refusal=refusal)


def order_row(order: Order) -> dict[str, object]:
    """Write an order as queries and lists do."""
    return {
        "symbol": order.pair,
        "orderId": int(order.order_id),
        "orderListId": -1,
        "clientOrderId": order.client_id or f"web_{order.order_id}",
        "price": "0.1",
        "origQty": "1.0",
        "executedQty": "1.0" if order.status == "filled" else "0.0",
        "status": _STATUS[order.status],
        "timeInForce": "GTC",
        "type": "STOP_LOSS_LIMIT" if order.stop else "LIMIT",
        "side": order.side.upper(),
        "time": int(order.placed_ms),
        "isWorking": True,
    }


def algo_row(order: Order) -> dict[str, object]:
    """Write an algo order as queries and lists do."""
    return {
        "algoId": int(order.order_id),
        "clientAlgoId": order.client_id or f"web_{order.order_id}",
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": order.pair,
        "side": order.side.upper(),
        "algoStatus": {**_STATUS, "filled": "FINISHED"}[order.status],
        "triggerPrice": "0.1",
    }


def canceled(order: Order, *, spot: bool) -> dict[str, object]:
    """Write an order as the cancel of it does: on spot `clientOrderId` is the cancel's own."""
    row = order_row(order)
    if not spot:
        return {**row, "status": "CANCELED"}
    return {
        **row,
        "origClientOrderId": row["clientOrderId"],
        "clientOrderId": f"cancel_{order.order_id}",
        "status": "CANCELED",
    }


UNKNOWN_ORDER = error(400, -2011, "Unknown order sent.")
THROTTLED = error(429, -1003, "Too many requests.")
BANNED = Reply(
    418,
    error(418, -1003, "Way too many requests; IP banned.").body,
    headers=(("Retry-After", "1"),),
)
UNKNOWN = error(503, -1006, "An unexpected response was received. Execution status unknown.")
HALTED = error(503, -1008, "Server is currently overloaded with other requests.")
