"""OKX: a cancel is only accepted, and a timer is for the whole account.

Written from the exchange's v5 documents. There is no cancel-all. Stop orders are algo
orders, with endpoints of their own. The timer that is for orders with a tag is not used.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Capabilities, Hosts, IdForm, Stamp
from worker.exchanges.checks import NUMBER_ID, Checker, Need
from worker.exchanges.okx import algos
from worker.exchanges.okx.limits import LIMITS
from worker.exchanges.okx.replies import TIMER, read_reply
from worker.model.commands import (
    CancelOrder,
    Command,
    ListOpenOrders,
    ListPairs,
    ListStopOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

NAME: Final = "okx"
HOST: Final = "https://www.okx.com"
HOSTS: Final = Hosts(HOST, testnet=HOST)
"""The demo has the same host, and a header."""
CLIENT_IDS: Final = IdForm(re.compile(r"[A-Za-z0-9]{1,32}"), "letters and digits", longest=32)
ORDER: Final = "/api/v5/trade/order"
CANCEL: Final = "/api/v5/trade/cancel-order"
PENDING: Final = "/api/v5/trade/orders-pending"
COUNTDOWN: Final = "/api/v5/trade/cancel-all-after"
INSTRUMENTS: Final = "/api/v5/public/instruments"
Params = dict[str, str]
OPTIONS: Final = re.compile(r"[A-Z0-9]+-[A-Z0-9]+-[0-9]{6}-[0-9.]+-[CP]")
"""Options are listed by their family alone."""


def spell(pair: str) -> str:
    """Return a pair as the exchange's instrument id, from that or from ccxt's form.

    `BTC/USDT` is `BTC-USDT`, `BTC/USDT:USDT` is `BTC-USDT-SWAP`; a date of delivery stays:
    `BTC/USD:BTC-240329` is `BTC-USD-240329`.
    """
    parts, perpetual, margin = pair.upper().partition(":")
    if "/" not in parts:
        return pair.upper()
    _, _, delivery = margin.partition("-")
    contract = delivery or ("SWAP" if perpetual else "")
    return "-".join(part for part in (*parts.split("/"), contract) if part)


CAPABILITIES: Final = Capabilities(
    commands=frozenset(
        {CancelOrder, QueryOrder, ListOpenOrders, ListStopOrders, ListPairs, SetCountdown}
    ),
    needs_passphrase=True,
    limits=LIMITS,
    client_ids=CLIENT_IDS,
    lists_client_ids=True,
    spelling=spell,
    pair_lists=("SPOT", "SWAP", "FUTURES"),
    unlisted_pairs=OPTIONS,
    timer=TIMER,
)
NEEDS: Final[Mapping[type[Command], tuple[Need, ...]]] = {
    CancelOrder: ("pair",),
    QueryOrder: ("pair",),
}
CHECKER: Final = Checker(NAME, CAPABILITIES, NUMBER_ID, NEEDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Okx:
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

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send; a test account trades in the demo.

        Raises:
            InvalidCommand: As in `check`.
        """
        self.check(command)
        method, path, params = _request(command)
        if method == "GET" and isinstance(params, dict):
            target, body = (f"{path}?{urlencode(params)}" if params else path), ""
        else:
            target, body = path, json.dumps(params, separators=(",", ":"))
        base = access.base_url.rstrip("/")
        if isinstance(command, ListPairs):
            return Request("GET", base + target, _demo(access))
        at = datetime.fromtimestamp(stamp.now_ms // 1_000, UTC)
        stamped = f"{at:%Y-%m-%dT%H:%M:%S}.{stamp.now_ms % 1_000:03d}Z"
        payload = f"{stamped}{method}{target}{body}"
        headers = {
            "OK-ACCESS-KEY": access.api_key,
            "OK-ACCESS-SIGN": sign(access.api_secret, payload),
            "OK-ACCESS-TIMESTAMP": stamped,
            "OK-ACCESS-PASSPHRASE": access.memo,
        }
        headers |= _demo(access)
        if body:
            headers["Content-Type"] = "application/json"
        return Request(method, base + target, headers, body.encode())

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(command, reply)


def _demo(access: Access) -> dict[str, str]:
    return {"x-simulated-trading": "1"} if access.testnet else {}


def sign(secret: str, payload: str) -> str:
    """Return a signature: base64 of the HMAC-SHA256 of time, method, path and body."""
    return base64.b64encode(hmac.digest(secret.encode(), payload.encode(), "sha256")).decode()


def _request(command: Command) -> tuple[str, str, Params | list[Params]]:
    match command:
        case CancelOrder(stop=True, pair=str(pair), client_order_id=None, order_id=algo_id):
            return "POST", algos.CANCEL, [{"instId": pair, "algoId": algo_id}]
        case QueryOrder(stop=True, client_order_id=None, order_id=algo_id):
            return "GET", algos.ORDER, {"algoId": algo_id}
        case ListStopOrders():
            return "GET", algos.PENDING, algos.listing(command)
        case CancelOrder(pair=str(pair)):
            return "POST", CANCEL, {"instId": pair, **_order(command)}
        case QueryOrder(pair=str(pair)):
            return "GET", ORDER, {"instId": pair, **_order(command)}
        case ListOpenOrders(pair=pair, after=after):
            # "after: Pagination of data to return records earlier than the requested ordId".
            asked = {"instId": pair or "", "after": after}
            return "GET", PENDING, {name: value for name, value in asked.items() if value}
        case ListPairs(part=kind):
            return "GET", INSTRUMENTS, {"instType": kind}
        case SetCountdown(countdown_ms=countdown_ms):
            return "POST", COUNTDOWN, {"timeOut": str(TIMER.written(countdown_ms))}
        case _:
            raise InvalidCommand(f"no request carries out {type(command).__name__}")


def _order(command: CancelOrder | QueryOrder) -> dict[str, str]:
    if command.client_order_id:
        return {"clOrdId": command.client_order_id}
    return {"ordId": command.order_id}


OKX: Final = Okx()
