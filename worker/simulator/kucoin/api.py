"""KuCoin's spot endpoints, from its documents: "hf" orders, stop orders, the timer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from worker.simulator.book import Order
from worker.simulator.countdowns import Timer
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import body_text, form_fields, whole_number
from worker.simulator.journal import PAIRS, Reading
from worker.simulator.kucoin.replies import (
    INTERNAL,
    NO_ORDER,
    THROTTLED,
    canceled_row,
    oco_row,
    order_row,
    refuse,
    stop_row,
    success,
)
from worker.simulator.kucoin.timers import OFF, SYMBOLS_MAX, TIMEOUT_S, Protection
from worker.simulator.limits import SlidingWindow
from worker.simulator.options import Options
from worker.simulator.signing import kucoin_passphrase, kucoin_signature, same
from worker.simulator.wire import Reply, Request

ORDERS, STOPS, OCOS = "/api/v1/hf/orders", "/api/v1/stop-order", "/api/v3/oco"
FIXED = {
    ("DELETE", ORDERS): "scope",
    ("DELETE", f"{ORDERS}/cancelAll"): "scope_all",
    ("GET", f"{ORDERS}/active"): "open_orders",
    ("GET", f"{ORDERS}/active/symbols"): "open_symbols",
    ("POST", f"{ORDERS}/dead-cancel-all"): "countdown",
    ("GET", f"{ORDERS}/dead-cancel-all/query"): "countdown_query",
    ("GET", STOPS): "open_stops",
    ("GET", f"{OCOS}/orders"): "open_ocos",
}
NAMED = (
    ("DELETE", re.compile(f"{ORDERS}/sync/(?P<client>client-order/)?(?P<id>[^/]+)"), "cancel"),
    ("GET", re.compile(f"{ORDERS}/(?P<client>client-order/)?(?P<id>[^/]+)"), "query"),
    ("DELETE", re.compile(f"{STOPS}/(?P<client>)(?P<id>[^/]+)"), "cancel_stop"),
    ("GET", re.compile(f"{STOPS}/(?P<client>)(?P<id>[^/]+)"), "query_stop"),
    ("DELETE", re.compile(f"{OCOS}/order/(?P<client>)(?P<id>[^/]+)"), "cancel_oco"),
    ("GET", re.compile(f"{OCOS}/order/(?P<client>)(?P<id>[^/]+)"), "query_oco"),
)
WEIGHTS = {
    "cancel": 1,
    "scope_all": 30,
    "open_stops": 8,
    "cancel_stop": 3,
    "query_stop": 3,
    "cancel_oco": 3,
}
WEIGHT_MAX, WINDOW_MS = 4_000, 30_000
COUNTDOWN_MS = 3_000
"""An older document allows one countdown in that time."""
EXPIRE_MS = 5_000
NEEDS_SYMBOL = ("cancel", "query", "scope", "open_orders")
_SYMBOL = re.compile(r"[A-Z0-9]+-[A-Z0-9]+")


class Kucoin(Exchange):
    """Cancels whose replies state the result, and one timer with a list of pairs."""

    name = "kucoin"
    mount = "/kucoin"
    stands_for = "https://api.kucoin.com"
    traded = ("BTC-USDT", "ETH-USDT")
    own_faults = (
        OwnFault(
            "kucoin_open",
            applied=True,
            says="a cancel that says that the order is open yet",
            kind="open",
            meets=lambda it: it.operation == "cancel",
        ),
        OwnFault("kucoin_internal", applied=None, says='500 and 500000, "Internal Server Error"'),
    )
    usual_pairs = ("BTC-USDT", "ETH-USDT")

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self.protection = Protection(self.ids)
        self._weights = SlidingWindow(WEIGHT_MAX, WINDOW_MS)
        self._countdowns = SlidingWindow(1, COUNTDOWN_MS)
        self._closings: dict[str, float] = {}
        """Orders that a cancel of a scope takes off, and when."""

    def new_order_id(self) -> str:
        """Return 24 hexadecimal digits."""
        return f"{self.ids.getrandbits(96):024x}"

    def timers(self) -> list[Timer]:
        """Return the running timers, one for each pair of a list."""
        return self.protection.running()

    def waiting(self) -> bool:
        """Also while orders are being taken off."""
        return bool(self._closings) or self.protection.waiting()

    def tick(self, at_ms: float) -> None:
        """Take off what is being canceled, and what a timer that fired reaches."""
        self.protection.fire(self.book, at_ms, self.options.kucoin_fires_within_ms)
        for order_id, due_ms in [*self._closings.items()]:
            if due_ms <= at_ms:
                del self._closings[order_id]
                order = self.book.find(order_id)
                if order is not None:
                    self.book.close(order, "canceled", "scope", due_ms)

    def read(self, request: Request) -> Reading:
        """Distinguish the endpoints by method and path."""
        fields = form_fields(request.query)
        if request.method == "POST":
            fields = _json_fields(body_text(request.body))
        operation, order_id = self._operation(request, fields)
        symbols = (fields.get("symbol") or fields.get("symbols") or "").split(",")
        timeout = fields.get("timeout", "")
        seconds = 0 if timeout == str(OFF) else whole_number(timeout)
        return Reading(
            operation,
            request.headers.get("kc-api-key", ""),
            timestamp_ms=whole_number(request.headers.get("kc-api-timestamp")),
            order_ids=(order_id,) if order_id else (),
            pairs=tuple(symbol for symbol in symbols if symbol),
            countdown_ms=None if seconds is None else seconds * 1_000,
            fields=fields,
        )

    def _operation(self, request: Request, fields: dict[str, str]) -> tuple[str, str]:
        """Return what a request wants, and of which order; a client's id becomes a field."""
        path = self.subpath(request)
        if (request.method, path) == ("GET", "/api/v2/symbols"):
            return PAIRS, ""
        if found := FIXED.get((request.method, path)):
            return found, ""
        for method, pattern, operation in NAMED:
            match = pattern.fullmatch(path) if request.method == method else None
            if match and match["client"]:
                fields["clientOid"] = match["id"]
                return operation, ""
            if match:
                return operation, match["id"]
        return "unknown", ""

    def list_pairs(self, reading: Reading, pairs: Sequence[str]) -> object:
        """List all symbols."""
        del reading
        parts = {pair: pair.partition("-") for pair in pairs}
        rows = [
            {"symbol": pair, "baseCurrency": base, "quoteCurrency": quote}
            for pair, (base, _, quote) in parts.items()
        ]
        return {"code": "200000", "data": rows}

    def admit(self, call: Call) -> Verdict | None:
        """Count the weights of a user."""
        reading = call.reading
        weight = WEIGHTS.get(reading.operation, 2)
        admitted = self._weights.admit(reading.api_key, call.at_ms, weight)
        if reading.operation == "countdown" and self.options.kucoin_paces:
            admitted = self._countdowns.admit(reading.api_key, call.at_ms) and admitted
        if admitted:
            return None
        headers = (("gw-ratelimit-remaining", "0"), ("gw-ratelimit-reset", "1000"))
        return Verdict(Reply(429, THROTTLED.body, headers=headers), refusal="rate")

    def counted(self, call: Call) -> tuple[tuple[str, str], ...]:
        """Say what is left to a user."""
        left = WEIGHT_MAX - self._weights.used(call.reading.api_key)
        return (
            ("gw-ratelimit-limit", str(WEIGHT_MAX)),
            ("gw-ratelimit-remaining", str(left)),
            ("gw-ratelimit-reset", str(WINDOW_MS)),
        )

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply."""
        refused = self._check(call)
        if refused:
            return refused
        match call.reading.operation:
            case "cancel":
                return self._cancel(call)
            case "query":
                return self._query(call)
            case "scope" | "scope_all":
                return self._cancel_all(call)
            case "open_orders" | "open_symbols":
                return self._list(call)
            case "countdown" | "countdown_query":
                return self._countdown(call)
            case operation if operation.endswith(("_stop", "_stops", "_oco", "_ocos")):
                return self._stops(call)
            case _:
                return refuse("request", "404000", "Url Not Found", 404)

    def _check(self, call: Call) -> Verdict | None:
        """Check key, time, signature, passphrase and symbols."""
        request, reading = call.request, call.reading
        key = self.keys.get(reading.api_key)
        if key is None:
            return refuse("key", "400003", "KC-API-KEY not exists", 401)
        stamped = request.headers.get("kc-api-timestamp", "")
        if reading.timestamp_ms is None or abs(call.now_ms - reading.timestamp_ms) > EXPIRE_MS:
            return refuse("timestamp", "400002", "KC-API-TIMESTAMP Invalid", 401)
        target = self.subpath(request) + (f"?{request.query}" if request.query else "")
        expected = kucoin_signature(key.secret, stamped, request.method, target, request.body)
        if not same(request.headers.get("kc-api-sign", ""), expected):
            return refuse("signature", "400005", "Invalid KC-API-SIGN", 401)
        wanted = kucoin_passphrase(key.secret, key.memo)
        given = request.headers.get("kc-api-passphrase", "")
        if request.headers.get("kc-api-key-version") != "2" or not same(given, wanted):
            return refuse("key", "400004", "Invalid KC-API-PASSPHRASE", 401)
        if not reading.pairs and reading.operation in NEEDS_SYMBOL:
            return refuse("request", "400100", "symbol can not be empty")
        if not all(_SYMBOL.fullmatch(pair) for pair in reading.pairs):
            return refuse("request", "400100", "symbol not exists")
        return None

    def _cancel(self, call: Call) -> Verdict:
        """Cancel an order at once, and state the result."""
        order = self._named(call.reading)
        if order is None or order.status != "open":
            return refuse("order", "400100", NO_ORDER)
        self._closings.pop(order.order_id, None)
        self.take_off(call, order, "cancel")
        closed = self.book.find(order.order_id) or order
        by_client = not call.reading.order_ids
        return success(canceled_row(closed, by_client=by_client))

    def _named(self, reading: Reading) -> Order | None:
        """Return the plain order of a pair that a request names."""
        (pair,) = reading.pairs
        client_id = reading.fields.get("clientOid", "")
        order = self.book.find_by_client(client_id, reading.api_key, pair)
        if reading.order_ids:
            order = self.book.find(reading.order_ids[0], reading.api_key)
        return order if order and order.pair == pair and not order.stop else None

    def _query(self, call: Call) -> Verdict:
        order = self._named(call.reading)
        if order is not None:
            return success(order_row(order))
        if self.options.kucoin_missing == "null":
            return success(None)
        return refuse("order", "400100", "order not exist.")

    def _plain(self, reading: Reading) -> list[Order]:
        pair = reading.pairs[0] if reading.pairs else None
        found = self.book.open_orders(reading.api_key, pair)
        return [order for order in found if not order.stop]

    def _cancel_all(self, call: Call) -> Verdict:
        """Accept the cancel of a pair's orders, or of all; they are taken off a moment later."""
        orders = self._plain(call.reading)
        for order in orders:
            self._closings.setdefault(order.order_id, call.at_ms + self.options.kucoin_cancel_ms)
        self.tick(call.at_ms)
        if call.reading.operation == "scope":
            return success("success")
        done = sorted({order.pair for order in orders})
        return success({"succeedSymbols": done, "failedSymbols": []})

    def _list(self, call: Call) -> Verdict:
        orders = self._plain(call.reading)
        if call.reading.operation == "open_symbols":
            return success({"symbols": sorted({order.pair for order in orders})})
        return success([order_row(order) for order in orders])

    def _stops(self, call: Call) -> Verdict:
        """Answer about stop orders, which no other endpoint reaches."""
        reading, fields = call.reading, call.reading.fields
        oco = "_oco" in reading.operation
        write = oco_row if oco else stop_row
        if reading.operation.startswith("open"):
            pair = reading.pairs[0] if reading.pairs else None
            found = self.book.open_orders(reading.api_key, pair)
            shown = oco == self.options.kucoin_oco
            rows = [write(order) for order in found if order.stop and shown]
            size = whole_number(fields.get("pageSize")) or 50
            page = whole_number(fields.get("currentPage")) or 1
            pages = -(-len(rows) // size)
            head = {"currentPage": page, "pageSize": size, "totalNum": len(rows)}
            items = rows[(page - 1) * size : page * size]
            return success({**head, "totalPage": pages, "items": items})
        order = self.book.find("".join(reading.order_ids), reading.api_key)
        if order is None or not order.stop or oco != self.options.kucoin_oco:
            return refuse("order", "400100", "order not exist.")
        if reading.operation.startswith("query"):
            return success(write(order))
        if not self.take_off(call, order, "cancel"):
            return refuse("order", "400100", NO_ORDER)
        legs = [f"vs{n}{order.order_id[:21]}" for n in (1, 2)]
        return success({"cancelledOrderIds": legs if oco else [order.order_id]})

    def _countdown(self, call: Call) -> Verdict:
        """Replace the timer and its list, or say what they are."""
        reading, now_s = call.reading, int(call.now_ms) // 1_000
        if reading.operation == "countdown_query":
            found = self.protection.of(reading.api_key)
            if found is None:
                return success(None)
            skew_ms = call.now_ms - call.at_ms
            row = {"timeout": found.timeout_s, "symbols": ",".join(found.symbols)}
            fires_s = int(found.fires_at_ms + skew_ms) // 1_000
            return success({**row, "currentTime": now_s, "triggerTime": fires_s})
        off = reading.fields.get("timeout") == str(OFF)
        seconds = OFF if off else (reading.countdown_ms or 0) // 1_000
        if not off and seconds not in TIMEOUT_S:
            return refuse("request", "400100", "timeout is invalid")
        if len(reading.pairs) > SYMBOLS_MAX:
            return refuse("request", "400100", "symbols exceed the maximum of 50")
        self.protection.set(reading.api_key, reading.pairs, seconds, call.at_ms)
        return success({"currentTime": now_s, "triggerTime": 0 if off else now_s + seconds})

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, a cancel that is not carried out yet, and an error of the system."""
        reset = (("gw-ratelimit-reset", "1000"),)
        return {
            "throttle": lambda _: THROTTLED,
            "throttle_retry_after": lambda _: Reply(429, THROTTLED.body, headers=reset),
            "kucoin_open": self._still_open,
            "kucoin_internal": lambda _: INTERNAL,
        }

    def _still_open(self, call: Call) -> Reply:
        order = self._named(call.reading) if call.reading.pairs else None
        if order is None:
            return refuse("order", "400100", NO_ORDER).reply
        by_client = not call.reading.order_ids
        return success(canceled_row(order, by_client=by_client, is_open=True)).reply


def _json_fields(text: str) -> dict[str, str]:
    try:
        found: Any = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(name): str(value) for name, value in found.items()}
