"""Deribit: a cancel's reply is the order, and only `cancelled` in it is proof.

Written from the exchange's v2 documents. Requests are signed one by one with a nonce that no
other has; there is no timer over REST. A label may be that of several orders, so that no
single order is canceled by it.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Capabilities, Hosts, IdForm, Stamp
from worker.exchanges.checks import PLAIN_ID, Checker
from worker.exchanges.deribit.limits import LIMITS
from worker.exchanges.deribit.pairs import KINDS, UNLISTED, spell
from worker.exchanges.deribit.replies import read_reply
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

NAME: Final = "deribit"
ROOT: Final = "/api/v2"
"""Of the path that is signed, wherever the request is sent."""
HOSTS: Final = Hosts(
    production=f"https://www.deribit.com{ROOT}", testnet=f"https://test.deribit.com{ROOT}"
)
LABELS: Final = IdForm(
    re.compile(r"[!-+\--{}~]{1,64}"), "printable ASCII without spaces, commas and |", longest=64
)

CAPABILITIES: Final = Capabilities(
    commands=frozenset({CancelOrder, CancelScope, QueryOrder, ListOpenOrders, ListPairs}),
    unordered_nonce=True,
    limits=LIMITS,
    tells_stops=True,
    client_ids=LABELS,
    lists_client_ids=True,
    spelling=spell,
    pair_lists=KINDS,
    unlisted_pairs=UNLISTED,
    # 13020 "instrument_not_found".
    refuses_unknown_pairs=True,
)
CHECKER: Final = Checker(NAME, CAPABILITIES, PLAIN_ID, needs={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Deribit:
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
        if isinstance(command, CancelOrder | QueryOrder) and command.client_order_id:
            raise InvalidCommand(
                f"a label of {self.name} may name several orders: give the order id, or cancel "
                "all orders whose label begins with a text, by client_id_prefix"
            )
        if isinstance(command, CancelScope) and command.side:
            raise InvalidCommand(f"{self.name} cancels both sides in one request")

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send.

        Raises:
            InvalidCommand: As in `check`; or `stamp` holds no nonce.
        """
        self.check(command)
        path, params = _request(command)
        target = f"{path}?{urlencode(params)}" if params else path
        if isinstance(command, ListPairs):
            return Request("GET", access.base_url.rstrip("/") + target)
        if stamp.nonce is None:
            raise InvalidCommand(f"{self.name} was asked to sign without a nonce")
        payload = f"{stamp.now_ms}\n{stamp.nonce}\nGET\n{ROOT}{target}\n\n"
        signature = sign(access.api_secret, payload)
        parts = f"id={access.api_key},ts={stamp.now_ms},sig={signature},nonce={stamp.nonce}"
        headers = {"Authorization": f"deri-hmac-sha256 {parts}"}
        return Request("GET", access.base_url.rstrip("/") + target, headers)

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(command, reply)


def sign(secret: str, payload: str) -> str:
    """Return a signature: hex of the HMAC-SHA256 of time, nonce, method, path and body."""
    return hmac.digest(secret.encode(), payload.encode(), "sha256").hex()


def _request(command: Command) -> tuple[str, dict[str, str]]:
    match command:
        case CancelOrder(order_id=order_id):
            return "/private/cancel", {"order_id": order_id}
        case QueryOrder(order_id=order_id):
            return "/private/get_order_state", {"order_id": order_id}
        case CancelScope(pair=str(pair)):
            return "/private/cancel_all_by_instrument", {"instrument_name": pair}
        case CancelScope():
            return "/private/cancel_all", {}
        case ListOpenOrders(pair=str(pair)):
            return "/private/get_open_orders_by_instrument", {"instrument_name": pair}
        case ListOpenOrders():
            return "/private/get_open_orders", {}
        case ListPairs(part=kind):
            return "/public/get_instruments", {"currency": "any", "kind": kind}
        case _:
            raise InvalidCommand(f"no request carries out {type(command).__name__}")


DERIBIT: Final = Deribit()
