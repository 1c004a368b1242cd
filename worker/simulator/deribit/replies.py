"""Deribit's replies."""

from __future__ import annotations

from worker.simulator.book import Order
from worker.simulator.exchange import Verdict
from worker.simulator.wire import Reply, json_reply

STATES = {"open": "open", "canceled": "cancelled", "filled": "filled"}


def done(result: object, now_ms: float) -> Reply:
    """Make a success."""
    us = int(now_ms * 1_000)
    envelope = {"jsonrpc": "2.0", "result": result, "usIn": us, "usOut": us, "usDiff": 0}
    return json_reply(200, {**envelope, "testnet": False})


def error(code: int, message: str, status: int = 400, reason: str = "") -> Reply:
    """Make an error."""
    found: dict[str, object] = {"code": code, "message": message}
    if reason:
        found["data"] = {"reason": reason}
    return json_reply(status, {"jsonrpc": "2.0", "error": found, "testnet": False})


def refuse(
    refusal: str, code: int, message: str, *, status: int = 400, reason: str = ""
) -> Verdict:
    """Refuse a request."""
    return Verdict(error(code, message, status, reason), refusal=refusal)


def order_row(order: Order, state: str = "") -> dict[str, object]:
    """Write an order as questions, lists and cancels do."""
    kept = "untriggered" if order.stop and order.status == "open" else STATES[order.status]
    return {
        "order_id": order.order_id,
        "instrument_name": order.pair,
        "direction": order.side,
        "order_state": state or kept,
        "order_type": "stop_limit" if order.stop else "limit",
        "label": order.client_id,
        "time_in_force": "good_til_cancelled",
        "price": 0.1,
        "amount": 10.0,
        "filled_amount": 10.0 if order.status == "filled" else 0.0,
        "api": True,
        "creation_timestamp": int(order.placed_ms),
        "last_update_timestamp": int(order.closed_ms or order.placed_ms),
    }


TOO_MANY = error(10028, "too_many_requests", 429)
