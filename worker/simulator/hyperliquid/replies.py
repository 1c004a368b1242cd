"""Hyperliquid's replies."""

from __future__ import annotations

from worker.simulator.book import Order
from worker.simulator.exchange import Verdict
from worker.simulator.wire import Reply, json_reply

MISSING = "Order was never placed, already canceled, or filled."
NOT_READ = Reply(
    422,
    b"Failed to deserialize the JSON body into the target type",
    content_type="text/plain; charset=utf-8",
)
THROTTLED = Reply(429, b"null")
_STATES = {"open": "open", "filled": "filled", "canceled": "canceled"}


def error(text: str) -> Reply:
    """Make the error of a whole action."""
    return json_reply(200, {"status": "err", "response": text})


def refuse(refusal: str, text: str) -> Verdict:
    """Refuse an action."""
    return Verdict(error(text), refusal=refusal)


def malformed() -> Verdict:
    """Refuse what is no request."""
    return Verdict(NOT_READ, refusal="request")


def document(found: object) -> Verdict:
    """Answer a question."""
    return Verdict(json_reply(200, found), applied=True)


def accepted() -> Verdict:
    """Accept an action that reports nothing."""
    return Verdict(json_reply(200, {"status": "ok", "response": {"type": "default"}}), applied=True)


def canceled(statuses: list[object], *, applied: bool) -> Verdict:
    """Report each cancel of an action."""
    response = {"type": "cancel", "data": {"statuses": statuses}}
    reply = json_reply(200, {"status": "ok", "response": response})
    return Verdict(reply, applied=applied, refusal=None if applied else "order")


def coin_of(order: Order) -> str:
    """Return how the exchange names an order's market."""
    return "PURR/USDC" if order.pair == "@0" else order.pair


def order_row(order: Order) -> dict[str, object]:
    """Write an order as questions and lists do."""
    return {
        "coin": coin_of(order),
        "side": "B" if order.side == "buy" else "A",
        "limitPx": "50000.0",
        "sz": "0.0" if order.status == "filled" else "0.001",
        "oid": int(order.order_id),
        "timestamp": int(order.placed_ms),
        "triggerCondition": "Price below 49000" if order.stop else "N/A",
        "isTrigger": order.stop,
        "triggerPx": "49000.0" if order.stop else "0.0",
        "children": [],
        "isPositionTpsl": False,
        "reduceOnly": False,
        "orderType": "Stop Market" if order.stop else "Limit",
        "origSz": "0.001",
        "tif": None if order.stop else "Gtc",
        "cloid": order.client_id or None,
    }


def status_of(order: Order) -> dict[str, object]:
    """Answer a question about one order."""
    status = _STATES[order.status]
    if order.closed_by == "countdown":
        status = "scheduledCancel"
    at_ms = int(order.closed_ms or order.placed_ms)
    found = {"order": order_row(order), "status": status, "statusTimestamp": at_ms}
    return {"status": "order", "order": found}
