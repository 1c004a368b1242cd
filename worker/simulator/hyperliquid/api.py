"""Hyperliquid's two endpoints, from its documents and its SDK.

An account has the address it is registered with, and one API wallet, whose private key is its
secret. Actions are the account's if either of the two keys has signed them; questions name the
account, and know nothing of API wallets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from worker.simulator.book import Order
from worker.simulator.countdowns import Countdowns, Timer
from worker.simulator.exchange import Call, Exchange, OwnFault, Verdict
from worker.simulator.forms import body_text
from worker.simulator.hyperliquid import markets
from worker.simulator.hyperliquid.curve import address_of
from worker.simulator.hyperliquid.nonces import DAY_MS, Nonces
from worker.simulator.hyperliquid.replies import (
    MISSING,
    THROTTLED,
    accepted,
    canceled,
    document,
    error,
    malformed,
    order_row,
    refuse,
    status_of,
)
from worker.simulator.hyperliquid.signature import signer_of
from worker.simulator.journal import PAIRS, Reading
from worker.simulator.limits import SlidingWindow
from worker.simulator.options import Options
from worker.simulator.wire import Reply, Request

ACTIONS = {"cancel": "cancel", "cancelByCloid": "cancel", "scheduleCancel": "countdown"}
QUESTIONS = {
    "orderStatus": "query",
    "frontendOpenOrders": "open_orders",
    "openOrders": "open_orders",
    "meta": PAIRS,
    "spotMeta": PAIRS,
    "perpDexs": "dexs",
    "userRateLimit": "rate_limit",
}
WEIGHTS = {"query": 2, "open_orders": 20, "dexs": 20, "rate_limit": 20}
WEIGHT_MAX, WINDOW_MS = 1_200, 60_000
AHEAD_MIN_MS = 5_000
VOLUME_MIN = 1_000_000
SPENT_MS = 10_000
_CLOID = re.compile(r"0x[0-9a-f]{32}")


class Hyperliquid(Exchange):
    """Cancels by asset and id; one timer for an account, set to a moment."""

    name = "hyperliquid"
    mount = "/hyperliquid"
    stands_for = "https://api.hyperliquid.xyz"
    traded = ("BTC", "ETH")
    own_faults = (
        OwnFault("hyperliquid_internal", applied=None, says="500 and `null`"),
        OwnFault(
            "hyperliquid_spent",
            applied=False,
            says='"Too many cumulative requests sent"',
            meets=lambda it: it.nonce is not None,
        ),
    )
    usual_pairs = markets.COINS

    def __init__(self, seed: int, options: Options) -> None:
        super().__init__(seed, options)
        self.countdowns = Countdowns()
        self.firings: dict[tuple[str, int], int] = {}
        """By account and day, how often its timer has canceled orders."""
        self._weights = SlidingWindow(WEIGHT_MAX, WINDOW_MS)
        self._nonces = Nonces()
        self._requests: dict[str, int] = {}
        self._last_at: dict[str, float] = {}
        self._last_id = self.ids.randrange(10**10, 9 * 10**10)

    def new_order_id(self) -> str:
        """Return the next of rising decimal numbers."""
        self._last_id += 1
        return str(self._last_id)

    def timers(self) -> list[Timer]:
        """Return the running timers; their pair is empty, as they reach all pairs."""
        return self.countdowns.running()

    def tick(self, at_ms: float) -> None:
        """Cancel the open orders of accounts whose time has come, so often a day at most."""
        for due in self.countdowns.pop_due(at_ms):
            today = due.api_key, int(due.fires_at_ms // DAY_MS)
            if self.firings.get(today, 0) >= self.options.hyperliquid_firings:
                continue
            self.firings[today] = self.firings.get(today, 0) + 1
            for order in self.book.open_orders(due.api_key):
                if markets.dex_of(order.pair) and not self.options.hyperliquid_fires_on_dexs:
                    continue
                self.book.close(order, "canceled", "countdown", at_ms)

    def read(self, request: Request) -> Reading:
        """Read the body; whose action it is, its signature says."""
        body = _document(request)
        path = self.subpath(request)
        if request.method == "POST" and path == "/info":
            named = str(body.get("oid", ""))
            operation = QUESTIONS.get(str(body.get("type")), "unknown")
            user = str(body.get("user", "")).lower()
            ids = (named,) if named else ()
            fields = {"type": str(body.get("type")), "dex": str(body.get("dex") or "")}
            return Reading(operation, self._known(user), order_ids=ids, fields=fields)
        action = body.get("action")
        if request.method != "POST" or path != "/exchange" or not isinstance(action, dict):
            return Reading("unknown")
        signer = signer_of(body)
        nonce, rows, at_ms = body.get("nonce"), action.get("cancels"), action.get("time")
        rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        pairs = [markets.pair_of(row.get("a", row.get("asset"))) for row in rows]
        expires = body.get("expiresAfter")
        return Reading(
            ACTIONS.get(str(action.get("type")), "unknown"),
            self._account_of(signer),
            nonce=nonce if type(nonce) is int else None,
            order_ids=tuple(str(row["o"]) for row in rows if "o" in row),
            pairs=tuple(dict.fromkeys(pair for pair in pairs if pair)),
            countdown_ms=_countdown_ms(action, at_ms, nonce),
            fields={"signer": signer, "expires": "" if expires is None else str(expires)},
        )

    def _known(self, user: str) -> str:
        return next((key for key in self.keys if key.lower() == user), "")

    def _account_of(self, signer: str) -> str:
        """Return the account whose API wallet has this address, or that has it itself."""
        wallets = {address_of(key.secret): name for name, key in self.keys.items()}
        return wallets.get(signer) or self._known(signer)

    def list_pairs(self, reading: Reading, pairs: Sequence[str]) -> object:
        """List the perpetuals, or the spot markets; neither depends on the orders there are."""
        perpetual = reading.fields["type"] == "meta"
        found = markets.perpetuals(reading.fields["dex"]) if perpetual else markets.spot()
        return found if pairs or found is None else {**found, "universe": []}

    def admit(self, call: Call) -> Verdict | None:
        """Count the weight of an address, and the requests of an account."""
        reading = call.reading
        weight = WEIGHTS.get(reading.operation, 1)
        if not self._weights.admit(call.request.source, call.at_ms, weight):
            return Verdict(THROTTLED, refusal="rate")
        if reading.operation not in ("cancel", "countdown") or not reading.api_key:
            return None
        used = self._requests[reading.api_key] = self._requests.get(reading.api_key, 0) + 1
        cap = self._cap
        if reading.operation == "cancel":
            cap = min(cap + 100_000, 2 * cap)
        last_ms = self._last_at.get(reading.api_key, 0.0)
        if used <= cap or call.at_ms - last_ms >= SPENT_MS:
            self._last_at[reading.api_key] = call.at_ms
            return None
        words = f"Too many cumulative requests sent ({used} > {cap}) for cumulative volume traded"
        return refuse("rate", f"{words} ${self.options.hyperliquid_volume:.2f}.")

    @property
    def _cap(self) -> int:
        """How many requests an account may make over its life."""
        return self.options.hyperliquid_requests + int(self.options.hyperliquid_volume)

    def _allowance(self, reading: Reading) -> Verdict:
        """Say what an account has traded, and what it may request."""
        traded = self.options.hyperliquid_volume if reading.api_key else 0.0
        used = self._requests.get(reading.api_key, 0)
        counts = {"nRequestsUsed": used, "nRequestsCap": self._cap, "nRequestsSurplus": 0}
        return document({"cumVlm": f"{traded:.2f}", **counts})

    def handle(self, call: Call) -> Verdict:
        """Judge, apply, reply."""
        body, reading = _document(call.request), call.reading
        match reading.operation:
            case "query":
                return self._query(reading, body)
            case "open_orders":
                orders = self.book.open_orders(reading.api_key)
                here = [it for it in orders if markets.dex_of(it.pair) == reading.fields["dex"]]
                return document([order_row(order) for order in here])
            case "dexs":
                return document(markets.dexs())
            case "rate_limit":
                return self._allowance(reading)
            case "cancel" | "countdown":
                return self._judge(call, body)
            case _:
                return malformed()

    def _judge(self, call: Call, body: dict[str, object]) -> Verdict:
        """Check signer, nonce and expiry; what passes has used its nonce."""
        reading, action = call.reading, body["action"]
        signer, expires = reading.fields["signer"], reading.fields["expires"]
        if not isinstance(action, dict) or reading.nonce is None:
            return malformed()
        if not reading.api_key:
            return refuse("signature", f"User or API Wallet {signer or '0x'} does not exist.")
        refused = self._nonces.why_refused(signer, reading.nonce, call.now_ms)
        if refused:
            return refuse("nonce", refused)
        if expires and not (expires.isdigit() and int(expires) >= call.now_ms):
            return refuse("timestamp", "Action expired.")
        if reading.operation == "countdown":
            return self._schedule(call, action)
        return self._cancel(call, action)

    def _cancel(self, call: Call, action: dict[str, object]) -> Verdict:
        """Cancel each order that is named; one that is not open has an error of its own."""
        rows = action.get("cancels")
        if not isinstance(rows, list) or not rows:
            return malformed()
        if not all(_is_cancel(row) for row in rows):
            return malformed()
        orders = [self._named(row, call.reading.api_key) for row in rows]
        done = [order is not None and self.take_off(call, order, "cancel") for order in orders]
        return canceled(
            ["success" if each else {"error": MISSING} for each in done], applied=any(done)
        )

    def _named(self, row: dict[str, object], api_key: str) -> Order | None:
        """Return the order that a cancel names, of the market of its asset id."""
        if "cloid" in row:
            pair = markets.pair_of(row["asset"])
            return self.book.find_by_client(str(row["cloid"]), api_key, pair)
        order = self.book.find(str(row["o"]), api_key)
        return order if order and order.pair == markets.pair_of(row["a"]) else None

    def _schedule(self, call: Call, action: dict[str, object]) -> Verdict:
        """Set the account's timer to a moment; without one it is unset."""
        traded, account = self.options.hyperliquid_volume, call.reading.api_key
        at_ms = action.get("time", -1)
        if action.keys() - {"type", "time"} or type(at_ms) is not int:
            return malformed()
        if traded < VOLUME_MIN:
            words = "Cannot set scheduled cancel time until enough volume traded."
            return refuse("whitelist", f"{words} Required: ${VOLUME_MIN}. Traded: ${traded:.2f}.")
        if at_ms >= 0 and at_ms < call.now_ms + AHEAD_MIN_MS:
            words = "Scheduled cancel time too early, must be at least 5 seconds from now."
            return refuse("request", words)
        left_ms = round(at_ms - call.now_ms) if at_ms >= 0 else 0
        self.countdowns.set(account, "", left_ms, call.at_ms)
        return accepted()

    def _query(self, reading: Reading, body: dict[str, object]) -> Verdict:
        named = body.get("oid")
        orders = self.book.orders(reading.api_key) if reading.api_key else []
        if isinstance(named, str):
            found = [order for order in orders if order.client_id == named and named]
        elif type(named) is int:
            found = [order for order in orders if order.order_id == str(named)]
        else:
            return malformed()
        return document(status_of(found[-1]) if found else {"status": "unknownOid"})

    @property
    def fault_replies(self) -> Mapping[str, Callable[[Call], Reply]]:
        """Rate refusals, a refused nonce, a spent allowance, and an error of the server."""
        return {
            "throttle": lambda _: THROTTLED,
            "throttle_retry_after": lambda _: Reply(429, b"null", headers=(("Retry-After", "1"),)),
            "reject_nonce": lambda call: error(
                f"Invalid nonce: duplicate nonce {call.reading.nonce}"
            ),
            "hyperliquid_internal": lambda _: Reply(500, b"null"),
            "hyperliquid_spent": lambda _: error(
                "Too many cumulative requests sent (10001 > 10000) for cumulative volume traded $0."
            ),
        }


def _document(request: Request) -> dict[str, object]:
    try:
        found = json.loads(body_text(request.body))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_cancel(row: object) -> bool:
    """Return whether a row is a cancel by id or by client id, and nothing more."""
    match row:
        case {"a": int(), "o": int(), **others}:
            return not others
        case {"asset": int(), "cloid": str(cloid), **others}:
            return not others and _CLOID.fullmatch(cloid) is not None
        case _:
            return False


def _countdown_ms(action: dict[str, object], at_ms: object, nonce: object) -> int | None:
    """Return how far ahead of the nonce a timer is set; 0 to unset it."""
    if action.get("type") != "scheduleCancel":
        return None
    if at_ms is None:
        return 0
    return at_ms - nonce if type(at_ms) is int and type(nonce) is int else None
