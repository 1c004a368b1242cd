"""Everstrike, from "Cancel an order. Requires a signed payload …"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from worker.simulator.book import ClosedBy, Order
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import body_text, form_fields, form_pairs, whole_number
from worker.simulator.journal import Reading
from worker.simulator.signing import everstrike_signature, same
from worker.simulator.wire import Reply, Request, json_reply

BULK_MAX = 100
DEFAULT_LIMIT = 100
_IDS = re.compile(r"ids(\[\d*\])?")
_STATUS = {"open": "ACTIVE", "canceled": "CANCELLED", "filled": "COMPLETED"}
_QUESTIONS = {"/order": "query", "/orders": "query", "/active_orders": "open_orders"}
_CLOSED = {503: "Invalid request", 404: "Order not found", 400: "Order is not active"}


class Everstrike(Exchange):
    """Cancels one by one or up to 100 at once; has no countdown."""

    name = "everstrike"
    mount = "/everstrike"
    stands_for = "https://api.everstrike.io"
    own_faults = (OwnFault("everstrike_503", applied=None, says="the documented 503"),)

    def new_order_id(self) -> str:
        """Return 32 hex digits, as in the documented reply."""
        return f"{self.ids.getrandbits(128):032x}"

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """The documented 503, and the 429 with and without its hint."""
        return {
            "throttle": lambda _: _throttled("You have done that too much recently."),
            "throttle_retry_after": lambda _: _throttled(
                "You have done that too much recently. Care to try again in 0.043 seconds?"
            ),
            "everstrike_503": lambda _: _error(503, "Invalid request"),
        }

    def read(self, request: Request) -> Reading:
        """Distinguish the five endpoints.

        "An empty list cancels ALL active orders": a bulk request in which no
        id is found is such a list, for whatever reason it is empty.
        """
        api_key = request.headers.get("x-api-key", "")
        match request.method, self.subpath(request):
            case "POST", "/auth/cancel":
                fields = form_fields(body_text(request.body))
                return Reading("cancel", api_key, order_ids=_named(fields, "id"), fields=fields)
            case "POST", "/auth/cancel/bulk":
                pairs = form_pairs(body_text(request.body))
                ids = tuple(value for name, value in pairs if value and _IDS.fullmatch(name))
                return Reading("bulk" if ids else "scope", api_key, order_ids=ids)
            case "GET", path if path in _QUESTIONS:
                fields = form_fields(request.query)
                return Reading(
                    _QUESTIONS[path],
                    api_key,
                    order_ids=_named(fields, "id"),
                    pairs=_named(fields, "pair"),
                    fields=fields,
                )
        return Reading("unknown", api_key)

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply; what is refused gets the one documented error."""
        request, reading = call.request, call.reading
        if reading.operation == "unknown":
            return Verdict(_error(404, "Not found"), refusal="request")
        key = self.keys.get(reading.api_key)
        if key is None:
            return _invalid("key")
        if request.method == "GET":
            return self._answer(call)
        given = request.headers.get("x-signature", "")
        if not same(given, everstrike_signature(key.secret, request.body)):
            return _invalid("signature")
        return self._cancel(call) if reading.operation == "cancel" else self._cancel_many(call)

    def _cancel(self, call: Call) -> Verdict:
        """Cancel one order.

        The documented success still says `"status": "ACTIVE"`, so the row is
        the order in its state before. What an unknown or closed order is
        answered with is not documented: see `Options.everstrike_closed`.
        """
        if not call.reading.order_ids:
            return _invalid("request")
        order = self.book.find(call.reading.order_ids[0], call.reading.api_key)
        if order is None or not self.take_off(call, order, "cancel"):
            status = self.options.everstrike_closed
            return Verdict(_error(status, _CLOSED[status]), refusal="order")
        return Verdict(_success(_row(order)), applied=True)

    def _cancel_many(self, call: Call) -> Verdict:
        """Cancel a list, or every active order if the list is empty.

        The result holds the orders that this request canceled; that unknown
        and closed ones are left out in silence is a choice of this simulator.
        """
        reading = call.reading
        if len(reading.order_ids) > BULK_MAX:
            return _invalid("request")
        by: ClosedBy = "bulk" if reading.order_ids else "scope"
        orders = self.book.open_orders(reading.api_key)
        if reading.order_ids:
            found = (self.book.find(an_id, reading.api_key) for an_id in reading.order_ids)
            orders = [order for order in found if order is not None]
        rows = [_row(order) for order in orders if self.take_off(call, order, by)]
        return Verdict(_success(rows), applied=True)

    def _answer(self, call: Call) -> Verdict:
        reading = call.reading
        fields = reading.fields
        if self.subpath(call.request) == "/order":
            order = self.book.find(fields.get("id", ""), reading.api_key)
            if order is None:
                return Verdict(_error(404, "Order not found"), refusal="order")
            return Verdict(_success(_row(order)), applied=True)
        limit = whole_number(fields.get("limit") or str(DEFAULT_LIMIT))
        start = whole_number(fields.get("start") or "0")
        end = whole_number(fields.get("end") or str(10**15))
        if limit is None or start is None or end is None:
            return _invalid("request")
        rows = [
            _row(order)
            for order in self.book.orders(reading.api_key)
            if (reading.operation != "open_orders" or order.status == "open")
            and (not reading.pairs or order.pair == reading.pairs[0])
            and start <= order.placed_ms <= end
        ]
        return Verdict(_success(rows[:limit]), applied=True)


def _named(fields: Mapping[str, str], name: str) -> tuple[str, ...]:
    return (fields[name],) if fields.get(name) else ()


def _row(order: Order) -> dict[str, object]:
    return {
        "pair": order.pair,
        "type": "LIMIT",
        "side": order.side.upper(),
        "price": 100,
        "time_in_force": "GTC",
        "customer_id": "5f9ca5f0-380e-11e9-bf51-91a076098e19",
        "qty_orig": 0.002,
        "qty_remaining": 0 if order.status == "filled" else 0.002,
        "status": _STATUS[order.status],
        "time": int(order.placed_ms),
        "fills": [],
        "id": order.order_id,
        "qty_orig_usd": 0.28101585963,
        "leverage": 1,
        "post_only": False,
        "reduce_only": False,
        "hidden": False,
    }


def _success(result: object) -> Reply:
    return json_reply(200, {"code": 200, "msg": "Success", "result": result})


def _error(status: int, message: str) -> Reply:
    return json_reply(status, {"code": status, "msg": message, "result": {}})


def _throttled(message: str) -> Reply:
    return json_reply(429, {"code": 429, "msg": message, "result": None})


def _invalid(refusal: str) -> Verdict:
    return Verdict(_error(503, "Invalid request"), refusal=refusal)
