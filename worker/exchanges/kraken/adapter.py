"""Kraken, spot: forms with a nonce, and a cancel whose reply proves it.

Written from the REST pages of docs.kraken.com. The requests of a key carry nonces that
must rise, so they are sent one at a time. There is no cancel-all of a pair.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Capabilities, Hosts, IdForm, Stamp
from worker.exchanges.checks import Checker
from worker.exchanges.kraken.limits import LIMITS
from worker.exchanges.kraken.replies import ORDER_ID, SECOND_MS, read_reply
from worker.exchanges.timer import Reach, Timer
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

NAME: Final = "kraken"
HOSTS: Final = Hosts(production="https://api.kraken.com")
FORM: Final = "application/x-www-form-urlencoded"
CLIENT_IDS: Final = IdForm(
    re.compile(r"[A-Za-z0-9_-]{1,18}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "letters, digits, _ and -, or a UUID",
    longest=18,
    begins=re.compile(r"[A-Za-z0-9_-]{1,18}|[0-9a-fA-F-]{19,36}"),
)
"""Unique among the open orders of an account, so that a cancel reaches one at most."""

_RENAMED: Final[Mapping[str, str]] = {"BTC": "XBT", "DOGE": "XDG"}
"""Assets that the exchange names otherwise in its pairs."""
_CRYPTO: Final = "ETC|ETH|ICN|LTC|MLN|REP|XBT|XDG|XLM|XMR|XRP|ZEC"
_FIAT: Final = "AUD|CAD|EUR|GBP|JPY|USD"
_LONG: Final = re.compile(rf"X({_CRYPTO})(?:X({_CRYPTO})|Z({_FIAT}))")
"""Older pairs also have a name in which each asset has a letter for its class in front."""


def spell(pair: str) -> str:
    """Return a pair as the exchange writes it in its orders, such as `XBTUSD`.

    `BTC/USD`, `XBT/USD` and `XXBTZUSD` are the same pair. What cannot be taken apart is
    only put in upper case.
    """
    upper = pair.upper()
    base, between, quote = upper.partition("/")
    if between:
        return _RENAMED.get(base, base) + _RENAMED.get(quote, quote)
    found = _LONG.fullmatch(upper)
    return "".join(part for part in found.groups() if part) if found else upper


CAPABILITIES: Final = Capabilities(
    commands=frozenset(
        {CancelOrder, CancelScope, QueryOrder, ListOpenOrders, ListPairs, SetCountdown}
    ),
    auth_modes=("nonce",),
    nonce_auth=frozenset({"nonce"}),
    base64_secret=True,
    limits=LIMITS,
    bans="ip",
    # "It will cancel all client orders when the timer expires", then "the timer remains disabled".
    timer=Timer(
        reach=Reach.ACCOUNT,
        unit_ms=1_000,
        shortest_ms=1_000,
        longest_ms=86_400_000,
        one_shot=True,
        echoes=True,
    ),
    client_ids=CLIENT_IDS,
    lists_client_ids=True,
    tells_stops=True,
    spelling=spell,
)
CHECKER: Final = Checker(NAME, CAPABILITIES, ORDER_ID, needs={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kraken:
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
        if isinstance(command, CancelScope) and (command.pair or command.side):
            raise InvalidCommand(f"{self.name} cancels all orders of an account, or one")
        if isinstance(command, QueryOrder) and command.client_order_id:
            raise InvalidCommand(f"{self.name} is asked about orders by their order id alone")

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send.

        Raises:
            InvalidCommand: As in `check`; or `stamp` holds no nonce, or the secret is not
                base64.
        """
        self.check(command)
        base = access.base_url.rstrip("/")
        if isinstance(command, ListPairs):
            return Request("GET", f"{base}/0/public/AssetPairs", {})
        if stamp.nonce is None:
            raise InvalidCommand(f"{self.name} was asked to sign without a nonce")
        path, params = _request(command)
        body = urlencode({"nonce": stamp.nonce, **params})
        headers = {
            "API-Key": access.api_key,
            "API-Sign": sign(access.api_secret, path, stamp.nonce, body),
            "Content-Type": FORM,
        }
        return Request("POST", base + path, headers, body.encode())

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(command, reply)


def sign(secret: str, path: str, nonce: int, body: str) -> str:
    """Return a signature: base64 of HMAC-SHA512 over path and SHA256(nonce + body).

    Raises:
        InvalidCommand: The secret is not base64.
    """
    try:
        key = base64.b64decode(secret, validate=True)
    except binascii.Error:
        raise InvalidCommand("the API secret is not base64: paste it again") from None
    payload = path.encode() + hashlib.sha256(f"{nonce}{body}".encode()).digest()
    return base64.b64encode(hmac.digest(key, payload, "sha512")).decode()


def _request(command: Command) -> tuple[str, dict[str, str]]:
    match command:
        case CancelOrder(client_order_id=str(client_id)):
            return "/0/private/CancelOrder", {"cl_ord_id": client_id}
        case CancelOrder(order_id=order_id):
            return "/0/private/CancelOrder", {"txid": order_id}
        case CancelScope():
            return "/0/private/CancelAll", {}
        case QueryOrder(order_id=order_id):
            return "/0/private/QueryOrders", {"txid": order_id}
        case ListOpenOrders():
            return "/0/private/OpenOrders", {}
        case SetCountdown(countdown_ms=countdown_ms):
            return "/0/private/CancelAllOrdersAfter", {"timeout": str(countdown_ms // SECOND_MS)}
        case _:
            raise InvalidCommand(f"no request carries out {type(command).__name__}")


KRAKEN: Final = Kraken()
