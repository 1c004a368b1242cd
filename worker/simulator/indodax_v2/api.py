"""Indodax's Trade API 2.0, beside the legacy one: the same users, the same orders."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from worker.simulator.book import Order
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import form_fields, whole_number
from worker.simulator.journal import Reading
from worker.simulator.limits import SlidingWindow
from worker.simulator.options import Options
from worker.simulator.signing import indodax_v2_signature, same
from worker.simulator.wire import Reply, Request, json_reply

AHEAD_MS = 1_000
RECV_WINDOW_MS = 5_000
MINUTE_MS = 60_000
OPERATIONS = {
    ("DELETE", "/api/v2/order"): "cancel",
    ("GET", "/api/v2/order"): "query",
    ("GET", "/api/v2/openOrders"): "open_orders",
}
_STATUS = {"open": "NEW", "canceled": "CANCELLED", "filled": "FILLED"}
_SYMBOL = re.compile(r"[A-Za-z0-9]{2,20}")
_QUOTES = ("usdt", "idr")
_THROTTLED = json_reply(429, {"code": -1003, "msg": "Too many requests queued."})


class IndodaxV2(Exchange):
    """Orders are kept in the legacy API's book, under its spelling of pairs."""

    name = "indodax_v2"
    mount = "/indodax_v2"
    stands_for = "https://api.indodax.com"
    traded = ("BTCIDR", "ETHIDR")
    own_faults = (
        OwnFault("indodax_v2_unknown", applied=None, says='-1000, "An unknown error occured."'),
        OwnFault("indodax_v2_internal", applied=None, says='503 and 1000, "Internal error"'),
    )

    _legacy: Exchange
    """The other API, which holds the countdowns."""

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self._cancels = SlidingWindow(30, 1_000)
        self._requests = SlidingWindow(300, MINUTE_MS)

    def join(self, others: Mapping[str, Exchange]) -> None:
        """Share the legacy API's orders."""
        self._legacy = others["indodax"]
        self.book = self._legacy.book

    def new_order_id(self) -> str:
        """Return an id in the style of the legacy API."""
        return self._legacy.new_order_id()

    def pair_in_book(self, pair: str) -> str:
        """Return a pair as the legacy API writes it."""
        plain = pair.replace("_", "").lower()
        for quote in _QUOTES:
            if plain.endswith(quote):
                return f"{plain.removesuffix(quote)}_{quote}"
        return plain

    def read(self, request: Request) -> Reading:
        """Read the query."""
        fields = form_fields(request.query)
        return Reading(
            OPERATIONS.get((request.method, self.subpath(request)), "unknown"),
            request.headers.get("x-apikey", ""),
            nonce=whole_number(fields.get("nonce")),
            timestamp_ms=whole_number(fields.get("timestamp")),
            order_ids=(fields["orderId"],) if fields.get("orderId") else (),
            pairs=(fields["symbol"],) if fields.get("symbol") else (),
            fields=fields,
        )

    def admit(self, call: Call) -> Verdict | None:
        """Keep 300 requests in a minute per address and endpoint, 30 cancels in 1 s per user."""
        reading = call.reading
        within = self._requests.admit(f"{call.request.source} {reading.operation}", call.at_ms)
        if reading.operation == "cancel" and reading.api_key in self.keys:
            within &= self._cancels.admit(reading.api_key, call.at_ms)
        return None if within else Verdict(_THROTTLED, refusal="rate")

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply."""
        reading = call.reading
        if reading.operation == "unknown":
            return self._refuse("request", 404, -1020, "This operation is not supported.")
        refused = self._check(call) or self._check_stamp(call)
        if refused:
            return refused
        if reading.operation == "open_orders":
            pair = self.pair_in_book(reading.pairs[0]) if reading.pairs else None
            rows = [_row(order) for order in self.book.open_orders(reading.api_key, pair)]
            return Verdict(json_reply(200, self._wrapped(rows)), applied=True)
        order = self._named(reading)
        if order is None:
            return self._no_such_order()
        if reading.operation == "query":
            return Verdict(json_reply(200, self._wrapped(_row(order))), applied=True)
        if not self.take_off(call, order, "cancel"):
            return self._no_such_order()
        row = {**_row(order), "status": "CANCELLED"}
        return Verdict(json_reply(200, self._wrapped(row)), applied=True)

    def _check(self, call: Call) -> Verdict | None:
        """Check key, signature by the hash of `Options`, and symbol."""
        request, reading = call.request, call.reading
        key = self.keys.get(reading.api_key)
        if key is None:
            return self._refuse(
                "key", 401, -2015, "Invalid API-key, IP, or permissions for action."
            )
        name = self.options.indodax_v2_hash
        expected = indodax_v2_signature(key.secret, request.query, name)
        if not same(request.headers.get("sign", "").lower(), expected):
            return self._refuse("signature", 400, -1022, "Signature for this request is not valid.")
        if not reading.pairs and reading.operation != "open_orders":
            return self._refuse("request", 400, -1102, "Param 'symbol' was not sent.")
        if not all(map(_SYMBOL.fullmatch, reading.pairs)):
            return self._refuse("request", 400, -1121, "Invalid symbol.")
        return None

    def _check_stamp(self, call: Call) -> Verdict | None:
        """Check the nonce, or else the timestamp."""
        reading = call.reading
        if reading.nonce is not None:
            last = self.last_nonce.get(reading.api_key, 0)
            if reading.nonce <= last:
                return self._refuse("nonce", 400, 1003, f"Nonce must be greater than {last}.")
            self.last_nonce[reading.api_key] = reading.nonce
            return None
        window = whole_number(reading.fields.get("recvWindow") or str(RECV_WINDOW_MS))
        stamp, server = reading.timestamp_ms, int(call.now_ms)
        outside = stamp is None or window is None or stamp >= server + AHEAD_MS
        if outside or server - (stamp or 0) > (window or 0):
            message = "Timestamp for this request is outside of the recvWindow."
            return self._refuse("timestamp", 400, -1021, message)
        return None

    def _named(self, reading: Reading) -> Order | None:
        pair = self.pair_in_book(reading.pairs[0])
        if not reading.order_ids:
            client_id = reading.fields.get("origClientOrderId", "")
            return self.book.find_by_client(client_id, reading.api_key, pair)
        order = self.book.find("".join(reading.order_ids), reading.api_key)
        return order if order and order.pair == pair else None

    def _wrapped(self, found: object) -> object:
        return {"data": found} if self.options.indodax_v2_wrapped else found

    def _refuse(self, refusal: str, status: int, code: int, message: str) -> Verdict:
        word = "error" if code > 0 else "msg"
        return Verdict(json_reply(status, {"code": code, word: message}), refusal=refusal)

    def _no_such_order(self) -> Verdict:
        code = 1112 if self.options.indodax_v2_wrapped else -2013
        return self._refuse("order", 404, code, "Order does not exist.")

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, a refused nonce, and errors."""
        return {
            "throttle": lambda _: _THROTTLED,
            "throttle_retry_after": lambda _: Reply(
                429, _THROTTLED.body, headers=(("Retry-After", "1"),)
            ),
            "reject_nonce": self._reject_nonce,
            "indodax_v2_unknown": lambda _: json_reply(
                400, {"code": -1000, "msg": "An unknown error occured."}
            ),
            "indodax_v2_internal": lambda _: json_reply(
                503, {"code": 1000, "error": "Internal error. Please try again."}
            ),
        }

    def _reject_nonce(self, call: Call) -> Reply:
        """Let the key's last nonce jump above the one given."""
        api_key, given = call.reading.api_key, call.reading.nonce or 0
        last = max(self.last_nonce.get(api_key, 0), given) + call.dice.randint(1, 1_000)
        self.last_nonce[api_key] = last
        return json_reply(400, {"code": 1003, "error": f"Nonce must be greater than {last}."})


def _row(order: Order) -> dict[str, object]:
    """Write an order."""
    return {
        "orderId": order.order_id,
        "clientOrderId": order.client_id or f"sim-{order.order_id}",
        "symbol": order.pair.replace("_", "").upper(),
        "side": order.side.upper(),
        "type": "LIMIT",
        "status": _STATUS[order.status],
        "price": "100207000",
        "origQty": "0.1",
        "executedQty": "0.1" if order.status == "filled" else "0",
    }
