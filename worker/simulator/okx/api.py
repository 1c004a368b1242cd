"""OKX's trade endpoints, from the v5 documents."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from worker.simulator.book import ClosedBy, Order
from worker.simulator.countdowns import Countdowns, Timer
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import body_text, form_fields, whole_number
from worker.simulator.journal import PAIRS, Reading
from worker.simulator.limits import SlidingWindow
from worker.simulator.okx.replies import (
    BUSY,
    THROTTLED,
    TIMEOUT,
    algo_result,
    algo_row,
    order_row,
    refuse,
    single,
    success,
)
from worker.simulator.options import Options
from worker.simulator.signing import okx_signature, same
from worker.simulator.wire import Reply, Request, json_reply

OPERATIONS = {
    ("POST", "/api/v5/trade/cancel-order"): "cancel",
    ("GET", "/api/v5/trade/order"): "query",
    ("GET", "/api/v5/trade/orders-pending"): "open_orders",
    ("POST", "/api/v5/trade/cancel-algos"): "cancel_algos",
    ("GET", "/api/v5/trade/order-algo"): "query_algo",
    ("GET", "/api/v5/trade/orders-algo-pending"): "open_algos",
    ("POST", "/api/v5/trade/cancel-all-after"): "countdown",
    ("GET", "/api/v5/public/instruments"): PAIRS,
}
LIMITS = {
    "cancel": (60, 2_000),
    "query": (60, 2_000),
    "open_orders": (60, 2_000),
    "cancel_algos": (20, 2_000),
    "query_algo": (20, 2_000),
    "open_algos": (20, 2_000),
    "countdown": (1, 1_000),
}
PAGE_ROWS = 100
ALGOS_MAX = 10
"""Algo orders in one cancel."""
ALGO_KINDS = (
    "conditional",
    "oco",
    "trigger",
    "move_order_stop",
    "chase",
    "iceberg",
    "twap",
    "smart_iceberg",
)
EXPIRE_MS = 30_000
KEPT_MS = 2 * 3_600_000
"""How long an order that was canceled unfilled can be asked about."""
TIMEOUT_S = range(10, 121)
_INSTRUMENT = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+){1,4}")


@dataclass(frozen=True, slots=True)
class Closing:
    """An order that is being taken off: when, and what will have closed it."""

    order_id: str
    at_ms: float
    by: ClosedBy


class Okx(Exchange):
    """Cancels that are accepted first, and one timer for an account."""

    name = "okx"
    mount = "/okx"
    stands_for = "https://www.okx.com"
    traded = ("BTC-USDT", "ETH-USDT")
    own_faults = (
        OwnFault("okx_timeout", applied=None, says='50004, "API endpoint request timeout"'),
        OwnFault("okx_busy", applied=False, says="500 and 50026"),
    )
    usual_pairs = ("BTC-USDT", "BTC-USDT-SWAP", "ETH-USDT", "ETH-USDT-SWAP")

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self.countdowns = Countdowns()
        self._windows = {name: SlidingWindow(*limit) for name, limit in LIMITS.items()}
        self._closings: dict[str, Closing] = {}
        self._last_id = self.ids.randrange(10**17, 9 * 10**17)

    def new_order_id(self) -> str:
        """Return the next of rising decimal numbers."""
        self._last_id += 1
        return str(self._last_id)

    def timers(self) -> list[Timer]:
        """Return the running timers; their pair is empty, as they reach all pairs."""
        return self.countdowns.running()

    def waiting(self) -> bool:
        """Also while orders are being taken off."""
        return bool(self._closings) or super().waiting()

    def tick(self, at_ms: float) -> None:
        """Take off what is being canceled; orders of a timer that fired go one by one."""
        for due in self.countdowns.pop_due(at_ms):
            plain = [each for each in self.book.open_orders(due.api_key) if not each.stop]
            for n, each in enumerate(plain):
                at = due.fires_at_ms + n * self.options.okx_fires_each_ms
                closing = Closing(each.order_id, at, "countdown")
                self._closings.setdefault(each.order_id, closing)
        for closing in [each for each in self._closings.values() if each.at_ms <= at_ms]:
            del self._closings[closing.order_id]
            order = self.book.find(closing.order_id)
            if order is None:
                continue
            if closing.by == "fill":
                self.book.close(order, "filled", "fill", closing.at_ms)
            else:
                self.book.close(order, "canceled", closing.by, closing.at_ms)

    def read(self, request: Request) -> Reading:
        """Read the JSON of a POST, or the query."""
        fields = form_fields(request.query)
        if request.method == "POST":
            rows = _json_rows(body_text(request.body))
            fields = rows[0] if len(rows) == 1 else {}
            if self.subpath(request).endswith("cancel-algos"):
                return _algos_reading(request, rows)
        seconds = whole_number(fields.get("timeOut"))
        return Reading(
            OPERATIONS.get((request.method, self.subpath(request)), "unknown"),
            request.headers.get("ok-access-key", ""),
            timestamp_ms=_time_ms(request.headers.get("ok-access-timestamp", "")),
            order_ids=tuple(fields[name] for name in ("ordId", "algoId") if fields.get(name)),
            pairs=(fields["instId"],) if fields.get("instId") else (),
            countdown_ms=None if seconds is None else seconds * 1_000,
            fields=fields,
        )

    def admit(self, call: Call) -> Verdict | None:
        """Count a request of a user, and cancels and questions by instrument."""
        reading = call.reading
        window = self._windows.get(reading.operation)
        who = f"{reading.api_key} {' '.join(reading.pairs)}"
        if reading.operation not in ("cancel", "query", "cancel_algos"):
            who = reading.api_key
        if window is None or window.admit(who, call.at_ms):
            return None
        return Verdict(THROTTLED, refusal="rate")

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
            case "open_orders":
                return self._list(call)
            case "cancel_algos":
                return self._cancel_algos(call)
            case "query_algo":
                return self._query_algo(call)
            case "open_algos":
                return self._list_algos(call)
            case "countdown":
                return self._countdown(call)
            case _:
                return refuse("request", "50404", "Not Found", 404)

    def _check(self, call: Call) -> Verdict | None:
        """Check key, time, signature, passphrase and instrument."""
        request, reading = call.request, call.reading
        key = self.keys.get(reading.api_key)
        if key is None:
            return refuse("key", "50111", "Invalid OK-ACCESS-KEY", 401)
        stamped = request.headers.get("ok-access-timestamp", "")
        if reading.timestamp_ms is None:
            return refuse("timestamp", "50112", "Invalid OK-ACCESS-TIMESTAMP", 401)
        if abs(call.now_ms - reading.timestamp_ms) > EXPIRE_MS:
            return refuse("timestamp", "50102", "Timestamp request expired", 401)
        target = self.subpath(request) + (f"?{request.query}" if request.query else "")
        expected = okx_signature(key.secret, stamped, request.method, target, request.body)
        if not same(request.headers.get("ok-access-sign", ""), expected):
            return refuse("signature", "50113", "Invalid Sign", 401)
        if request.headers.get("ok-access-passphrase", "") != key.memo:
            return refuse("key", "50105", "Request header OK-ACCESS-PASSPHRASE incorrect.", 401)
        if not reading.pairs and reading.operation in ("cancel", "query"):
            return refuse("request", "50014", "Parameter instId can not be empty.", 400)
        if not all(_INSTRUMENT.fullmatch(pair) for pair in reading.pairs):
            return refuse("request", "51001", "Instrument ID doesn't exist")
        return None

    def _cancel(self, call: Call) -> Verdict:
        """Accept a cancel; the order is taken off a moment later."""
        reading = call.reading
        order, client_id = self._named(reading), reading.fields.get("clOrdId", "")
        order_id = order.order_id if order else "".join(reading.order_ids)
        if order is None or order.status != "open":
            words = "Cancellation failed as the order has been filled, canceled or does not exist."
            return Verdict(single(order_id, client_id, "51400", words), refusal="order")
        if order_id in self._closings:
            words = "Cancellation failed as the order is already under cancelling status"
            return Verdict(single(order_id, client_id, "51410", words), refusal="order")
        filled = bool(self.fill_race) and call.dice.random() < self.fill_race
        at_ms = call.at_ms + self.options.okx_cancel_ms
        self._closings[order_id] = Closing(order_id, at_ms, "fill" if filled else "cancel")
        self.tick(call.at_ms)
        return Verdict(single(order_id, client_id), applied=True)

    def _named(self, reading: Reading) -> Order | None:
        """Return the order that a request names; the id counts where both are given."""
        (pair,) = reading.pairs
        if reading.order_ids:
            order = self.book.find(reading.order_ids[0], reading.api_key)
            return order if order and order.pair == pair and not order.stop else None
        client_id = reading.fields.get("clOrdId", "")
        order = self.book.find_by_client(client_id, reading.api_key, pair)
        return order if order and not order.stop else None

    def _query(self, call: Call) -> Verdict:
        order = self._named(call.reading)
        closed_ms = order.closed_ms if order and order.status == "canceled" else None
        if order is None or (closed_ms is not None and call.at_ms - closed_ms > KEPT_MS):
            return refuse("order", "51603", "Order does not exist")
        return success([order_row(order)])

    def _list(self, call: Call) -> Verdict:
        """List the newest open orders first, a page at a time."""
        orders = self._open(call.reading, stop=False)
        return success([order_row(order) for order in orders[:PAGE_ROWS]])

    def _cancel_algos(self, call: Call) -> Verdict:
        """Accept the cancel of algo orders; each has a code of its own."""
        rows = call.reading.order_ids
        if not 1 <= len(rows) <= ALGOS_MAX:
            return refuse("request", "51000", "Parameter error", 400)
        told = [self._cancel_algo(call, *row) for row in zip(rows, call.reading.pairs, strict=True)]
        failed = [row for row in told if row["sCode"] != "0"]
        code = "0" if not failed else "1" if len(failed) == len(told) else "2"
        reply = json_reply(200, {"code": code, "msg": "", "data": told})
        return Verdict(reply, applied=True) if code != "1" else Verdict(reply, refusal="order")

    def _cancel_algo(self, call: Call, order_id: str, pair: str) -> dict[str, str]:
        order = self._algo(call.reading, order_id)
        if order is None or order.pair != pair or order.status != "open":
            words = "Cancellation failed as the order has been filled, canceled or does not exist."
            return algo_result(order_id, "51400", words)
        at_ms = call.at_ms + self.options.okx_cancel_ms
        filled = bool(self.fill_race) and call.dice.random() < self.fill_race
        by: ClosedBy = "fill" if filled else "cancel"
        self._closings.setdefault(order_id, Closing(order_id, at_ms, by))
        self.tick(call.at_ms)
        return algo_result(order_id)

    def _algo(self, reading: Reading, order_id: str) -> Order | None:
        order = self.book.find(order_id, reading.api_key)
        return order if order and order.stop else None

    def _query_algo(self, call: Call) -> Verdict:
        order = self._algo(call.reading, "".join(call.reading.order_ids))
        if order is None:
            return refuse("order", "51603", "Order does not exist")
        return success([algo_row(order, self.options.okx_algo)])

    def _list_algos(self, call: Call) -> Verdict:
        """List the open algo orders of a kind; those of the simulator are all of one."""
        reading = call.reading
        kinds = reading.fields.get("ordType", "").split(",")
        if not set(kinds) <= {*ALGO_KINDS} - {*self.options.okx_lacks} or (
            len(kinds) > 1 and set(kinds) != {"conditional", "oco"}
        ):
            return refuse("request", "51000", "Parameter ordType error", 400)
        kind = self.options.okx_algo
        orders = self._open(reading, stop=True) if kind in kinds else []
        return success([algo_row(order, kind) for order in orders[:PAGE_ROWS]])

    def _open(self, reading: Reading, *, stop: bool) -> list[Order]:
        """Return open orders before the id that the query names, the newest first."""
        pair = reading.pairs[0] if reading.pairs else None
        found = self.book.open_orders(reading.api_key, pair)[::-1]
        orders = [order for order in found if order.stop == stop]
        after = whole_number(reading.fields.get("after"))
        return [order for order in orders if after is None or int(order.order_id) < after]

    def _countdown(self, call: Call) -> Verdict:
        """Replace the account's timer; 0 stops it."""
        reading = call.reading
        wanted_ms = reading.countdown_ms
        if wanted_ms is None or (wanted_ms and wanted_ms // 1_000 not in TIMEOUT_S):
            return refuse("request", "51000", "Parameter timeOut error", 400)
        if reading.fields.get("tag"):
            return refuse("request", "51000", "Parameter tag error", 400)
        self.countdowns.set(reading.api_key, "", wanted_ms, call.at_ms)
        fires = int(call.now_ms) + wanted_ms if wanted_ms else 0
        row = {"triggerTime": str(fires), "tag": "", "ts": str(int(call.now_ms))}
        return success([row])

    def list_pairs(self, reading: Reading, pairs: Sequence[str]) -> object:
        """List the instruments of one type."""
        kind = reading.fields.get("instType", "")
        rows = [
            {"instId": pair, "instType": kind}
            for pair in pairs
            if kind == ("SWAP" if pair.endswith("-SWAP") else "SPOT")
        ]
        return {"code": "0", "msg": "", "data": rows}

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, and errors of the system."""
        return {
            "throttle": lambda _: THROTTLED,
            "throttle_retry_after": lambda _: Reply(
                429, THROTTLED.body, headers=(("Retry-After", "1"),)
            ),
            "okx_timeout": lambda _: TIMEOUT,
            "okx_busy": lambda _: BUSY,
        }


def _json_rows(text: str) -> list[dict[str, str]]:
    """Return the texts of an object, or of each in a list."""
    try:
        found = json.loads(text)
    except ValueError:
        return []
    rows = found if isinstance(found, list) else [found]
    return [
        {name: value for name, value in row.items() if isinstance(value, str)}
        for row in rows
        if isinstance(row, dict)
    ]


def _algos_reading(request: Request, rows: list[dict[str, str]]) -> Reading:
    """Read a list of algo orders to cancel."""
    return Reading(
        OPERATIONS["POST", "/api/v5/trade/cancel-algos"],
        request.headers.get("ok-access-key", ""),
        timestamp_ms=_time_ms(request.headers.get("ok-access-timestamp", "")),
        order_ids=tuple(row.get("algoId", "") for row in rows),
        pairs=tuple(row.get("instId", "") for row in rows),
    )


def _time_ms(text: str) -> int | None:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1_000)
    except ValueError:
        return None
