"""BitMart v2, from "Cancel an Order" and the pages that it links to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote, urlencode

from worker.simulator.bitmart.tokens import Tokens
from worker.simulator.book import Order
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import body_text, form_fields, whole_number
from worker.simulator.journal import PAIRS, Reading
from worker.simulator.limits import SlidingWindow
from worker.simulator.options import Options
from worker.simulator.signing import bitmart_signature, same
from worker.simulator.wire import Reply, Request, json_reply

TIMESTAMP_WITHIN_MS = 60_000
DEFAULT_LIMIT = 500
_STATUS = {"open": 1, "filled": 3, "canceled": 4}
_OPEN = {1, 5}
_LISTS = {0: {1, 3, 4}, 1: {1}, 2: set[int](), 3: {3}, 4: {4}, 5: {1}}
_CLOSED = {404: "Not found", 400: "Order is not open"}


class Bitmart(Exchange):
    """Cancels one by one, or all of a symbol and side; asks for a bearer token."""

    name = "bitmart"
    mount = "/bitmart"
    stands_for = "https://openapi.bitmart.com"
    own_faults = (
        OwnFault(
            "expire_token",
            applied=False,
            says="the token dies: 401",
            meets=lambda it: it.token is not None,
        ),
    )
    usual_pairs = ("BTC_USDT", "ETH_USDT")

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self.tokens = Tokens(self.ids)
        self._limits: dict[int, SlidingWindow] = {}
        self._last_id = self.ids.randrange(1_000_000, 9_000_000)

    def new_order_id(self) -> str:
        """Return the next of rising decimal numbers."""
        self._last_id += 1
        return str(self._last_id)

    def read(self, request: Request) -> Reading:
        """Distinguish the endpoints, and find out whose token it is."""
        path = self.subpath(request)
        fields = form_fields(request.query)
        if (request.method, path) == ("POST", "/v2/authentication"):
            fields = form_fields(body_text(request.body))
            return Reading("token", fields.get("client_id", ""), fields=fields)
        if (request.method, path) == ("GET", "/v2/time"):
            return Reading("time")
        if (request.method, path) == ("GET", "/v2/symbols_details"):
            return Reading(PAIRS)
        bearer, _, token = request.headers.get("x-bm-authorization", "").partition(" ")
        known = token if bearer == "Bearer" and token else None
        order_id = unquote(path.removeprefix("/v2/orders/")) if path[:11] == "/v2/orders/" else ""
        operation = "unknown"
        if order_id:
            operation = {"DELETE": "cancel", "GET": "query"}.get(request.method, "unknown")
        elif path == "/v2/orders":
            listed = "open_orders" if whole_number(fields.get("status")) in _OPEN else "query"
            operation = {"DELETE": "scope", "GET": listed}.get(request.method, "unknown")
        return Reading(
            operation,
            self.tokens.owner(known or ""),
            timestamp_ms=whole_number(request.headers.get("x-bm-timestamp")),
            order_ids=(order_id,) if order_id else (),
            pairs=(fields["symbol"],) if fields.get("symbol") else (),
            token=known,
            fields=fields,
        )

    def admit(self, call: Call) -> Verdict | None:
        """Keep 5 token requests a minute per key, and the rate per account if one is set."""
        reading = call.reading
        if reading.operation == "token":
            admitted = self.tokens.admit(reading.api_key, call.at_ms)
        else:
            rate = self.options.bitmart_requests_per_s
            limit = self._limits.setdefault(rate, SlidingWindow(rate, 1_000))
            admitted = not rate or limit.admit(reading.api_key, call.at_ms)
        return None if admitted else Verdict(_error(429, "Too many requests"), refusal="rate")

    def list_pairs(self, reading: Reading, pairs: Sequence[str]) -> object:
        """List all symbols."""
        del reading
        parts = {pair: pair.partition("_") for pair in pairs}
        return [
            {"id": pair, "base_currency": base, "quote_currency": quote}
            for pair, (base, _, quote) in parts.items()
        ]

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply."""
        public = {"token": self._grant, "time": _time, "unknown": _no_such_page}
        private = {"cancel": self._cancel, "scope": self._cancel_scope}
        operation = call.reading.operation
        if operation in public:
            return public[operation](call)
        answer = self._get_order if call.reading.order_ids else self._list
        return self._check(call) or private.get(operation, answer)(call)

    def _grant(self, call: Call) -> Verdict:
        fields = call.reading.fields
        key = self.keys.get(call.reading.api_key)
        if fields.get("grant_type") != "client_credentials":
            return _refuse("request", 400, "Invalid grant_type")
        if key is None:
            return _refuse("key", 401, "Unauthorized")
        message = f"{call.reading.api_key}:{key.secret}:{key.memo}"
        if not same(fields.get("client_secret", ""), bitmart_signature(key.secret, message)):
            return _refuse("signature", 401, "Unauthorized")
        lasts_s, only = self.options.bitmart_token_s, self.options.bitmart_single_token
        token = self.tokens.grant(call.reading.api_key, call.now_ms, lasts_s=lasts_s, only=only)
        document = {"access_token": token, "expires_in": lasts_s}
        return Verdict(json_reply(200, document), applied=True)

    def _check(self, call: Call) -> Verdict | None:
        """Check token, timestamp and, for what changes orders, the signature.

        "Your timestamp must be within 60 seconds of the API service time";
        the status and text of that refusal are inferred. "The parameters
        should be sorted in alphabetical order": an id in the path is signed
        as `entrust_id`.
        """
        request, reading = call.request, call.reading
        if reading.token is None or not self.tokens.valid(reading.token, call.now_ms):
            return _refuse("token", 401, "Unauthorized")
        timestamp = reading.timestamp_ms
        if timestamp is None or abs(call.now_ms - timestamp) > TIMESTAMP_WITHIN_MS:
            return _refuse("timestamp", 400, "Invalid X-BM-TIMESTAMP: request timestamp expired")
        if request.method == "GET":
            return None
        params = dict(reading.fields)
        if reading.order_ids:
            params["entrust_id"] = reading.order_ids[0]
        expected = bitmart_signature(
            self.keys[reading.api_key].secret, urlencode(sorted(params.items()))
        )
        if not same(request.headers.get("x-bm-signature", ""), expected):
            return _refuse("signature", 403, "Invalid signature")
        return None

    def _cancel(self, call: Call) -> Verdict:
        """Cancel one order; success is `{}`.

        What a closed order is answered with is not documented: see
        `Options.bitmart_closed`.
        """
        order = self.book.find(call.reading.order_ids[0], call.reading.api_key)
        if order is None:
            return _refuse("order", 404, "Not found")
        if not self.take_off(call, order, "cancel"):
            status = self.options.bitmart_closed
            return _refuse("order", status, _CLOSED[status])
        return Verdict(json_reply(200, {}), applied=True)

    def _cancel_scope(self, call: Call) -> Verdict:
        """Cancel all orders of one symbol and side; success is `{}`."""
        fields = call.reading.fields
        for name in ("symbol", "side"):
            if not fields.get(name):
                return _missing("String", name)
        if fields["side"] not in ("buy", "sell"):
            return _refuse("request", 400, "Invalid side")
        api_key = call.reading.api_key
        for order in self.book.open_orders(api_key, fields["symbol"], fields["side"]):
            self.take_off(call, order, "scope")
        return Verdict(json_reply(200, {}), applied=True)

    def _get_order(self, call: Call) -> Verdict:
        order = self.book.find(call.reading.order_ids[0], call.reading.api_key)
        if order is None:
            return _refuse("order", 404, "Not found")
        return Verdict(json_reply(200, _row(order) | {"type": "limit"}), applied=True)

    def _list(self, call: Call) -> Verdict:
        """List one page; `offset` is the "current page, which starts from 0"."""
        fields = call.reading.fields
        if not fields.get("symbol"):
            return _missing("String", "symbol")
        status = whole_number(fields.get("status"))
        if status is None:
            return _missing("Integer", "status")
        if status not in _LISTS:
            return _refuse("request", 400, f"Invalid status. status={status} not support any more")
        page = whole_number(fields.get("offset") or "0")
        limit = whole_number(fields.get("limit") or str(DEFAULT_LIMIT))
        if page is None or not limit:
            return _refuse("request", 400, "Invalid offset or limit")
        rows = [
            _row(order)
            for order in self.book.orders(call.reading.api_key)
            if order.pair == fields["symbol"] and _STATUS[order.status] in _LISTS[status]
        ]
        document = {
            "orders": rows[page * limit : (page + 1) * limit],
            "total_pages": -(-len(rows) // limit),
            "total_orders": len(rows),
            "current_page": page,
        }
        return Verdict(json_reply(200, document), applied=True)

    def expire_tokens(self) -> bool:
        """End every token."""
        self.tokens.expire()
        return True

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, and the death of a token."""
        too_many = {"message": "Too many requests"}
        return {
            "throttle": lambda _: json_reply(429, too_many),
            "throttle_retry_after": lambda _: json_reply(429, too_many, (("Retry-After", "1"),)),
            "expire_token": self._expire,
        }

    def _expire(self, call: Call) -> Reply:
        self.tokens.expire(call.reading.token)
        return _error(401, "Unauthorized")


def _time(call: Call) -> Verdict:
    return Verdict(json_reply(200, {"server_time": int(call.now_ms)}), applied=True)


def _no_such_page(call: Call) -> Verdict:
    del call
    return _refuse("request", 404, "Not found")


def _row(order: Order) -> dict[str, object]:
    filled = order.status == "filled"
    return {
        "entrust_id": int(order.order_id) if order.order_id.isdigit() else order.order_id,
        "symbol": order.pair,
        "timestamp": int(order.placed_ms),
        "side": order.side,
        "price": "1.000000",
        "fees": "0.1",
        "original_amount": "1",
        "executed_amount": "1" if filled else "0",
        "remaining_amount": "0" if filled else "1",
        "status": _STATUS[order.status],
    }


def _error(status: int, message: str) -> Reply:
    return json_reply(status, {"message": message})


def _refuse(refusal: str, status: int, message: str) -> Verdict:
    return Verdict(_error(status, message), refusal=refusal)


def _missing(kind: str, name: str) -> Verdict:
    return _refuse("request", 400, f"Required {kind} parameter '{name}' is not present")
