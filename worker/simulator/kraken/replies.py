"""Kraken's replies: always HTTP 200, with a list of errors and a result."""

from __future__ import annotations

from worker.simulator.book import Order
from worker.simulator.clock import iso_time
from worker.simulator.exchange import Verdict
from worker.simulator.wire import Reply, json_reply

_STATUS = {"open": "open", "canceled": "canceled", "filled": "closed"}


def success(result: object) -> Verdict:
    """Grant."""
    return Verdict(json_reply(200, {"error": [], "result": result}), applied=True)


def error(text: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Make an error."""
    return json_reply(200, {"error": [text]}, headers)


def refuse(refusal: str, text: str) -> Verdict:
    """Refuse a request."""
    return Verdict(error(text), refusal=refusal)


def order_row(order: Order) -> dict[str, object]:
    """Write an order as queries and lists do."""
    row: dict[str, object] = {
        "refid": None,
        "userref": 0,
        "cl_ord_id": order.client_id or None,
        "status": _STATUS[order.status],
        "opentm": order.placed_ms / 1_000,
        "descr": {
            "pair": order.pair,
            "type": order.side,
            "ordertype": "stop-loss" if order.stop else "limit",
            "price": "30010.0",
            "order": f"{order.side} 1.25000000 {order.pair} @ limit 30010.0",
        },
        "vol": "1.25000000",
        "vol_exec": "1.25000000" if order.status == "filled" else "0.00000000",
    }
    if order.closed_ms is not None:
        row |= {"closetm": order.closed_ms / 1_000, "reason": None}
    return row


def timer(now_ms: float, fires_ms: float) -> Verdict:
    """Report a timer; 0 stands for none."""
    trigger = iso_time(fires_ms) if fires_ms else "0"
    return success({"currentTime": iso_time(now_ms), "triggerTime": trigger})
