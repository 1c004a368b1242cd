"""Gate, API v4: spot and USDT futures share one way to sign.

Written from "gateapi-python" (the exchange's own SDK) and the API v4 page. A cancel's reply
is the order, with its fate. Both markets keep a timer for each pair. Stop orders are
price-triggered orders, apart from others: no cancel-all and no timer is known to reach them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Capabilities, Hosts, IdForm, Stamp
from worker.exchanges.checks import NUMBER_ID, Checker, Need
from worker.exchanges.gate.limits import LIMITS
from worker.exchanges.gate.market import FUTURES, SPOT, Market
from worker.exchanges.gate.replies import read_reply
from worker.exchanges.timer import Timer
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListPairs,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

VALID_MS: Final = 5_000
"""How long a cancel may be accepted, unless the call says less: it has been given up by then."""
HOSTS: Final = Hosts("https://api.gateio.ws", testnet="https://api-testnet.gateapi.io")
CLIENT_IDS: Final = IdForm(
    re.compile(r"t-[0-9A-Za-z_.-]{1,28}"), "t- and then letters, digits, _ . and -", longest=30
)
"""The `text` of an order, with its prefix: "prefixed with t-", "no longer than 28 bytes"."""
TIMER: Final = Timer(
    pairs_max=1,
    unit_ms=1_000,
    shortest_ms=5_000,
    leaves_stops=True,
    windowed=False,
    echoes=True,
)
""""At least 5 seconds, 0 means cancel countdown". The documents give `X-Gate-Exptime` for
orders and cancels alone, so that nothing here relies on it for a countdown."""


def spell(pair: str) -> str:
    """Return a pair as the exchange writes it, from that or from ccxt's form.

    `BTC/USDT` and `BTC/USDT:USDT` are `BTC_USDT`.
    """
    parts, _, _ = pair.upper().partition(":")
    return parts.replace("/", "_")


CAPABILITIES: Final = Capabilities(
    commands=frozenset(
        {
            CancelOrder,
            CancelScope,
            QueryOrder,
            ListOpenOrders,
            ListStopOrders,
            ListPairs,
            SetCountdown,
        }
    ),
    limits=LIMITS,
    client_ids=CLIENT_IDS,
    lists_client_ids=True,
    spelling=spell,
    pages_shift=True,
    # INVALID_CURRENCY_PAIR, CONTRACT_NOT_FOUND.
    refuses_unknown_pairs=True,
    timer=TIMER,
)
SPOT_NEEDS: Final[Mapping[type[Command], tuple[Need, ...]]] = {
    CancelOrder: ("pair",),
    QueryOrder: ("pair",),
}
FUTURES_NEEDS: Final[Mapping[type[Command], tuple[Need, ...]]] = {CancelScope: ("pair",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One market of the exchange: a signer of commands and a reader of replies.

    Attributes:
        name: Name used in settings.
        market: Its endpoints and the form of its rows.
        needs: What a command must name here.
        hosts: Documented base URLs.
        capabilities: What it can do, and its limits.
    """

    name: str
    market: Market
    needs: Mapping[type[Command], tuple[Need, ...]] = field(repr=False)
    hosts: Hosts = HOSTS
    capabilities: Capabilities = CAPABILITIES

    def check(self, command: Command) -> None:
        """Refuse a command that this market cannot carry out.

        Raises:
            InvalidCommand: The text says what is missing and how to give it.
        """
        Checker(self.name, self.capabilities, NUMBER_ID, self.needs).check(command)

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send.

        What changes something names the moment after which the exchange refuses it, so that
        a request that was given up does not take effect later.

        Raises:
            InvalidCommand: As in `check`.
        """
        self.check(command)
        method, path, params, fields = self._request(command)
        query = urlencode(params)
        target = access.base_url.rstrip("/") + (f"{path}?{query}" if query else path)
        if isinstance(command, ListPairs):
            return Request(method, target)
        body = json.dumps(fields, separators=(",", ":")) if fields else ""
        stamped = str(stamp.now_ms // 1_000)
        headers = {
            "KEY": access.api_key,
            "Timestamp": stamped,
            "SIGN": sign(access.api_secret, payload(method, path, query, body, stamped)),
            "Content-Type": "application/json",
        }
        if method != "GET":
            valid_ms = min(VALID_MS, stamp.window_ms or VALID_MS)
            headers["X-Gate-Exptime"] = str(stamp.now_ms + valid_ms)
        return Request(method, target, headers, body.encode())

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(self.market, command, reply)

    def _request(
        self, command: Command
    ) -> tuple[str, str, dict[str, str], dict[str, object] | None]:
        market = self.market
        orders, stops = f"{market.home}/orders", f"{market.home}/price_orders"
        match command:
            case CancelOrder(stop=True, order_id=stop_id):
                return "DELETE", f"{stops}/{stop_id}", {}, None
            case QueryOrder(stop=True, order_id=stop_id):
                return "GET", f"{stops}/{stop_id}", {}, None
            case ListStopOrders(pair=pair, after=after):
                named = {market.stop_pair: pair} if pair else {}
                return "GET", stops, {"status": "open", **named, **_page("offset", after)}, None
            case ListPairs(after=after):
                size = {"limit": str(market.pairs_page)} if market.pairs_page else {}
                return "GET", market.pairs, {**size, **_page("offset", after)}, None
            case CancelOrder():
                return "DELETE", f"{orders}/{_name(command)}", self._by_pair(command), None
            case QueryOrder():
                return "GET", f"{orders}/{_name(command)}", self._by_pair(command), None
            case CancelScope(pair=pair, side=side):
                scope = {market.pair: pair} if pair else {}
                sides = {"side": market.bid if side == "buy" else market.ask} if side else {}
                return "DELETE", orders, {**scope, **sides}, None
            case ListOpenOrders(pair=None, after=after) if market.lists_by_pair:
                return "GET", f"{market.home}/open_orders", _page(market.pages, after), None
            case ListOpenOrders(pair=pair, after=after):
                named = {market.pair: pair} if pair else {}
                params = {**named, "status": "open", **_page(market.pages, after)}
                return "GET", orders, params, None
            case SetCountdown(pairs=(pair,), countdown_ms=countdown_ms):
                fields = {"timeout": TIMER.written(countdown_ms), market.pair: pair}
                return "POST", f"{market.home}/countdown_cancel_all", {}, fields
            case _:
                raise InvalidCommand(f"{self.name}: no request carries out {command}")

    def _by_pair(self, command: CancelOrder | QueryOrder) -> dict[str, str]:
        market = self.market
        return {market.pair: command.pair} if market.order_by_pair and command.pair else {}


def _page(key: str, after: str) -> dict[str, str]:
    return {key: after} if after else {}


def _name(command: CancelOrder | QueryOrder) -> str:
    return command.client_order_id or command.order_id


def payload(method: str, path: str, query: str, body: str, stamped: str) -> str:
    """Return what is signed: five lines, of which one is the hash of the body."""
    hashed = hashlib.sha512(body.encode()).hexdigest()
    return f"{method}\n{path}\n{query}\n{hashed}\n{stamped}"


def sign(secret: str, text: str) -> str:
    """Return a signature: hex of the HMAC-SHA512."""
    return hmac.digest(secret.encode(), text.encode(), "sha512").hex()


GATE: Final = Gate(name="gate", market=SPOT, needs=SPOT_NEEDS)
GATE_FUTURES: Final = Gate(name="gate_futures", market=FUTURES, needs=FUTURES_NEEDS)
