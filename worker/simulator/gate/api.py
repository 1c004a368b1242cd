"""Gate's endpoints for spot and USDT futures, from the API v4 page and the exchange's SDK."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

from worker.simulator.book import Order
from worker.simulator.countdowns import Countdowns, Timer
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import body_text, form_fields, whole_number
from worker.simulator.gate.market import FUTURES, SPOT, Market
from worker.simulator.gate.replies import (
    CANCEL_FAIL,
    EXPIRED,
    INTERNAL,
    NOT_FOUND,
    error,
    refuse,
)
from worker.simulator.journal import PAIRS, Reading
from worker.simulator.limits import SlidingWindow
from worker.simulator.options import Options
from worker.simulator.signing import gate_signature, same
from worker.simulator.wire import Reply, Request, json_reply

PREFIX = "/api/v4"
EXPIRE_S = 60
LIMITS = {"cancel": (200, 1_000), "scope": (200, 1_000)}
OTHERS = (200, 10_000)
PAGE_ROWS = 100
SHORTEST_S = 5
FORGOTTEN_MS = 600_000
"""How long an unfilled futures order can be asked about once it was canceled."""
TEXT_KEPT_MS = 60_000
"""How long a futures order that has ended can be named by its `text`."""
_PAIR = re.compile(r"[A-Z0-9]+_[A-Z0-9]+")
_PATH = re.compile(r"/(orders|price_orders|open_orders|countdown_cancel_all)(?:/([^/]+))?")
_OPERATIONS = {
    ("DELETE", "orders", True): "cancel",
    ("GET", "orders", True): "query",
    ("DELETE", "orders", False): "scope",
    ("GET", "orders", False): "open_orders",
    ("GET", "open_orders", False): "all_open_orders",
    ("DELETE", "price_orders", True): "cancel_stop",
    ("GET", "price_orders", True): "query_stop",
    ("GET", "price_orders", False): "open_stops",
    ("POST", "countdown_cancel_all", False): "countdown",
}
RowT = TypeVar("RowT")
DATED = ("cancel", "scope")
"""Requests whose `X-Gate-Exptime` is documented."""


class Gate(Exchange):
    """One market, with a timer for each pair."""

    market: ClassVar[Market]
    usual_pairs = ("BTC_USDT", "ETH_USDT")
    traded = usual_pairs
    own_faults = (
        OwnFault("gate_internal", applied=None, says="500 and INTERNAL"),
        OwnFault("gate_cancel_fail", applied=False, says="400 and CANCEL_FAIL"),
    )

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self.countdowns = Countdowns()
        self._others: dict[str, SlidingWindow] = {}
        self._last_id = self.ids.randrange(10**10, 9 * 10**10)

    def new_order_id(self) -> str:
        """Return the next of rising decimal numbers."""
        self._last_id += 1
        return str(self._last_id)

    def timers(self) -> list[Timer]:
        """Return the running countdowns."""
        return self.countdowns.running()

    def tick(self, at_ms: float) -> None:
        """Cancel the open orders of pairs whose countdown has run out; stop orders stay."""
        for timer in self.countdowns.pop_due(at_ms):
            for order in self._open(timer.api_key, timer.pair):
                self.book.close(order, "canceled", "countdown", timer.fires_at_ms)

    def read(self, request: Request) -> Reading:
        """Distinguish the endpoints by method and path."""
        fields = form_fields(request.query)
        if request.method == "POST":
            fields = _json_fields(body_text(request.body))
        path = self.subpath(request).removeprefix(PREFIX).removeprefix(self.market.home)
        if (request.method, path) == ("GET", self.market.pairs):
            return Reading(PAIRS, fields=fields)
        found = _PATH.fullmatch(path)
        kind, named = (found[1], found[2] or "") if found else ("", "")
        operation = _OPERATIONS.get((request.method, kind, bool(named)), "unknown")
        pair_key = self.market.stop_pair if operation == "open_stops" else self.market.pair
        seconds = whole_number(fields.get("timeout"))
        stamped_s = whole_number(request.headers.get("timestamp"))
        return Reading(
            operation,
            request.headers.get("key", ""),
            timestamp_ms=None if stamped_s is None else stamped_s * 1_000,
            order_ids=(named,) if named else (),
            pairs=(fields[pair_key],) if fields.get(pair_key) else (),
            countdown_ms=None if seconds is None else seconds * 1_000,
            fields=fields,
        )

    def list_pairs(self, reading: Reading, pairs: Sequence[str]) -> object:
        """List the pairs, on the futures a page at a time."""
        if self.market.futures:
            return [{"name": pair, "type": "direct"} for pair in _page(pairs, reading.fields)]
        parts = {pair: pair.partition("_") for pair in pairs}
        return [
            {"id": pair, "base": base, "quote": quote, "trade_status": "tradable"}
            for pair, (base, _, quote) in parts.items()
        ]

    def admit(self, call: Call) -> Verdict | None:
        """Count a user's requests for each endpoint."""
        operation = call.reading.operation
        most, window_ms = LIMITS.get(operation, OTHERS)
        window = self._others.setdefault(operation, SlidingWindow(most, window_ms))
        if window.admit(call.reading.api_key, call.at_ms):
            return None
        return Verdict(_throttled(call, window_ms), refusal="rate")

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply; every reply says when the request came and when it left."""
        verdict = self._check(call) or self._apply(call)
        at_us = str(int(call.now_ms * 1_000))
        headers = (*verdict.reply.headers, ("X-In-Time", at_us), ("X-Out-Time", at_us))
        return replace(verdict, reply=replace(verdict.reply, headers=headers))

    def _check(self, call: Call) -> Verdict | None:
        """Check key, time, signature and pair."""
        request, reading, market = call.request, call.reading, self.market
        key = self.keys.get(reading.api_key)
        if key is None:
            return refuse("key", 401, "INVALID_KEY", "Invalid key provided")
        if reading.timestamp_ms is None:
            return refuse("timestamp", 401, "INVALID_CREDENTIALS", "invalid Timestamp header")
        if abs(call.now_ms - reading.timestamp_ms) > EXPIRE_S * 1_000:
            return EXPIRED
        expected = gate_signature(
            key.secret,
            request.method,
            self.subpath(request),
            request.query,
            request.body,
            request.headers.get("timestamp", ""),
        )
        if not same(request.headers.get("sign", ""), expected):
            return refuse("signature", 401, "INVALID_SIGNATURE", "Signature mismatch")
        expires = whole_number(request.headers.get("x-gate-exptime"))
        if reading.operation in DATED and expires is not None and call.now_ms > expires:
            return EXPIRED
        if not all(_PAIR.fullmatch(pair) for pair in reading.pairs):
            return refuse("request", 400, market.unknown_pair, "Invalid pair")
        if not reading.pairs and reading.operation in self._pair_needed():
            message = f"Missing required parameter: {market.pair}"
            return refuse("request", 400, "MISSING_REQUIRED_PARAM", message)
        return None

    def _pair_needed(self) -> tuple[str, ...]:
        """Return what must name a pair."""
        return ("scope",) if self.market.futures else ("cancel", "query", "open_orders")

    def _apply(self, call: Call) -> Verdict:
        match call.reading.operation:
            case "cancel" | "cancel_stop":
                return self._cancel(call)
            case "query" | "query_stop":
                return self._query(call)
            case "scope":
                return self._cancel_all(call)
            case "open_orders" | "open_stops":
                return self._list(call)
            case "all_open_orders" if not self.market.futures:
                return self._list_all(call)
            case "countdown":
                return self._countdown(call)
            case _:
                return refuse("request", 404, "NOT_FOUND", "no such endpoint")

    def _named(self, call: Call) -> Order | None:
        """Return the order that a request names by id or by `text`, while it is known."""
        reading = call.reading
        (name,) = reading.order_ids
        stop = reading.operation.endswith("_stop")
        if name.startswith("t-") and not stop:
            found = [o for o in self.book.orders(reading.api_key) if o.client_id == name]
            order = found[-1] if found else None
        else:
            order = self.book.find(name, reading.api_key)
        if order is None or order.stop is not stop:
            return None
        if reading.pairs and order.pair != reading.pairs[0]:
            return None
        return order if self._known(order, call, by_text=name.startswith("t-")) else None

    def _known(self, order: Order, call: Call, *, by_text: bool) -> bool:
        """Return whether the exchange still knows an order, by its id or its `text`."""
        if order.status == "open" or order.closed_ms is None:
            return True
        since_ms = call.at_ms - order.closed_ms
        if not self.market.futures:
            return not by_text
        if by_text:
            return since_ms <= TEXT_KEPT_MS
        return order.stop or order.status == "filled" or since_ms <= FORGOTTEN_MS

    def _cancel(self, call: Call) -> Verdict:
        order = self._named(call)
        if order is None:
            return NOT_FOUND
        if order.status == "open" and self.take_off(call, order, "cancel"):
            return Verdict(json_reply(200, self._row(order)), applied=True)
        if self.market.futures:
            return refuse("order", 400, "ORDER_FINISHED", "Order is finished")
        after = self.book.find(order.order_id)
        if after is not None and after.status == "canceled":
            return refuse("order", 400, "ORDER_CANCELLED", "Order is already cancelled")
        return refuse("order", 400, "ORDER_CLOSED", "Order is already closed")

    def _row(self, order: Order) -> dict[str, object]:
        """Write an order as it is now."""
        return self.market.row(self.book.find(order.order_id) or order)

    def _query(self, call: Call) -> Verdict:
        order = self._named(call)
        if order is None:
            return NOT_FOUND
        return Verdict(json_reply(200, self._row(order)), applied=True)

    def _cancel_all(self, call: Call) -> Verdict:
        """Cancel a pair's orders, or on spot without one all; only of a side if it is named."""
        reading = call.reading
        pair, side = reading.pairs[0] if reading.pairs else None, reading.fields.get("side")
        wanted = {None: None, self.market.buy: "buy"}.get(side, "sell")
        rows = []
        for order in self._open(reading.api_key, pair, wanted):
            done = self.take_off(call, order, "scope")
            row = self._row(order)
            if not self.market.futures:
                row |= {"succeeded": done, "label": "" if done else "ORDER_CLOSED"}
            rows.append(row)
        return Verdict(json_reply(200, rows), applied=True)

    def _list(self, call: Call) -> Verdict:
        """List open orders, or open stop orders, a page at a time."""
        reading, fields = call.reading, call.reading.fields
        if fields.get("status") != "open":
            return refuse("request", 400, "INVALID_PARAM_VALUE", "status is not offered")
        pair = reading.pairs[0] if reading.pairs else None
        stops = reading.operation == "open_stops"
        orders = self._open(reading.api_key, pair, stops=stops)
        rows = [self._row(order) for order in _page(orders, fields)]
        return Verdict(json_reply(200, rows), applied=True)

    def _list_all(self, call: Call) -> Verdict:
        """List the open orders of all pairs, a page of each."""
        pairs: dict[str, list[Order]] = {}
        for order in self._open(call.reading.api_key):
            pairs.setdefault(order.pair, []).append(order)
        groups = []
        for pair, orders in pairs.items():
            rows = [self._row(order) for order in _page(orders, call.reading.fields)]
            groups.append({"currency_pair": pair, "total": len(rows), "orders": rows})
        return Verdict(json_reply(200, groups), applied=True)

    def _open(
        self,
        api_key: str,
        pair: str | None = None,
        side: str | None = None,
        *,
        stops: bool = False,
    ) -> list[Order]:
        found = self.book.open_orders(api_key, pair, side)
        return [order for order in found if order.stop is stops]

    def _countdown(self, call: Call) -> Verdict:
        """Replace the pair's countdown; 0 stops it. Without a pair it would be for all."""
        reading = call.reading
        wanted_ms = reading.countdown_ms
        if wanted_ms is None or 0 < wanted_ms < SHORTEST_S * 1_000:
            return refuse("request", 400, "INVALID_PARAM_VALUE", "timeout is too short")
        if not reading.pairs:
            return refuse("request", 400, "INVALID_PARAM_VALUE", "not simulated: all pairs")
        self.countdowns.set(reading.api_key, reading.pairs[0], wanted_ms, call.at_ms)
        fires_ms = int(call.now_ms) + wanted_ms
        if not wanted_ms and self.options.gate_stopped == "zero":
            fires_ms = 0
        shown: int | str = fires_ms if self.market.futures else str(fires_ms)
        return Verdict(json_reply(200, {"triggerTime": shown}), applied=True)

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, errors of the system, and a cancel that fails."""
        return {
            "throttle": lambda call: _throttled(call, 0),
            "throttle_retry_after": lambda call: _throttled(call, 1_000),
            "gate_internal": lambda _: INTERNAL,
            "gate_cancel_fail": lambda _: CANCEL_FAIL,
        }


def _throttled(call: Call, window_ms: int) -> Reply:
    """Refuse for the rate, with the second at which the limit is reset, or the present one."""
    reply = error(429, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded")
    resets_s = int(call.now_ms + window_ms) // 1_000
    headers = (
        ("X-Gate-RateLimit-Requests-Remain", "0"),
        ("X-Gate-RateLimit-Reset-Timestamp", str(resets_s)),
        ("X-Out-Time", str(int(call.now_ms * 1_000))),
    )
    return replace(reply, headers=headers)


def _page(orders: Sequence[RowT], fields: Mapping[str, str]) -> Sequence[RowT]:
    """Return one page: `page` from 1 on spot, `offset` on the futures and for stop orders."""
    limit = min(whole_number(fields.get("limit")) or PAGE_ROWS, PAGE_ROWS)
    page = whole_number(fields.get("page")) or 1
    start = whole_number(fields.get("offset")) or (page - 1) * limit
    return orders[start : start + limit]


def _json_fields(text: str) -> dict[str, str]:
    """Read a JSON body; a number counts as a number alone, as the exchange documents it."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): str(value) for name, value in found.items() if type(value) in (str, int)}


class GateSpot(Gate):
    """Spot."""

    name = "gate"
    mount = "/gate"
    stands_for = "https://api.gateio.ws"
    market = SPOT


class GateFutures(Gate):
    """USDT futures."""

    name = "gate_futures"
    mount = "/gate_futures"
    stands_for = "https://api.gateio.ws"
    market = FUTURES
