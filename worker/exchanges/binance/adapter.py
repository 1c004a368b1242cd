"""Binance: spot, USDS-M futures and COIN-M futures share one way to sign.

Written from "binance-spot-api-docs" (REST API) and from the pages of the
derivatives API. A cancel's reply states the order's state. The two
futures keep a timer for each symbol; spot has none.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Capabilities, Hosts, IdForm, Stamp
from worker.exchanges.binance.limits import FUTURES_LIMITS, SPOT_LIMITS
from worker.exchanges.binance.replies import read_reply
from worker.exchanges.checks import NUMBER_ID, Checker, Need
from worker.exchanges.timer import Timer
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import Answer, OpenOrders
from worker.model.wire import Reply, Request

RECV_WINDOW_MS: Final = 5_000
"""The documents' default: "recvWindow … defaults to 5000"."""
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where one market's endpoints are."""

    order: str
    open_orders: str
    cancel_all: str
    countdown: str = ""
    algo_order: str = ""
    open_algo_orders: str = ""


def spell(pair: str) -> str:
    """Return a pair as the exchange writes it, from that or from ccxt's form.

    `BTC/USDT` and `BTC/USDT:USDT` are `BTCUSDT`, `BTC/USD:BTC` is `BTCUSD_PERP`; a
    date of delivery stays: `BTC/USDT:USDT-240329` is `BTCUSDT_240329`.
    """
    parts, _, margin = pair.upper().partition(":")
    base, _, quote = parts.partition("/")
    settled, _, delivery = margin.partition("-")
    contract = delivery or ("PERP" if settled == base else "")
    return f"{base}{quote}_{contract}" if contract else f"{base}{quote}"


_COMMANDS: Final = frozenset({CancelOrder, CancelScope, QueryOrder, ListOpenOrders})
_NEEDS: Final[Mapping[type[Command], tuple[Need, ...]]] = {
    CancelOrder: ("pair",),
    CancelScope: ("pair",),
    QueryOrder: ("pair",),
}
CLIENT_IDS: Final = IdForm(
    re.compile(r"[.A-Z:/a-z0-9_-]{1,36}"), "letters, digits, . : / _ and -", longest=36
)
"""As the futures' pages give it; spot's documents do not say, and take these."""
_SPOT: Final = Capabilities(
    commands=_COMMANDS,
    limits=SPOT_LIMITS,
    bans="ip",
    spelling=spell,
    refuses_unknown_pairs=True,  # -1121: "Invalid symbol."
    tells_stops=True,
    client_ids=CLIENT_IDS,
    lists_client_ids=True,
)
_FUTURES: Final = Capabilities(
    commands=_COMMANDS | {SetCountdown},
    limits=FUTURES_LIMITS,
    bans="ip",
    spelling=spell,
    refuses_unknown_pairs=True,
    timer=Timer(pairs_max=1, leaves_stops=True, echoes=True),
    tells_stops=True,
    client_ids=CLIENT_IDS,
    lists_client_ids=True,
)
_USDM: Final = replace(_FUTURES, commands=_FUTURES.commands | {ListStopOrders}, tells_stops=False)
"""Stop orders are algo orders, apart from all others, since December 2025."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binance:
    """One market of the exchange: a signer of commands and a reader of replies.

    Attributes:
        name: Name used in settings, which is ccxt's id.
        hosts: Documented base URLs.
        capabilities: What it can do, and its limits.
        paths: Its endpoints.
    """

    name: str
    hosts: Hosts
    capabilities: Capabilities
    paths: Paths

    def check(self, command: Command) -> None:
        """Refuse a command that this market cannot carry out.

        Raises:
            InvalidCommand: The text says what is missing and how to give it.
        """
        Checker(self.name, self.capabilities, NUMBER_ID, _NEEDS).check(command)

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send.

        The request is valid for what is left of the call, so that the exchange
        refuses it when it arrives later.

        Raises:
            InvalidCommand: As in `check`.
        """
        self.check(command)
        method, path, params = self._request(command)
        window_ms = min(RECV_WINDOW_MS, stamp.window_ms or RECV_WINDOW_MS)
        query = urlencode({**params, "recvWindow": window_ms, "timestamp": stamp.now_ms})
        signed = f"{query}&signature={sign(access.api_secret, query)}"
        headers = {"X-MBX-APIKEY": access.api_key}
        url = access.base_url.rstrip("/") + path
        if method == "POST":
            return Request(method, url, {**headers, "Content-Type": FORM}, signed.encode())
        return Request(method, f"{url}?{signed}", headers)

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        answer = read_reply(command, reply)
        if self.paths.algo_order and isinstance(command, ListOpenOrders):
            return _as_plain(answer)  # whatever its type says, it is no algo order
        return answer

    def _request(self, command: Command) -> tuple[str, str, dict[str, str]]:
        paths = self.paths
        match command:
            case CancelOrder(stop=True, order_id=algo_id) if paths.algo_order:
                return "DELETE", paths.algo_order, {"algoId": algo_id}
            case QueryOrder(stop=True, order_id=algo_id) if paths.algo_order:
                return "GET", paths.algo_order, {"algoId": algo_id}
            case ListStopOrders(pair=str(pair)):
                return "GET", paths.open_algo_orders, {"symbol": pair}
            case ListStopOrders():
                return "GET", paths.open_algo_orders, {}
            case CancelOrder(pair=str(pair)):
                return "DELETE", paths.order, {"symbol": pair, **_order(command)}
            case QueryOrder(pair=str(pair)):
                return "GET", paths.order, {"symbol": pair, **_order(command)}
            case CancelScope(pair=str(pair), side=None):
                return "DELETE", paths.cancel_all, {"symbol": pair}
            case ListOpenOrders(pair=str(pair)):
                return "GET", paths.open_orders, {"symbol": pair}
            case ListOpenOrders():
                return "GET", paths.open_orders, {}
            case SetCountdown(pairs=(pair,), countdown_ms=countdown_ms):
                params = {"symbol": pair, "countdownTime": str(countdown_ms)}
                return "POST", paths.countdown, params
            case _:
                raise InvalidCommand(f"{self.name}: no request carries out {command}")


