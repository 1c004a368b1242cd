"""Everstrike: cancels one by one, or up to a hundred in one request.

Written from the exchange's "Cancel" page. It documents neither a countdown nor
what an unknown or filled order answers, so both are left to what is above.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_plus, urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Capabilities, Hosts, Stamp
from worker.exchanges.checks import PRINTABLE_ID, Checker, underscored
from worker.exchanges.everstrike.replies import PAGE_ROWS, read_reply
from worker.model.commands import CancelOrder, CancelOrders, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

NAME: Final = "everstrike"
HOSTS: Final = Hosts(
    production="https://api.everstrike.io", testnet="https://api.testnet.everstrike.io"
)
CAPABILITIES: Final = Capabilities(
    commands=frozenset({CancelOrder, CancelOrders, QueryOrder, ListOpenOrders}),
    bulk_max=100,
    spelling=underscored,
    warning="the exchange has not been seen alive since 2025-01",
)
CHECKER: Final = Checker(NAME, CAPABILITIES, PRINTABLE_ID, needs={})
FORM: Final = "application/x-www-form-urlencoded"


def encode_ids(order_ids: tuple[str, ...]) -> str:
    """Encode the `ids` of a bulk cancel: `ids[0]=…&ids[1]=…`, percent-encoded.

    DANGER: no document says how the array is encoded, and an empty list
    cancels ALL active orders. A server that cannot read this form may see no
    ids at all. So accounts use bulk cancels only where their settings ask for
    them by name, after a trial on the testnet.

    This is what the JavaScript library of the document, `form-urlencoded`,
    makes of an array, and what the exchange's own market maker sends.

    Raises:
        InvalidCommand: `order_ids` is empty.
    """
    if not order_ids:
        raise InvalidCommand(
            "a bulk cancel of no orders would cancel every order: name at least one"
        )
    return urlencode([(f"ids[{index}]", order_id) for index, order_id in enumerate(order_ids)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Everstrike:
    """The exchange as a signer of commands and a reader of replies.

    `CancelScope` is not offered: the exchange's one way to it is the bulk
    cancel's empty list, which reaches every order of the account.
    """

    name: str = NAME
    hosts: Hosts = HOSTS
    capabilities: Capabilities = CAPABILITIES

    def check(self, command: Command) -> None:
        """Refuse a command that this exchange cannot carry out.

        Raises:
            InvalidCommand: The text says what is missing and how to give it.
        """
        CHECKER.check(command)

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:  # noqa: ARG002 - the protocol's
        """Turn a command into the bytes to send; nothing here depends on `stamp`.

        Raises:
            InvalidCommand: As in `check`; an empty bulk cancel above all.
        """
        self.check(command)
        match command:
            case CancelOrder(order_id=order_id):
                return _post(access, "/auth/cancel", f"id={quote_plus(order_id)}")
            case CancelOrders(order_ids=order_ids):
                return _post(access, "/auth/cancel/bulk", encode_ids(order_ids))
            case QueryOrder(order_id=order_id):
                return _get(access, "/order", {"id": order_id})
            case ListOpenOrders(pair=pair, after=limit):
                scope = {} if pair is None else {"pair": pair}
                return _get(access, "/active_orders", {**scope, "limit": limit or str(PAGE_ROWS)})
            case _:
                raise InvalidCommand(f"no request carries out {type(command).__name__}")

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(command, reply)


def _post(access: Access, path: str, form: str) -> Request:
    body = form.encode()
    signature = hmac.digest(access.api_secret.encode(), body, "sha256")
    headers = {
        "content-type": FORM,
        "x-api-key": access.api_key,
        "x-signature": base64.b64encode(signature).decode(),
    }
    return Request("POST", access.base_url.rstrip("/") + path, headers, body)


def _get(access: Access, path: str, query: Mapping[str, str]) -> Request:
    """Reads need the key alone."""
    url = f"{access.base_url.rstrip('/')}{path}?{urlencode(query)}"
    return Request("GET", url, {"x-api-key": access.api_key})


EVERSTRIKE: Final = Everstrike()
