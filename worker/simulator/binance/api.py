"""Binance's three markets, from "binance-spot-api-docs" and the derivatives pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from worker.simulator.binance.replies import (
    BANNED,
    HALTED,
    THROTTLED,
    UNKNOWN,
    UNKNOWN_ORDER,
    algo_row,
    canceled,
    error,
    order_row,
    refuse,
)
from worker.simulator.book import Order
from worker.simulator.countdowns import Countdowns, Timer
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import body_text, form_fields, whole_number
from worker.simulator.journal import Reading
from worker.simulator.limits import SlidingWindow
from worker.simulator.options import Options
from worker.simulator.signing import binance_signature, same
from worker.simulator.wire import Reply, Request, json_reply

AHEAD_MS = 1_000
RECV_WINDOW_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
MINUTE_MS = 60_000
WITHOUT_SYMBOL = ("open_orders", "cancel_algo", "query_algo", "open_algos")
_SYMBOL = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)?")


@dataclass(frozen=True, slots=True)
class Market:
    """What sets one market apart.

    Attributes:
        name: As in settings.
        prefix: Of its paths.
        cancel_all: Path of the cancel of all orders of a symbol, below the prefix.
        weight_max: Weights allowed in a minute.
        list_all_weight: Weight of a list without a symbol.
        timers: Whether it has countdowns.
        algos: Whether stop orders are algo orders, apart from others.
    """

    name: str
    prefix: str
    cancel_all: str
    weight_max: int
    list_all_weight: int
    timers: bool = True
    algos: bool = False


class Binance(Exchange):
    """One market. A cancel's reply states the order's state."""

    own_faults = (
        OwnFault("binance_banned", applied=False, says="418, with `Retry-After: 1`", kind="bans"),
        OwnFault(
            "binance_unknown", applied=None, says='503 and -1006, "Execution status unknown."'
        ),
        OwnFault("binance_halted", applied=False, says="503 and -1008"),
    )

    market: ClassVar[Market]

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self.countdowns = Countdowns()
        self._weights = SlidingWindow(self.market.weight_max, MINUTE_MS)
        self._last_id = self.ids.randrange(10_000_000, 90_000_000)

    def new_order_id(self) -> str:
        """Return the next of rising decimal numbers."""
        self._last_id += 1
        return str(self._last_id)

    def timers(self) -> list[Timer]:
        """Return the running countdowns."""
        return self.countdowns.running()

    def tick(self, at_ms: float) -> None:
        """Cancel the open orders of symbols whose countdown has run out."""
        for timer in self.countdowns.pop_due(at_ms):
            for order in self._plain(timer.api_key, timer.pair):
                self.book.close(order, "canceled", "countdown", at_ms)

    def read(self, request: Request) -> Reading:
        """Distinguish the endpoints by method and path."""
        fields = form_fields(request.query, body_text(request.body))
        path = self.subpath(request).removeprefix(self.market.prefix)
        operation = "unknown"
        match request.method, path:
            case "DELETE", "/order":
                operation = "cancel"
            case "GET", "/order":
                operation = "query"
            case "GET", "/openOrders":
                operation = "open_orders"
            case "DELETE", found if found == self.market.cancel_all:
                operation = "scope"
            case "DELETE", "/algoOrder" if self.market.algos:
                operation = "cancel_algo"
            case "GET", "/algoOrder" if self.market.algos:
                operation = "query_algo"
            case "GET", "/openAlgoOrders" if self.market.algos:
                operation = "open_algos"
            case "POST", "/countdownCancelAll" if self.market.timers:
                operation = "countdown"
        return Reading(
            operation,
            request.headers.get("x-mbx-apikey", ""),
            timestamp_ms=whole_number(fields.get("timestamp")),
            order_ids=tuple(fields[name] for name in ("orderId", "algoId") if fields.get(name)),
            pairs=(fields["symbol"],) if fields.get("symbol") else (),
            countdown_ms=whole_number(fields.get("countdownTime")),
            fields=fields,
        )

    def admit(self, call: Call) -> Verdict | None:
        """Count the weight of each request of an address."""
        weight = self._weight(call.reading)
        if self._weights.admit(call.request.source, call.at_ms, weight):
            return None
        return Verdict(THROTTLED, refusal="rate")

    def counted(self, call: Call) -> tuple[tuple[str, str], ...]:
        """Say what the address has used."""
        return (("X-MBX-USED-WEIGHT-1M", str(self._weights.used(call.request.source))),)

    def _weight(self, reading: Reading) -> int:
        spot = not self.market.timers
        match reading.operation:
            case "query":
                return 4 if spot else 1
            case "open_orders" | "open_algos" if not reading.pairs:
                return self.market.list_all_weight
            case "open_orders":
                return 6 if spot else 1
            case "countdown":
                return 10
            case _:
                return 1

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply."""
        reading = call.reading
        if reading.operation == "unknown":
            return Verdict(error(404, -1, "Not found"), refusal="request")
        refused = self._check(call)
        if refused:
            return refused
        match reading.operation:
            case "cancel":
                return self._cancel(call)
            case "scope":
                return self._cancel_all(call)
            case "query":
                return self._query(call)
            case "countdown":
                return self._countdown(call)
            case "cancel_algo" | "query_algo" | "open_algos":
                return self._algos(call)
            case _:
                rows = [order_row(each) for each in self._open(reading)]
                return Verdict(json_reply(200, rows), applied=True)

    def _check(self, call: Call) -> Verdict | None:
        """Check key, signature, timestamp and symbol, in the order of the documents."""
        reading, fields = call.reading, call.reading.fields
        key = self.keys.get(reading.api_key)
        if key is None:
            return refuse("key", 401, -2015, "Invalid API-key, IP, or permissions for action.")
        if not same(fields.get("signature", ""), binance_signature(key.secret, _signed(call))):
            message = "Signature for this request is not valid."
            return refuse("signature", 400, -1022, message)
        timestamp = reading.timestamp_ms
        window = whole_number(fields.get("recvWindow") or str(RECV_WINDOW_MS))
        server = int(call.now_ms)
        if timestamp is None or window is None or window > RECV_WINDOW_MAX_MS:
            return refuse("timestamp", 400, -1102, "Mandatory parameter 'timestamp' was not sent.")
        if timestamp >= server + AHEAD_MS or server - timestamp > window:
            message = "Timestamp for this request is outside of the recvWindow."
            return refuse("timestamp", 400, -1021, message)
        if not reading.pairs and reading.operation not in WITHOUT_SYMBOL:
            return refuse("request", 400, -1102, "Mandatory parameter 'symbol' was not sent.")
        known = self.options.binance_symbols
        for pair in reading.pairs:
            if not (pair in known if known else _SYMBOL.fullmatch(pair)):
                return refuse("request", 400, -1121, "Invalid symbol.")
        return None

    def _cancel(self, call: Call) -> Verdict:
        reading = call.reading
        order = self._named(reading)
        if order is None or not self.take_off(call, order, "cancel"):
            return Verdict(UNKNOWN_ORDER, refusal="order")
        return Verdict(json_reply(200, canceled(order, spot=not self.market.timers)), applied=True)

    def _cancel_all(self, call: Call) -> Verdict:
        rows = [
            canceled(order, spot=not self.market.timers)
            for order in self._open(call.reading)
            if self.take_off(call, order, "scope")
        ]
        if self.market.timers:
            done = "The operation of cancel all open order is done."
            return Verdict(json_reply(200, {"code": 200, "msg": done}), applied=True)
        if not rows:
            return Verdict(UNKNOWN_ORDER, refusal="order")
        return Verdict(json_reply(200, rows), applied=True)

    def _query(self, call: Call) -> Verdict:
        reading = call.reading
        order = self._named(reading)
        if order is None:
            return refuse("order", 400, -2013, "Order does not exist.")
        return Verdict(json_reply(200, order_row(order)), applied=True)

    def _algos(self, call: Call) -> Verdict:
        """Answer about stop orders, which no other endpoint reaches."""
        reading = call.reading
        if reading.operation == "open_algos":
            pair = reading.pairs[0] if reading.pairs else None
            found = self.book.open_orders(reading.api_key, pair)
            rows = [algo_row(order) for order in found if order.stop]
            return Verdict(json_reply(200, rows), applied=True)
        order = self.book.find("".join(reading.order_ids), reading.api_key)
        if order is None or not order.stop:
            return refuse("order", 400, -2013, "Order does not exist.")
        if reading.operation == "query_algo":
            return Verdict(json_reply(200, algo_row(order)), applied=True)
        if not self.take_off(call, order, "cancel"):
            return Verdict(UNKNOWN_ORDER, refusal="order")
        told = {"algoId": int(order.order_id), "code": "200", "msg": "success"}
        return Verdict(json_reply(200, told), applied=True)

    def _plain(self, api_key: str, pair: str | None) -> list[Order]:
        """Return the open orders that plain requests and timers reach."""
        found = self.book.open_orders(api_key, pair)
        return [order for order in found if not (order.stop and self.market.algos)]

    def _countdown(self, call: Call) -> Verdict:
        """Replace the symbol's countdown; the reply has the time as text."""
        reading = call.reading
        if reading.countdown_ms is None:
            message = "Mandatory parameter 'countdownTime' was not sent."
            return refuse("request", 400, -1102, message)
        (pair,) = reading.pairs
        self.countdowns.set(reading.api_key, pair, reading.countdown_ms, call.at_ms)
        told = {"symbol": pair, "countdownTime": str(reading.countdown_ms)}
        return Verdict(json_reply(200, told), applied=True)

    def _named(self, reading: Reading) -> Order | None:
        """Return the order of a symbol that a request names: by `orderId` where it is given."""
        (pair,) = reading.pairs
        if not reading.order_ids:
            client_id = reading.fields.get("origClientOrderId", "")
            return self.book.find_by_client(client_id, reading.api_key, pair)
        order = self.book.find("".join(reading.order_ids), reading.api_key)
        return order if order and order.pair == pair else None

    def _open(self, reading: Reading) -> list[Order]:
        pair = reading.pairs[0] if reading.pairs else None
        return self._plain(reading.api_key, pair)

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, a ban, and errors after which the fate is not known."""
        return {
            "throttle": lambda _: THROTTLED,
            "throttle_retry_after": lambda _: Reply(
                429, THROTTLED.body, headers=(("Retry-After", "1"),)
            ),
            "binance_banned": lambda _: BANNED,
            "binance_unknown": lambda _: UNKNOWN,
            "binance_halted": lambda _: HALTED,
        }


def _signed(call: Call) -> str:
    """Return what was signed: query and body, up to the signature."""
    text = call.request.query + body_text(call.request.body)
    return text.rpartition("&signature=")[0]


class BinanceSpot(Binance):
    """Spot."""

    name = "binance"
    mount = "/binance"
    stands_for = "https://api.binance.com"
    traded = ("BTCUSDT", "ETHUSDT")
    market = Market("binance", "/api/v3", "/openOrders", 6_000, 80, timers=False)


class BinanceUsdm(Binance):
    """USDS-M futures."""

    name = "binanceusdm"
    mount = "/binanceusdm"
    stands_for = "https://fapi.binance.com"
    traded = ("BTCUSDT", "ETHUSDT")
    market = Market("binanceusdm", "/fapi/v1", "/allOpenOrders", 2_400, 40, algos=True)


class BinanceCoinm(Binance):
    """COIN-M futures."""

    name = "binancecoinm"
    mount = "/binancecoinm"
    stands_for = "https://dapi.binance.com"
    traded = ("BTCUSD_PERP", "ETHUSD_PERP")
    market = Market("binancecoinm", "/dapi/v1", "/allOpenOrders", 2_400, 40)