def _as_plain(answer: Answer) -> Answer:
    if not isinstance(answer, OpenOrders):
        return answer
    return replace(answer, orders=tuple(replace(row, stop=False) for row in answer.orders))


def _order(command: CancelOrder | QueryOrder) -> dict[str, str]:
    if command.client_order_id:
        return {"origClientOrderId": command.client_order_id}
    return {"orderId": command.order_id}


def sign(secret: str, payload: str) -> str:
    """Return the signature of a query or form: hex of its HMAC-SHA256."""
    return hmac.digest(secret.encode(), payload.encode(), "sha256").hex()


BINANCE: Final = Binance(
    name="binance",
    hosts=Hosts(
        production="https://api.binance.com",
        testnet="https://testnet.binance.vision",
        others=(
            "https://api-gcp.binance.com",
            "https://api1.binance.com",
            "https://api2.binance.com",
            "https://api3.binance.com",
            "https://api4.binance.com",
        ),
    ),
    capabilities=_SPOT,
    paths=Paths("/api/v3/order", "/api/v3/openOrders", "/api/v3/openOrders"),
)
BINANCE_USDM: Final = Binance(
    name="binanceusdm",
    hosts=Hosts("https://fapi.binance.com", testnet="https://demo-fapi.binance.com"),
    capabilities=_USDM,
    paths=Paths(
        "/fapi/v1/order",
        "/fapi/v1/openOrders",
        "/fapi/v1/allOpenOrders",
        "/fapi/v1/countdownCancelAll",
        "/fapi/v1/algoOrder",
        "/fapi/v1/openAlgoOrders",
    ),
)
BINANCE_COINM: Final = Binance(
    name="binancecoinm",
    hosts=Hosts("https://dapi.binance.com", testnet="https://testnet.binancefuture.com"),
    capabilities=_FUTURES,
    paths=Paths(
        "/dapi/v1/order",
        "/dapi/v1/openOrders",
        "/dapi/v1/allOpenOrders",
        "/dapi/v1/countdownCancelAll",
    ),
)
