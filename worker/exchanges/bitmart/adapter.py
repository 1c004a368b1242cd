"""BitMart's v2: cancels with a bearer token, one order or one symbol and side.

The service behind v2 has been retired by the exchange in favor of a newer API
(2020). This adapter speaks v2 because v2 is what the user's document describes.
It documents no countdown, no numeric error codes, and not what a canceled or
filled order answers.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import MINUTE_MS, Access, Capabilities, Hosts, Limit, Stamp
from worker.exchanges.bitmart.replies import PAGE_ROWS, read_reply
from worker.exchanges.checks import PLAIN_ID, Checker, Need, underscored
from worker.model.commands import (
    CancelOrder,
    CancelScope,
    Command,
    FetchToken,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
)
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

FORM: Final = "application/x-www-form-urlencoded"
OPEN_STATUS: Final = "5"
"""The document: "Pending and partially successful orders"."""

NAME: Final = "bitmart"
HOSTS: Final = Hosts(production="https://openapi.bitmart.com")
CAPABILITIES: Final = Capabilities(
    commands=frozenset(
        {FetchToken, CancelOrder, CancelScope, QueryOrder, ListOpenOrders, ListPairs}
    ),
    needs_token=True,
    needs_memo=True,
    pages_shift=True,
    spelling=underscored,
    # The user's document has no list of symbols: what that of other clients lacks may exist.
    unlisted_pairs=re.compile(r".+"),
    warning="the exchange stopped trading in August 2026; its platform ends in January 2027",
    limits=(
        # Documented inconsistently; this is what clients used. Who asks more
        # of the exchange is banned by IP.
        Limit(
            "orders",
            (CancelOrder, CancelScope, QueryOrder, ListOpenOrders),
            "account",
            max_requests=1,
            window_ms=1_000,
        ),
        # "The limit rate for token access is 5 times per minute".
        Limit("token", (FetchToken,), "account", max_requests=5, window_ms=MINUTE_MS, proven=True),
    ),
)
NEEDS: Final[Mapping[type[Command], tuple[Need, ...]]] = {
    CancelScope: ("pair", "side"),
    ListOpenOrders: ("pair",),
}
CHECKER: Final = Checker(NAME, CAPABILITIES, PLAIN_ID, NEEDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BitMart:
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
        """Turn a command into the bytes to send.

        Raises:
            InvalidCommand: As in `check`; or `stamp` holds no token for a
                command that carries one.
        """
        self.check(command)
        base_url = access.base_url.rstrip("/")
        if isinstance(command, ListPairs):
            return Request("GET", f"{base_url}/v2/symbols_details", {})
        if isinstance(command, FetchToken):
            form = {
                "grant_type": "client_credentials",
                "client_id": access.api_key,
                "client_secret": _digest(
                    access.api_secret, f"{access.api_key}:{access.api_secret}:{access.memo}"
                ),
            }
            body = urlencode(form).encode()
            return Request("POST", f"{base_url}/v2/authentication", {"Content-Type": FORM}, body)
        if not stamp.token:
            raise InvalidCommand(f"{self.name} was asked to sign without a token")
        method, path, params = _plan(command)
        headers = {
            "X-BM-TIMESTAMP": str(stamp.now_ms),
            "X-BM-AUTHORIZATION": f"Bearer {stamp.token}",
            # "the parameters should be sorted in alphabetical order"
            "X-BM-SIGNATURE": _digest(access.api_secret, urlencode(sorted(params.items()))),
        }
        return Request(method, f"{base_url}{path}", headers)

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(command, reply)


def _digest(secret: str, message: str) -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def _plan(command: Command) -> tuple[str, str, dict[str, str]]:
    """Give method, path with query, and the parameters that the signature covers.

    An order's id is a parameter too, though it travels in the path. Reads are
    signed as cancels are; the document asks it of cancels alone.
    """
    match command:
        case CancelOrder(order_id=order_id):
            return "DELETE", f"/v2/orders/{quote(order_id, safe='')}", {"entrust_id": order_id}
        case QueryOrder(order_id=order_id):
            return "GET", f"/v2/orders/{quote(order_id, safe='')}", {"entrust_id": order_id}
        case CancelScope(pair=str(pair), side=str(side)):
            method, params = "DELETE", {"symbol": pair, "side": side}
        case ListOpenOrders(pair=str(pair), after=page):
            method = "GET"
            params = {
                "symbol": pair,
                "status": OPEN_STATUS,
                "offset": page or "0",
                "limit": str(PAGE_ROWS),
            }
        case _:
            raise InvalidCommand(f"no request carries out {type(command).__name__}")
    return method, f"/v2/orders?{urlencode(params)}", params


BITMART: Final = BitMart()
