"""Bybit's trade endpoints, from the v5 documents."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from worker.simulator.book import ClosedBy, Order, Status
from worker.simulator.bybit.replies import (
    FORBIDDEN,
    done,
    error,
    order_row,
    refuse,
    too_many,
)
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import body_text, form_fields, whole_number
from worker.simulator.journal import PAIRS, Reading
from worker.simulator.limits import SlidingWindow
from worker.simulator.options import Options
from worker.simulator.signing import bybit_signature, same
from worker.simulator.wire import Reply, Request

OPERATIONS = {
    ("POST", "/v5/order/cancel"): "cancel",
    ("POST", "/v5/order/cancel-all"): "scope",
    ("GET", "/v5/order/realtime"): "query",
    ("GET", "/v5/order/history"): "history",
    ("GET", "/v5/market/instruments-info"): PAIRS,
}
LIMITS = {
    "scope": (10, 1_000),
    "query": (50, 1_000),
    "open_orders": (50, 1_000),
    "history": (50, 1_000),
}
IP_LIMIT = (600, 5_000)
BAN_MS = 600_000
CATEGORIES = ("linear", "inverse", "spot", "option")
AHEAD_MS = 1_000
SCOPE_MAX = 500
"""Of contracts: most orders that one cancel of all takes, at random."""
RECENT_MAX = 500
"""Closed orders that can be asked about in real time."""
UNFILLED_KEPT_MS = 24 * 3_600_000
_SYMBOL = re.compile(r"[A-Z0-9]{2,20}(-[A-Z0-9]{1,10}){0,3}")


@dataclass(frozen=True, slots=True)
class Closing:
    """An order that is being taken off: when, and what will have closed it."""

    order_id: str
    at_ms: float
    by: ClosedBy


class Bybit(Exchange):
    """Cancels that are accepted first, and closed orders in two places."""

    name = "bybit"
    mount = "/bybit"
    stands_for = "https://api.bybit.com"
    traded = ("BTCUSDT", "ETHUSDT")
    own_faults = (
        OwnFault("bybit_timeout", applied=None, says='10000, "Server Timeout"'),
        OwnFault("bybit_server", applied=None, says='10016, "Server error."'),
        OwnFault("bybit_banned", applied=False, says='403, "access too frequent"', kind="bans"),
    )
    usual_pairs = ("BTCUSDT", "ETHUSDT")

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self._windows = {name: SlidingWindow(*limit) for name, limit in LIMITS.items()}
        self._addresses = SlidingWindow(*IP_LIMIT)
        self._banned_until: dict[str, float] = {}
        self._closings: dict[str, Closing] = {}

    def new_order_id(self) -> str:
        """Return a UUID."""
        text = f"{self.ids.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def waiting(self) -> bool:
        """Also while orders are being taken off."""
        return bool(self._closings)

    def tick(self, at_ms: float) -> None:
        """Take off what is being canceled."""
        for closing in [each for each in self._closings.values() if each.at_ms <= at_ms]:
            del self._closings[closing.order_id]
            order = self.book.find(closing.order_id)
            if order is not None:
                status: Status = "filled" if closing.by == "fill" else "canceled"
                self.book.close(order, status, closing.by, closing.at_ms)

    def read(self, request: Request) -> Reading:
        """Read the JSON of a POST, or the query."""
        fields = form_fields(request.query)
        if request.method == "POST":
            fields = _json_fields(body_text(request.body))
        operation = OPERATIONS.get((request.method, self.subpath(request)), "unknown")
        if operation == "query" and not (fields.get("orderId") or fields.get("orderLinkId")):
            operation = "open_orders"
        return Reading(
            operation,
            request.headers.get("x-bapi-api-key", ""),
            timestamp_ms=whole_number(request.headers.get("x-bapi-timestamp")),
            order_ids=(fields["orderId"],) if fields.get("orderId") else (),
            pairs=(fields["symbol"],) if fields.get("symbol") else (),
            fields=fields,
        )

    def admit(self, call: Call) -> Verdict | None:
        """Count a request of an address, then of a user."""
        source, reading = call.request.source, call.reading
        if not self._addresses.admit(source, call.at_ms):
            self._banned_until[source] = call.at_ms + BAN_MS
        if call.at_ms < self._banned_until.get(source, 0.0):
            return Verdict(FORBIDDEN, refusal="rate")
        name, rate = reading.operation, self.options.bybit_cancels
        if name == "cancel":
            name = f"cancel {rate}"
            self._windows.setdefault(name, SlidingWindow(rate, 1_000))
        window = self._windows.get(name)
        if window is None or window.admit(reading.api_key, call.at_ms):
            return None
        return Verdict(too_many(call.now_ms, call.now_ms + 1_000), refusal="rate")

    def counted(self, call: Call) -> tuple[tuple[str, str], ...]:
        """Say what is left to a user of an endpoint."""
        name, rate = call.reading.operation, self.options.bybit_cancels
        name, most = (
            (f"cancel {rate}", rate) if name == "cancel" else (name, LIMITS.get(name, (0,))[0])
        )
        if name not in self._windows:
            return ()
        return (
            ("X-Bapi-Limit", str(most)),
            ("X-Bapi-Limit-Status", str(most - self._windows[name].used(call.reading.api_key))),
            ("X-Bapi-Limit-Reset-Timestamp", str(int(call.now_ms) + 1_000)),
        )

    def list_pairs(self, reading: Reading, pairs: Sequence[str]) -> object:
        """List the instruments that trade, of contracts a page at a time; others there are none."""
        fields = reading.fields
        found = pairs if fields.get("status", "Trading") == "Trading" else ()
        start = whole_number(fields.get("cursor")) or 0
        end = start + min(1_000, whole_number(fields.get("limit")) or 500)
        if fields.get("category") == "spot":
            start, end = 0, len(found)
        rows = [{"symbol": pair, "status": "Trading"} for pair in found[start:end]]
        cursor = str(end) if end < len(found) else ""
        result = {"category": fields.get("category"), "list": rows, "nextPageCursor": cursor}
        return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 0}

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply."""
        refused = self._check(call)
        if refused:
            return refused
        match call.reading.operation:
            case "cancel":
                return self._cancel(call)
            case "scope":
                return self._cancel_all(call)
            case "query" | "history":
                return self._query(call)
            case "open_orders":
                return self._list(call)
            case _:
                return Verdict(error(10017, "Route not found.", call.now_ms, 404))

    def _check(self, call: Call) -> Verdict | None:
        """Check key, time, signature, category and symbol."""
        request, reading, now_ms = call.request, call.reading, call.now_ms
        key = self.keys.get(reading.api_key)
        if key is None:
            return refuse("key", 10003, "API key is invalid.", now_ms)
        window = whole_number(request.headers.get("x-bapi-recv-window", "5000"))
        stamped = reading.timestamp_ms
        if stamped is None or window is None:
            return refuse("request", 10001, "Request parameter error", now_ms)
        if not now_ms - window <= stamped < now_ms + AHEAD_MS:
            words = "invalid request, please check your server timestamp or recv_window param"
            return refuse("timestamp", 10002, words, now_ms)
        message = f"{stamped}{reading.api_key}{window}{request.query}".encode() + request.body
        expected = bybit_signature(key.secret, message)
        if not same(request.headers.get("x-bapi-sign", ""), expected):
            return refuse("signature", 10004, "Error sign", now_ms)
        if reading.fields.get("category") not in CATEGORIES:
            return refuse("request", 10001, "params error: Category is invalid", now_ms)
        linear = reading.fields["category"] == "linear"
        listing = reading.operation == "open_orders" and linear
        named = reading.pairs or (listing and reading.fields.get("settleCoin"))
        if not named and (listing or reading.operation in ("cancel", "scope")):
            return refuse("request", 10001, "params error: symbol is missing", now_ms)
        if not all(_SYMBOL.fullmatch(pair) for pair in reading.pairs):
            return refuse("request", 10001, "params error: symbol invalid", now_ms)
        return None

    def _orders(self, call: Call) -> list[Order]:
        """Return the key's orders of the category that is asked for."""
        own = call.reading.fields["category"] == self.options.bybit_category
        return self.book.orders(call.reading.api_key) if own else []

    def _named(self, call: Call) -> Order | None:
        """Return the order that a request names; the id counts where both are given."""
        fields, pairs = call.reading.fields, call.reading.pairs
        order_id, client_id = fields.get("orderId", ""), fields.get("orderLinkId", "")
        for order in reversed(self._orders(call)):
            if pairs and order.pair not in pairs:
                continue
            if order.order_id == order_id or (not order_id and client_id == order.client_id != ""):
                return order
        return None

    def _filter(self, order: Order) -> str:
        """Return what a spot cancel must say of an order."""
        if not order.stop or self.options.bybit_category != "spot":
            return "Order"
        return "tpslOrder" if self.options.bybit_stop == "tpslOrder" else "StopOrder"

    def _cancel(self, call: Call) -> Verdict:
        """Accept a cancel; the order is taken off a moment later."""
        order, now_ms = self._named(call), call.now_ms
        spot = call.reading.fields["category"] == "spot"
        wanted = call.reading.fields.get("orderFilter", "Order")
        if order and spot and wanted != self._filter(order):
            order = None
        if order is None:
            code = 170213 if spot else 110001
            return refuse("order", code, "Order does not exist.", now_ms)
        if order.status == "filled":
            code, words = (170139, "Order has been filled.") if spot else _TOO_LATE
            return refuse("order", code, words, now_ms)
        if order.status == "canceled":
            words = "The order has been cancelled"
            return refuse("order", 170142 if spot else 110010, words, now_ms)
        if order.order_id in self._closings:
            words = "The order is processing and can not be operated, please try again later"
            return refuse("order", 170191 if spot else 110079, words, now_ms)
        self._take_off_soon(call, order, "cancel")
        result = {"orderId": order.order_id, "orderLinkId": order.client_id}
        return Verdict(done(result, now_ms), applied=True)

    def _take_off_soon(self, call: Call, order: Order, by: ClosedBy) -> None:
        filled = bool(self.fill_race) and call.dice.random() < self.fill_race
        at_ms = call.at_ms + self.options.bybit_cancel_ms
        self._closings[order.order_id] = Closing(order.order_id, at_ms, "fill" if filled else by)
        self.tick(call.at_ms)

    def _cancel_all(self, call: Call) -> Verdict:
        """Accept a cancel of all orders of a symbol; of contracts at most 500, at random."""
        spot = call.reading.fields["category"] == "spot"
        found = [
            order
            for order in self._orders(call)
            if order.status == "open"
            and order.pair in call.reading.pairs
            and order.order_id not in self._closings
            and not (spot and order.stop)
        ]
        if not spot and len(found) > SCOPE_MAX:
            found = call.dice.sample(found, SCOPE_MAX)
        for order in found:
            self._take_off_soon(call, order, "scope")
        rows = [{"orderId": order.order_id, "orderLinkId": order.client_id} for order in found]
        return Verdict(done({"list": rows, "success": "1"}, call.now_ms), applied=True)

    def _query(self, call: Call) -> Verdict:
        order = self._named(call)
        past = call.reading.operation == "history"
        known = order and (self._in_history(order, call) if past else self._is_recent(order, call))
        return self._rows(call, [order] if order and known else [])

    def _is_recent(self, order: Order, call: Call) -> bool:
        """Return whether an order can be asked about in real time."""
        if order.status == "open":
            return True
        if self.options.bybit_restarted:
            return False
        closed = [each for each in self._orders(call) if each.status != "open"]
        closed.sort(key=lambda each: each.closed_ms or 0.0)
        return order in closed[-RECENT_MAX:]

    def _in_history(self, order: Order, call: Call) -> bool:
        """Return whether the history has an order: unfilled ones are kept for a day."""
        if order.status == "canceled":
            return call.at_ms - (order.closed_ms or 0.0) <= UNFILLED_KEPT_MS
        return order.status == "filled"

    def _list(self, call: Call) -> Verdict:
        """List the newest open orders first, a page at a time."""
        fields, pairs = call.reading.fields, call.reading.pairs
        coin = "" if pairs else fields.get("settleCoin", "")
        orders = [
            order
            for order in reversed(self._orders(call))
            if order.status == "open"
            and (not pairs or order.pair in pairs)
            and coin in ("", _settled(order.pair))
        ]
        limit = min(50, max(1, whole_number(fields.get("limit")) or 20))
        start = whole_number(fields.get("cursor")) or 0
        cursor = str(start + limit) if start + limit < len(orders) else ""
        return self._rows(call, orders[start : start + limit], cursor)

    def _rows(self, call: Call, orders: list[Order], cursor: str = "") -> Verdict:
        rows = [order_row(order, self._status(order), self._kind(order)) for order in orders]
        category = call.reading.fields["category"]
        result = {"category": category, "list": rows, "nextPageCursor": cursor}
        return Verdict(done(result, call.now_ms), applied=True)

    def _status(self, order: Order) -> str:
        if order.status == "open":
            return "Untriggered" if order.stop else "New"
        return "Filled" if order.status == "filled" else "Cancelled"

    def _kind(self, order: Order) -> str:
        return self.options.bybit_stop if order.stop else "UNKNOWN"

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, and errors of the system."""
        return {
            "throttle": lambda call: error(10006, "Too many visits!", call.now_ms),
            "throttle_retry_after": lambda call: too_many(call.now_ms, call.now_ms + 1_000),
            "bybit_timeout": lambda call: error(10000, "Server Timeout", call.now_ms),
            "bybit_server": lambda call: error(10016, "Server error.", call.now_ms),
            "bybit_banned": lambda _: FORBIDDEN,
        }


def _settled(symbol: str) -> str:
    """Return the coin that a linear contract is settled in."""
    return "USDT" if "USDT" in symbol else "USDC"


def _json_fields(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): value for name, value in found.items() if isinstance(value, str)}


_TOO_LATE = (110008, "The order has been completed or cancelled.")
