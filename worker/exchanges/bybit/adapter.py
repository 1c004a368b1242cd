"""Bybit: a cancel is only accepted, and the category says which market an account trades in.

Written from the exchange's v5 documents. There is no timer over REST. Of closed orders only
the newest are listed beside the open ones, until a restart; the others are in the order history.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Capabilities, Hosts, IdForm, Stamp
from worker.exchanges.bybit.limits import LIMITS
from worker.exchanges.bybit.pairs import spell
from worker.exchanges.bybit.replies import (
    LINEAR,
    ORDER_ID,
    PAGE_ROWS,
    PAIRS_PAGE_ROWS,
    SETTLED,
    SPOT,
    read_reply,
)
from worker.exchanges.checks import Checker, Need
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
)
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

NAME: Final = "bybit"
HOSTS: Final = Hosts(
    production="https://api.bybit.com",
    testnet="https://api-testnet.bybit.com",
    others=(
        "https://api.bytick.com",
        "https://api.bybit.id",
        "https://api.bybit.nl",
        "https://api.bybit.eu",
    ),
)
CATEGORIES: Final = (LINEAR, "inverse", SPOT)
RECV_WINDOW_MS: Final = 5_000
"""The documents' default."""
CLIENT_IDS: Final = IdForm(re.compile(r"[A-Za-z0-9_-]{1,36}"), "letters, digits, _ and -", 36)
CANCEL: Final = "/v5/order/cancel"
CANCEL_ALL: Final = "/v5/order/cancel-all"
REALTIME: Final = "/v5/order/realtime"
HISTORY: Final = "/v5/order/history"
INSTRUMENTS: Final = "/v5/market/instruments-info"
PLAIN: Final = "Order"
"""What a spot cancel reaches by default; stop orders are named otherwise."""
STOP: Final = "StopOrder"

CAPABILITIES: Final = Capabilities(
    commands=frozenset({CancelOrder, CancelScope, QueryOrder, ListOpenOrders, ListPairs}),
    categories=CATEGORIES,
    limits=LIMITS,
    bans="ip",
    tells_stops=True,
    client_ids=CLIENT_IDS,
    lists_client_ids=True,
    asks_past=True,
    # "System picks up 500 orders randomly to cancel when you have over 500 orders".
    scope_max=500,
    spelling=spell,
    # 170121 "Invalid symbol.", and 10001 of derivatives.
    refuses_unknown_pairs=True,
)
NEEDS: Final[Mapping[type[Command], tuple[Need, ...]]] = {
    CancelOrder: ("pair",),
    CancelScope: ("pair",),
    QueryOrder: ("pair",),
}
CHECKER: Final = Checker(NAME, CAPABILITIES, ORDER_ID, NEEDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bybit:
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
        if isinstance(command, CancelScope) and command.side:
            raise InvalidCommand(f"{self.name} cancels both sides of a pair in one request")

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send, for the account's category.

        The request is valid for what is left of the call.

        Raises:
            InvalidCommand: As in `check`; or the account has no category.
        """
        self.check(command)
        if access.category not in CATEGORIES:
            raise InvalidCommand(f"{self.name} was asked to sign without a category")
        path, params = _request(command, access.category)
        method = "POST" if path in (CANCEL, CANCEL_ALL) else "GET"
        query = urlencode(params) if method == "GET" else ""
        if isinstance(command, ListPairs):
            return Request(method, f"{access.base_url.rstrip('/')}{path}?{query}")
        body = json.dumps(params, separators=(",", ":")) if method == "POST" else ""
        window = str(min(RECV_WINDOW_MS, stamp.window_ms or RECV_WINDOW_MS))
        payload = f"{stamp.now_ms}{access.api_key}{window}{query}{body}"
        headers = {
            "X-BAPI-API-KEY": access.api_key,
            "X-BAPI-TIMESTAMP": str(stamp.now_ms),
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": sign(access.api_secret, payload),
        }
        url = access.base_url.rstrip("/") + path
        if method == "GET":
            return Request(method, f"{url}?{query}", headers)
        headers["Content-Type"] = "application/json"
        return Request(method, url, headers, body.encode())

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(command, reply)


def sign(secret: str, payload: str) -> str:
    """Return a signature: hex of the HMAC-SHA256 of time, key, window and parameters."""
    return hmac.digest(secret.encode(), payload.encode(), "sha256").hex()


def _request(command: Command, category: str) -> tuple[str, dict[str, str]]:
    named = {"category": category}
    match command:
        case CancelOrder(pair=str(pair), stop=stop, stop_kind=kind):
            if category == SPOT:
                named["orderFilter"] = kind or (STOP if stop else PLAIN)
            return CANCEL, {**named, "symbol": pair, **_order(command)}
        case CancelScope(pair=str(pair)):
            return CANCEL_ALL, {**named, "symbol": pair}
        case QueryOrder(pair=str(pair), past=past):
            place = HISTORY if past else REALTIME
            return place, {**named, "symbol": pair, **_order(command)}
        case ListOpenOrders(pair=pair, after=after):
            scope = {"symbol": pair} if pair else {}
            if not pair and category == LINEAR:
                coin, _, after = after.partition(":")
                scope = {"settleCoin": coin or SETTLED[0]}
            page = {"cursor": after} if after else {}
            return REALTIME, {**named, **scope, "limit": str(PAGE_ROWS), **page}
        case ListPairs(after=after):
            status, _, cursor = after.partition(":")
            asked = {"limit": str(PAIRS_PAGE_ROWS), "status": status, "cursor": cursor}
            return INSTRUMENTS, named | {name: value for name, value in asked.items() if value}
        case _:
            raise InvalidCommand(f"no request carries out {type(command).__name__}")


def _order(command: CancelOrder | QueryOrder) -> dict[str, str]:
    if command.client_order_id:
        return {"orderLinkId": command.client_order_id}
    return {"orderId": command.order_id}


BYBIT: Final = Bybit()
