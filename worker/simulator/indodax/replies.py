"""Indodax's replies: errors come as HTTP 200 with `"success": 0`."""

from __future__ import annotations

from worker.simulator.book import Order
from worker.simulator.exchange import Verdict
from worker.simulator.wire import Reply, json_reply

_STATUS = {"open": "open", "canceled": "cancelled", "filled": "filled"}


def success(result: object = None) -> Verdict:
    """Grant; the countdown's success has no `return`."""
    document: dict[str, object] = {"success": 1}
    if result is not None:
        document["return"] = result
    return Verdict(json_reply(200, document), applied=True)


def error(code: str, message: str, *, status: int = 200) -> Reply:
    """Make the documented error body."""
    return json_reply(status, {"success": 0, "error": message, "error_code": code})


def refuse(refusal: str, code: str, message: str) -> Verdict:
    """Refuse by the exchange's own rules."""
    return Verdict(error(code, message), refusal=refusal)


def throttled(message: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Refuse for the rate: HTTP 429, as documented for the other endpoints."""
    return Reply(429, error("too_many_requests", message).body, headers=headers)


def stale_nonce(last: int, given: str) -> Reply:
    """Refuse a nonce that does not rise, in the documented words."""
    message = f"Nonce must be greater than {last}. You provided {given}."
    return error("invalid_nonce", message)


def order_type(order: Order) -> str:
    """Return what an order is, as lists and cancels name it."""
    return "stoplimit" if order.stop else "limit"


def open_row(order: Order) -> dict[str, object]:
    """Write a row of `openOrders`."""
    unit = order.pair.split("_")[1 if order.side == "buy" else 0]
    return {
        "order_id": order.order_id,
        "client_order_id": f"sim-{order.order_id}",
        "submit_time": str(int(order.placed_ms // 1_000)),
        "price": "100207000",
        "type": order.side,
        "order_type": order_type(order),
        f"order_{unit}": "33605800",
        f"remain_{unit}": "33605800",
    }


def order_row(order: Order) -> dict[str, object]:
    """Write the order of `getOrder`."""
    amount = "336058"
    return {
        "order_id": order.order_id,
        "price": "100207000",
        "type": order.side,
        "order_rp": amount,
        "remain_rp": "0" if order.status == "filled" else amount,
        "submit_time": str(int(order.placed_ms // 1_000)),
        "finish_time": str(int((order.closed_ms or 0) // 1_000)),
        "status": _STATUS[order.status],
        "client_order_id": f"sim-{order.order_id}",
    }
