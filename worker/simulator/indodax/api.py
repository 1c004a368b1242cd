"""Indodax: the countdown, and the trade API beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from worker.simulator.countdowns import Countdowns, Timer
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import body_text, form_fields, whole_number
from worker.simulator.indodax.gate import Gate
from worker.simulator.indodax.replies import error, refuse, stale_nonce, success, throttled
from worker.simulator.indodax.trade import OPERATIONS, handle_trade
from worker.simulator.journal import Reading
from worker.simulator.limits import SlidingWindow
from worker.simulator.options import Options
from worker.simulator.wire import Reply, Request, html_reply

DEFAULT_COUNTDOWN_MS = 5_000
_PAIR = re.compile(r"[a-z0-9]+_[a-z0-9]+")
_SLOW_DOWN = "Your IP sent too many requests"


class Indodax(Exchange):
    """Cancels one by one, and by itself when a countdown runs out."""

    name = "indodax"
    mount = "/indodax/tapi"
    stands_for = "https://indodax.com/tapi"
    own_faults = (
        OwnFault("indodax_error", applied=None, says='"Failed to process request"'),
        OwnFault(
            "indodax_bad_sign", applied=False, says='"Invalid credentials. Bad sign."', kind="lasts"
        ),
        OwnFault(
            "indodax_not_authorized",
            applied=False,
            says='"Your user ID is not on the whitelist"',
            kind="lasts",
        ),
        OwnFault("indodax_pair_disabled", applied=False, says='"Pair … disabled"', kind="lasts"),
    )

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self.gate = Gate(options, self.keys, self.last_nonce)
        self.countdowns = Countdowns()
        # "URL Ratelimit 10 requests per 10 seconds per IP."
        self._countdown_limit = SlidingWindow(10, 10_000)
        # "rate limit of 30 requests per second for cancel order", per user
        self._cancel_limit = SlidingWindow(30, 1_000)
        self._last_id = self.ids.randrange(10_000_000, 90_000_000)

    def new_order_id(self) -> str:
        """Return the next of rising decimal numbers."""
        self._last_id += 1
        return str(self._last_id)

    def timers(self) -> list[Timer]:
        """Return the running countdowns."""
        return self.countdowns.running()

    def tick(self, at_ms: float) -> None:
        """Cancel what the countdowns that have run out stand for.

        "If this endpoint is not called within 120 seconds, all your orders of
        the specified symbol will be automatically canceled."
        """
        for timer in self.countdowns.pop_due(at_ms):
            for order in self.book.open_orders(timer.api_key, timer.pair):
                self.book.close(order, "canceled", "countdown", at_ms)

    def read(self, request: Request) -> Reading:
        """Read the parameters of query and body: `totalParams` is both."""
        fields = form_fields(request.query, body_text(request.body))
        operation = "unknown"
        countdown_ms = None
        if request.method == "POST" and self.subpath(request) == "/countdownCancelAll":
            operation = "countdown"
            given = fields.get("countdownTime") or str(DEFAULT_COUNTDOWN_MS)
            countdown_ms = whole_number(given)
        elif request.method == "POST" and not self.subpath(request):
            operation = OPERATIONS.get(fields.get("method", ""), "unknown")
        return Reading(
            operation,
            request.headers.get("key", ""),
            nonce=whole_number(fields.get("nonce")),
            timestamp_ms=whole_number(fields.get("timestamp")),
            order_ids=(fields["order_id"],) if fields.get("order_id") else (),
            pairs=tuple(pair for pair in fields.get("pair", "").split(",") if pair),
            countdown_ms=countdown_ms,
            fields=fields,
        )

    def admit(self, call: Call) -> Verdict | None:
        """Keep 10 countdown requests in 10 s per IP, 30 cancels in 1 s per user."""
        reading = call.reading
        if reading.operation == "countdown":
            if self._countdown_limit.admit(call.request.source, call.at_ms):
                return None
            return Verdict(throttled(_SLOW_DOWN), refusal="rate")
        if reading.operation == "cancel" and reading.api_key in self.keys:
            if self._cancel_limit.admit(reading.api_key, call.at_ms):
                return None
            message = "Your User ID sent too many cancel order requests"
            return Verdict(throttled(message), refusal="rate")
        return None

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply."""
        if call.request.method != "POST" or self.subpath(call.request) not in (
            "",
            "/countdownCancelAll",
        ):
            return Verdict(html_reply(404), refusal="request")
        refused = self.gate.check(call)
        if refused:
            return refused
        if call.reading.operation == "countdown":
            return self.gate.check_whitelist(call) or self._countdown(call)
        return handle_trade(self, call, self._known)

    def _countdown(self, call: Call) -> Verdict:
        reading = call.reading
        if not reading.pairs:
            return refuse("request", "bad_request", "Pair is empty")
        for pair in reading.pairs:
            if not self._known(pair):
                return refuse("request", "bad_request", "Invalid pair")
            if pair in self.options.indodax_disabled_pairs:
                return refuse("request", "bad_request", f"Pair {pair} disabled")
        if reading.countdown_ms is None:
            return refuse("request", "bad_request", "Invalid countdown time")
        for pair in reading.pairs:
            self.countdowns.set(reading.api_key, pair, reading.countdown_ms, call.at_ms)
        return success()

    def _known(self, pair: str) -> bool:
        pairs = self.options.indodax_pairs
        return pair in pairs if pairs else bool(_PAIR.fullmatch(pair))

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, the ambiguous error, and the documented permanent ones."""
        return {
            "throttle": lambda _: throttled(_SLOW_DOWN),
            "throttle_retry_after": lambda _: throttled(_SLOW_DOWN, (("Retry-After", "1"),)),
            "indodax_error": lambda _: error("internal_server_error", "Failed to process request"),
            "reject_nonce": self._reject_nonce,
            "indodax_bad_sign": lambda _: error("bad_sign", "Invalid credentials. Bad sign."),
            "indodax_not_authorized": lambda _: error(
                "not_authorized", "Your user ID is not on the whitelist"
            ),
            "indodax_pair_disabled": lambda call: error(
                "bad_request", f"Pair {(call.reading.pairs or ('btc_idr',))[0]} disabled"
            ),
        }

    def _reject_nonce(self, call: Call) -> Reply:
        """Let the key's last nonce jump above the one given."""
        api_key, given = call.reading.api_key, call.reading.nonce or 0
        last = max(self.last_nonce.get(api_key, 0), given) + call.dice.randint(1, 1_000)
        self.last_nonce[api_key] = last
        return stale_nonce(last, str(given))
