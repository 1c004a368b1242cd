"""Deribit's trade endpoints, from the v2 documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from worker.simulator.book import Order
from worker.simulator.deribit.replies import TOO_MANY, done, error, order_row, refuse
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import form_fields, whole_number
from worker.simulator.journal import PAIRS, Reading
from worker.simulator.limits import FallingCounter
from worker.simulator.options import Options
from worker.simulator.signing import deribit_signature, same
from worker.simulator.wire import Reply, Request

ROOT = "/api/v2"
OPERATIONS = {
    "/private/cancel": "cancel",
    "/private/cancel_all": "scope",
    "/private/cancel_all_by_instrument": "scope",
    "/private/get_order_state": "query",
    "/private/get_open_orders": "open_orders",
    "/private/get_open_orders_by_instrument": "open_orders",
    "/public/get_instruments": PAIRS,
}
NAMES_ALL = ("/private/cancel_all", "/private/get_open_orders")
"""Paths whose requests name no instrument."""
ENGINE = ("cancel", "scope")
ENGINE_CREDITS, ENGINE_PER_S = 20.0, 5.0
CREDITS, PER_S, COST = 50_000.0, 10_000.0, 500.0
EXPIRE_MS = 60_000
_HEADER = re.compile(r"deri-hmac-sha256 (.*)")
_INSTRUMENT = re.compile(r"[A-Z0-9]{2,10}(_[A-Z0-9]{3,5})?(-[A-Z0-9d]{1,12}){0,3}")


class Deribit(Exchange):
    """Cancels that answer with the order, and credits for each sub-account."""

    name = "deribit"
    mount = "/deribit/api/v2"
    stands_for = "https://www.deribit.com/api/v2"
    traded = ("BTC-PERPETUAL", "ETH-PERPETUAL")
    own_faults = (
        OwnFault("deribit_retry", applied=False, says='10040, "retry"'),
        OwnFault("deribit_timed_out", applied=None, says='500 and 13888, "timed_out"'),
    )
    usual_pairs = ("BTC-PERPETUAL", "BTC_USDC", "ETH-PERPETUAL")

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self._engine, self._others = FallingCounter(), FallingCounter()
        self._nonces: dict[str, set[str]] = {}
        self._last_id = self.ids.randrange(10**6, 10**9)

    def new_order_id(self) -> str:
        """Return the next of rising numbers, after a currency."""
        self._last_id += 1
        return f"BTC-{self._last_id}"

    def read(self, request: Request) -> Reading:
        """Read the query and the signature's parts."""
        fields, signed = form_fields(request.query), _signed(request)
        return Reading(
            OPERATIONS.get(self.subpath(request), "unknown")
            if request.method == "GET"
            else "unknown",
            signed.get("id", ""),
            nonce=whole_number(signed.get("nonce")),
            timestamp_ms=whole_number(signed.get("ts")),
            order_ids=(fields["order_id"],) if fields.get("order_id") else (),
            pairs=(fields["instrument_name"],) if fields.get("instrument_name") else (),
            fields=fields,
        )

    def admit(self, call: Call) -> Verdict | None:
        """Take a request's credits."""
        reading = call.reading
        if not self.options.deribit_credits:
            return None
        if reading.operation in ENGINE:
            kept = self._engine.admit(
                reading.api_key, call.at_ms, cost=1.0, bound=ENGINE_CREDITS, per_s=ENGINE_PER_S
            )
        else:
            kept = self._others.admit(
                reading.api_key, call.at_ms, cost=COST, bound=CREDITS, per_s=PER_S
            )
        return None if kept else Verdict(TOO_MANY, refusal="rate")

    def list_pairs(self, reading: Reading, pairs: Sequence[str]) -> object:
        """List the instruments of one kind."""
        kind = reading.fields.get("kind", "")
        rows = [
            {"instrument_name": pair, "kind": kind}
            for pair in pairs
            if kind == ("future" if "-" in pair else "spot")
        ]
        return {"jsonrpc": "2.0", "result": rows, "testnet": False}

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
            case "query":
                return self._query(call)
            case "open_orders":
                rows = [order_row(order) for order in self._open(call)]
                return Verdict(done(rows, call.now_ms), applied=True)
            case _:
                return refuse("request", -32601, "Method not found")

    def _check(self, call: Call) -> Verdict | None:
        """Check key, time, signature, nonce and instrument."""
        request, reading = call.request, call.reading
        signed, key = _signed(request), self.keys.get(reading.api_key)
        if key is None:
            return refuse("key", 13004, "invalid_credentials", status=401)
        if reading.timestamp_ms is None or abs(call.now_ms - reading.timestamp_ms) > EXPIRE_MS:
            words = "timestamp is too far from the server's"
            return refuse("timestamp", 13004, "invalid_credentials", status=401, reason=words)
        target = ROOT + self.subpath(request) + (f"?{request.query}" if request.query else "")
        stamped = f"{signed['ts']}\n{signed.get('nonce', '')}"
        body = request.body.decode("latin-1")
        message = f"{stamped}\n{request.method}\n{target}\n{body}\n"
        if not same(signed.get("sig", ""), deribit_signature(key.secret, message)):
            return refuse("signature", 13004, "invalid_credentials", status=401)
        used = self._nonces.setdefault(reading.api_key, set())
        if signed.get("nonce", "") in {"", *used}:
            return refuse("nonce", 13009, "unauthorized", status=401, reason="nonce was used")
        used.add(signed["nonce"])
        if not reading.order_ids and reading.operation in ("cancel", "query"):
            return refuse("request", -32602, "Invalid params", reason="order_id")
        named = reading.operation in ("scope", "open_orders")
        if named and not reading.pairs and self.subpath(request) not in NAMES_ALL:
            return refuse("request", -32602, "Invalid params", reason="instrument_name")
        if not all(_INSTRUMENT.fullmatch(pair) for pair in reading.pairs):
            return refuse("request", 13020, "not_found", reason="instrument_name")
        return None

    def _cancel(self, call: Call) -> Verdict:
        """Cancel an order; of a stop order, the reply gives the state that it was in."""
        order = self.book.find(call.reading.order_ids[0], call.reading.api_key)
        if order is None:
            return refuse("order", 10004, "order_not_found")
        if order.status == "filled":
            return refuse("order", 11008, "already_filled")
        if order.status == "canceled":
            return refuse("order", 11044, "not_open_order")
        if not self.take_off(call, order, "cancel"):
            return refuse("order", 11008, "already_filled")
        state = "untriggered" if order.stop else "cancelled"
        return Verdict(done(order_row(order, state), call.now_ms), applied=True)

    def _cancel_all(self, call: Call) -> Verdict:
        """Cancel the orders of an instrument, or all; stop orders too. The reply is a count."""
        taken = [order for order in self._open(call) if self.take_off(call, order, "scope")]
        return Verdict(done(len(taken), call.now_ms), applied=True)

    def _open(self, call: Call) -> list[Order]:
        pairs = call.reading.pairs
        return self.book.open_orders(call.reading.api_key, pairs[0] if pairs else None)

    def _query(self, call: Call) -> Verdict:
        order = self.book.find(call.reading.order_ids[0], call.reading.api_key)
        if order is None:
            return refuse("order", 10004, "order_not_found")
        return Verdict(done(order_row(order), call.now_ms), applied=True)

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, and errors of the system."""
        return {
            "throttle": lambda _: TOO_MANY,
            "throttle_retry_after": lambda _: Reply(
                429, TOO_MANY.body, headers=(("Retry-After", "1"),)
            ),
            "deribit_retry": lambda _: error(10040, "retry"),
            "deribit_timed_out": lambda _: error(13888, "timed_out", 500),
        }


def _signed(request: Request) -> dict[str, str]:
    """Return the parts of the `Authorization` header."""
    found = _HEADER.fullmatch(request.headers.get("authorization", ""))
    parts = [part.partition("=") for part in found[1].split(",")] if found else []
    return {name.strip(): value for name, _, value in parts}
