"""Indodax's trade API: `POST {tapi}` with a `method`."""

from __future__ import annotations

from collections.abc import Callable

from worker.simulator.exchange import Call, Exchange, Verdict
from worker.simulator.indodax.replies import open_row, order_row, order_type, refuse, success

OPERATIONS = {"cancelOrder": "cancel", "openOrders": "open_orders", "getOrder": "query"}


def handle_trade(exchange: Exchange, call: Call, known_pair: Callable[[str], bool]) -> Verdict:
    """Carry out one method of an admitted request."""
    fields = call.reading.fields
    method = fields.get("method", "")
    if method not in OPERATIONS:
        return refuse("request", "invalid_method", "Invalid method")
    pair = fields.get("pair", "")
    if not known_pair(pair) and not (method == "openOrders" and not pair):
        return refuse("request", "invalid_pair", "Invalid pair")
    if method == "openOrders":
        return _open_orders(exchange, call)
    return _cancel(exchange, call) if method == "cancelOrder" else _get_order(exchange, call)


def _cancel(exchange: Exchange, call: Call) -> Verdict:
    """Cancel one order: `pair`, `order_id` and `type` (buy / sell) are required.

    `order_type` is "optional", "limit, stoplimit", by default "limit". An order that is
    unknown, closed, or of another pair or side is "invalid order."; that one of another
    `order_type` is, too, is inferred.
    """
    fields = call.reading.fields
    order = exchange.book.find(fields.get("order_id", ""), call.reading.api_key)
    if (
        order is None
        or order.pair != fields.get("pair")
        or order.side != fields.get("type")
        or order_type(order) != fields.get("order_type", "limit")
        or not exchange.take_off(call, order, "cancel")
    ):
        return refuse("order", "invalid_order", "invalid order.")
    return success(
        {
            "order_id": _number(order.order_id),
            "client_order_id": f"sim-{order.order_id}",
            "type": order.side,
            "pair": order.pair,
            "balance": {"idr": "33605800", "btc": "0.00000000", "frozen_idr": "0"},
        }
    )


def _get_order(exchange: Exchange, call: Call) -> Verdict:
    fields = call.reading.fields
    order = exchange.book.find(fields.get("order_id", ""), call.reading.api_key)
    if order is None or order.pair != fields.get("pair"):
        return refuse("order", "invalid_order", "invalid order.")
    return success({"order": order_row(order)})


def _open_orders(exchange: Exchange, call: Call) -> Verdict:
    """List open orders: with a pair as a list, without one as a dict keyed by pair."""
    pair = call.reading.fields.get("pair") or None
    orders = exchange.book.open_orders(call.reading.api_key, pair)
    if not orders and exchange.options.indodax_no_orders == "null":
        return success({"orders": None})
    if pair:
        return success({"orders": [open_row(order) for order in orders]})
    by_pair: dict[str, list[dict[str, object]]] = {}
    for order in orders:
        by_pair.setdefault(order.pair, []).append(open_row(order))
    return success({"orders": by_pair})


def _number(order_id: str) -> int | str:
    """Write an id as the documented reply does, as a number where it is one."""
    return int(order_id) if order_id.isdigit() else order_id
