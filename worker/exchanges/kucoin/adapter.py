"""KuCoin's spot orders, by the "hf" endpoints.

Written from the exchange's documents. A plain cancel is only a request; the one on the
path with `/sync/` states the result, so every cancel of an order goes there.
Stop orders have endpoints of their own, and so have pairs of orders of which one ends the
other (OCO): the id of such a pair is written with `oco-` before it. One timer of the
account has a list of pairs.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Capabilities, Hosts, IdForm, Stamp
from worker.exchanges.checks import PLAIN_ID, Checker, Need
from worker.exchanges.kucoin.limits import LIMITS
from worker.exchanges.kucoin.replies import OCO, STOP_ROWS, read_reply
from worker.exchanges.kucoin.timer import TIMER
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListPairs,
    ListStopOrders,
    QueryOrder,
    ReadTimer,
    SetCountdown,
)
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

NAME: Final = "kucoin"
HOSTS: Final = Hosts("https://api.kucoin.com")
CLIENT_IDS: Final = IdForm(
    re.compile(r"[A-Za-z0-9_-]{1,40}"), "letters, digits, _ and -", longest=40
)
ORDERS: Final = "/api/v1/hf/orders"
STOPS: Final = "/api/v1/stop-order"
OCOS: Final = "/api/v3/oco"
COUNTDOWN: Final = f"{ORDERS}/dead-cancel-all"
Params = dict[str, str | int]


def spell(pair: str) -> str:
    """Return a pair as the exchange writes it, from that or from ccxt's form: `BTC-USDT`."""
    return pair.upper().replace("/", "-")


CAPABILITIES: Final = Capabilities(
    commands=frozenset(
        {
            CancelOrder,
            CancelScope,
            QueryOrder,
            ListOpenOrders,
            ListPairs,
            ListStopOrders,
            SetCountdown,
            ReadTimer,
        }
    ),
    needs_passphrase=True,
    limits=LIMITS,
    client_ids=CLIENT_IDS,
    lists_client_ids=True,
    spelling=spell,
    timer=TIMER,
)
NEEDS: Final[Mapping[type[Command], tuple[Need, ...]]] = {
    CancelOrder: ("pair",),
    QueryOrder: ("pair",),
}
CHECKER: Final = Checker(NAME, CAPABILITIES, PLAIN_ID, NEEDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kucoin:
    """The exchange as a signer of commands and a reader of replies."""

    name: str = NAME
    hosts: Hosts = HOSTS
    capabilities: Capabilities = CAPABILITIES

    def check(self, command: Command) -> None:
        """Refuse a command that this exchange cannot carry out.

        Raises:
            InvalidCommand: The text says what is missing and how to give it.
        """
        CHECKER.check(command)
        if isinstance(command, CancelScope) and command.side is not None:
            raise InvalidCommand(f"{NAME} cancels both sides of a pair: leave the side out")

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send.

        Raises:
            InvalidCommand: As in `check`.
        """
        self.check(command)
        if isinstance(command, ListPairs):
            return Request("GET", f"{access.base_url.rstrip('/')}/api/v2/symbols", {})
        method, path, params = _request(command)
        body = json.dumps(params, separators=(",", ":")) if method == "POST" else ""
        target = f"{path}?{urlencode(params)}" if params and not body else path
        payload = f"{stamp.now_ms}{method}{target}{body}"
        headers = {
            "KC-API-KEY": access.api_key,
            "KC-API-SIGN": sign(access.api_secret, payload),
            "KC-API-TIMESTAMP": str(stamp.now_ms),
            "KC-API-PASSPHRASE": sign(access.api_secret, access.memo),
            "KC-API-KEY-VERSION": "2",
        }
        if body:
            headers["Content-Type"] = "application/json"
        return Request(method, access.base_url.rstrip("/") + target, headers, body.encode())

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(command, reply)


def sign(secret: str, payload: str) -> str:
    """Return base64 of an HMAC-SHA256: of time, method, path and body, or of a passphrase."""
    return base64.b64encode(hmac.digest(secret.encode(), payload.encode(), "sha256")).decode()


def _request(command: Command) -> tuple[str, str, Params]:
    match command:
        case (
            CancelOrder(stop=True, client_order_id=None)
            | QueryOrder(stop=True, client_order_id=None)
        ):
            method = "DELETE" if isinstance(command, CancelOrder) else "GET"
            _, oco, order_id = command.order_id.rpartition(OCO)
            return method, f"{OCOS}/order/{order_id}" if oco else f"{STOPS}/{order_id}", {}
        case CancelOrder(pair=str(pair)):
            return "DELETE", f"{ORDERS}/sync/{_order(command)}", {"symbol": pair}
        case QueryOrder(pair=str(pair)):
            return "GET", f"{ORDERS}/{_order(command)}", {"symbol": pair}
        case CancelScope(pair=str(pair)):
            return "DELETE", ORDERS, {"symbol": pair}
        case CancelScope():
            return "DELETE", f"{ORDERS}/cancelAll", {}
        case ListOpenOrders(pair=None, after=""):
            return "GET", f"{ORDERS}/active/symbols", {}
        case ListOpenOrders(pair=pair, after=pairs):
            pair = pair or pairs.partition(",")[0]
            traded = {"tradeType": "TRADE", "status": "active"}
            return "GET", f"{ORDERS}/active", {"symbol": pair, **traded}
        case ListStopOrders(pair=pair, after=after):
            named = {"symbol": pair} if pair else {}
            _, oco, page = after.rpartition(OCO)
            pages = {"currentPage": page or "1", "pageSize": str(STOP_ROWS)}
            return "GET", f"{OCOS}/orders" if oco else STOPS, {**named, **pages}
        case SetCountdown(pairs=pairs, countdown_ms=countdown_ms):
            # Without a list it is for every pair, and a stop ends it whatever its list is.
            listed: Params = {"symbols": ",".join(pairs)} if pairs and countdown_ms else {}
            return "POST", COUNTDOWN, {"timeout": TIMER.written(countdown_ms), **listed}
        case ReadTimer():
            return "GET", f"{COUNTDOWN}/query", {}
        case _:
            raise InvalidCommand(f"no request carries out {type(command).__name__}")


def _order(command: CancelOrder | QueryOrder) -> str:
    if command.client_order_id:
        return f"client-order/{command.client_order_id}"
    return command.order_id


KUCOIN: Final = Kucoin()
