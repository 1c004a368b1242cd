"""Kraken's private REST endpoints, from the pages of docs.kraken.com."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence

from worker.simulator.book import Order
from worker.simulator.countdowns import Countdowns, Timer
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import body_text, form_fields, whole_number
from worker.simulator.journal import PAIRS, Reading
from worker.simulator.kraken.replies import error, order_row, refuse, success, timer
from worker.simulator.limits import FallingCounter
from worker.simulator.options import Options
from worker.simulator.signing import kraken_signature, same
from worker.simulator.wire import Reply, Request, html_reply, json_reply

OPERATIONS = {
    "CancelOrder": "cancel",
    "CancelAll": "scope",
    "QueryOrders": "query",
    "OpenOrders": "open_orders",
    "CancelAllOrdersAfter": "countdown",
}
PREFIX = "/0/private/"
COSTS = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
"""What a cancel adds to the counter of its pair, by the age of the order in s."""
TIMEOUT_MAX_S = 86_400
_ALPHABET = string.ascii_uppercase + string.digits
_RATE = "EAPI:Rate limit exceeded"


class Kraken(Exchange):
    """Cancels by id and of the whole account; one timer for an account."""

    name = "kraken"
    mount = "/kraken"
    stands_for = "https://api.kraken.com"
    traded = ("XBTUSD", "ETHUSD")
    own_faults = (
        OwnFault(
            "kraken_pending",
            applied=True,
            says="a cancel that is not yet carried out",
            kind="open",
            meets=lambda it: it.operation == "cancel",
        ),
        OwnFault("kraken_lockout", applied=False, says='"EGeneral:Temporary lockout"', kind="bans"),
        OwnFault("kraken_deadline", applied=None, says='"EService:Deadline elapsed"'),
        OwnFault("kraken_unavailable", applied=None, says='"EService:Unavailable"'),
    )
    usual_pairs = ("ETHUSD", "XBTEUR", "XBTUSD")

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self.countdowns = Countdowns()
        self._calls = FallingCounter()
        self._engine = FallingCounter()

    def new_order_id(self) -> str:
        """Return an id such as OYVGEW-VYV5B-UUEXSK."""
        text = "O" + "".join(self.ids.choices(_ALPHABET, k=16))
        return f"{text[:6]}-{text[6:11]}-{text[11:]}"

    def timers(self) -> list[Timer]:
        """Return the running timers; their pair is empty, as they reach all pairs."""
        return self.countdowns.running()

    def tick(self, at_ms: float) -> None:
        """Cancel the open orders of accounts whose timer has run out; it then stays off."""
        for due in self.countdowns.pop_due(at_ms):
            for order in self.book.open_orders(due.api_key):
                self.book.close(order, "canceled", "countdown", at_ms)

    def read(self, request: Request) -> Reading:
        """Read the form."""
        fields = form_fields(body_text(request.body))
        if (request.method, self.subpath(request)) == ("GET", "/0/public/AssetPairs"):
            return Reading(PAIRS)
        method = self.subpath(request).removeprefix(PREFIX)
        seconds = whole_number(fields.get("timeout"))
        return Reading(
            OPERATIONS.get(method, "unknown") if request.method == "POST" else "unknown",
            request.headers.get("api-key", ""),
            nonce=whole_number(fields.get("nonce")),
            order_ids=tuple(each for each in fields.get("txid", "").split(",") if each),
            countdown_ms=None if seconds is None else seconds * 1_000,
            fields=fields,
        )

    def admit(self, call: Call) -> Verdict | None:
        """Raise the counter of the key, or for a cancel that of the account's pair."""
        reading, options = call.reading, self.options
        if reading.operation == "cancel":
            return self._admit_cancel(call)
        bound = options.kraken_calls
        if not bound or reading.api_key not in self.keys:
            return None
        per_s = options.kraken_calls_per_s
        if self._calls.admit(reading.api_key, call.at_ms, cost=1, bound=bound, per_s=per_s):
            return None
        return refuse("rate", _RATE)

    def _admit_cancel(self, call: Call) -> Verdict | None:
        bound = self.options.kraken_pair_counter
        order = self._named(call.reading)
        if not bound or order is None or order.status != "open":
            return None
        age_s = (call.at_ms - order.placed_ms) / 1_000
        cost = next((cost for within_s, cost in COSTS if age_s < within_s), 0)
        who = f"{order.api_key} {order.pair}"
        if self._engine.admit(who, call.at_ms, cost=cost, bound=bound, per_s=1):
            return None
        return refuse("rate", "EOrder:Rate limit exceeded")

    def list_pairs(self, reading: Reading, pairs: Sequence[str]) -> object:
        """List all pairs by their long names."""
        del reading
        rows = {f"X{pair[:-3]}Z{pair[-3:]}": pair for pair in pairs}
        return {
            "error": [],
            "result": {
                name: {"altname": pair, "wsname": f"{pair[:-3]}/{pair[-3:]}"}
                for name, pair in rows.items()
            },
        }

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply."""
        if not call.request.headers.get("user-agent"):
            return Verdict(html_reply(403), refusal="request")
        refused = self._check(call)
        if refused:
            return refused
        match call.reading.operation:
            case "cancel":
                return self._cancel(call)
            case "scope":
                return success({"count": self._cancel_all(call)})
            case "query":
                return self._query(call)
            case "countdown":
                return self._countdown(call)
            case "open_orders":
                orders = self.book.open_orders(call.reading.api_key)
                return success({"open": {each.order_id: order_row(each) for each in orders}})
            case _:
                return refuse("request", "EGeneral:Unknown method")

    def _check(self, call: Call) -> Verdict | None:
        """Check key, signature and nonce; what passes has used its nonce."""
        request, reading = call.request, call.reading
        key = self.keys.get(reading.api_key)
        if key is None:
            return refuse("key", "EAPI:Invalid key")
        path, nonce = self.subpath(request), reading.fields.get("nonce", "")
        expected = kraken_signature(key.secret, path, nonce, request.body)
        if not same(request.headers.get("api-sign", ""), expected):
            return refuse("signature", "EAPI:Invalid signature")
        if reading.nonce is None or reading.nonce <= self.last_nonce.get(reading.api_key, 0):
            return refuse("nonce", "EAPI:Invalid nonce")
        self.last_nonce[reading.api_key] = reading.nonce
        return None

    def _cancel(self, call: Call) -> Verdict:
        order = self._named(call.reading)
        if order is None or not self.take_off(call, order, "cancel"):
            return refuse("order", "EOrder:Unknown order")
        return success({"count": 1})

    def _named(self, reading: Reading) -> Order | None:
        """Return the order that a cancel names: by `cl_ord_id` if it is open."""
        client_id = reading.fields.get("cl_ord_id")
        if not client_id:
            return self.book.find("".join(reading.order_ids), reading.api_key)
        orders = self.book.open_orders(reading.api_key)
        return next((order for order in orders if order.client_id == client_id), None)

    def _cancel_all(self, call: Call) -> int:
        orders = self.book.open_orders(call.reading.api_key)
        return sum(self.take_off(call, order, "scope") for order in orders)

    def _query(self, call: Call) -> Verdict:
        found = [self.book.find(each, call.reading.api_key) for each in call.reading.order_ids]
        rows = {order.order_id: order_row(order) for order in found if order}
        if not rows and self.options.kraken_missing == "error":
            return refuse("order", "EOrder:Unknown order")
        return success(rows)

    def _countdown(self, call: Call) -> Verdict:
        """Replace the account's timer; 0 stops it."""
        wanted_ms = call.reading.countdown_ms
        if wanted_ms is None or wanted_ms > TIMEOUT_MAX_S * 1_000:
            return refuse("request", "EGeneral:Invalid arguments:timeout")
        self.countdowns.set(call.reading.api_key, "", wanted_ms, call.at_ms)
        return timer(call.now_ms, call.now_ms + wanted_ms if wanted_ms else 0)

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, a lockout, a refused nonce, and errors that leave the fate open."""
        return {
            "throttle": lambda _: error(_RATE),
            "throttle_retry_after": lambda _: error(_RATE, (("Retry-After", "1"),)),
            "reject_nonce": self._reject_nonce,
            "kraken_pending": lambda _: json_reply(
                200, {"error": [], "result": {"count": 1, "pending": True}}
            ),
            "kraken_lockout": lambda _: error("EGeneral:Temporary lockout"),
            "kraken_deadline": lambda _: error("EService:Deadline elapsed"),
            "kraken_unavailable": lambda _: error("EService:Unavailable"),
        }

    def _reject_nonce(self, call: Call) -> Reply:
        """Let the key's last nonce jump above the one given."""
        api_key, given = call.reading.api_key, call.reading.nonce or 0
        last = max(self.last_nonce.get(api_key, 0), given) + call.dice.randint(1, 100)
        self.last_nonce[api_key] = last
        return error("EAPI:Invalid nonce")
