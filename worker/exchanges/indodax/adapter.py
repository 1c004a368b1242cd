"""Indodax: a countdown kept by the exchange, and cancels through its trade API.

Written from "Deadman Switch Documentation" (countdownCancelAll) and from the
exchange's "Private REST API" (TAPI), both on the same host.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import Access, Capabilities, Hosts, Limit, Stamp
from worker.exchanges.checks import PLAIN_ID, Checker, Need
from worker.exchanges.indodax.replies import STOP_TYPE, read_reply
from worker.exchanges.timer import Timer
from worker.model.commands import (
    CancelOrder,
    Command,
    ListOpenOrders,
    QueryOrder,
    SetCountdown,
)
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

NAME: Final = "indodax"
HOSTS: Final = Hosts(
    production="https://indodax.com/tapi",
    testnet="https://demo-indodax.com/tapi",
    others=("https://btcapi.net/tapi",),
)
RECV_WINDOW_MS: Final = 5_000
"""The document's default."""
QUOTES: Final = ("usdt", "idr")
"""What pairs are traded in."""


def spelling(pair: str) -> str:
    """Return a pair as its `ticker_id` has it, such as `btc_idr`.

    "To get available pairs, access the api/pairs endpoint and use the ticker_id values."
    That endpoint's `id` and `symbol` of the same pair are `btcidr` and `BTCIDR`.
    """
    pair = pair.lower().replace("/", "_")
    for quote in QUOTES:
        if "_" not in pair and pair.endswith(quote) and pair != quote:
            return f"{pair.removesuffix(quote)}_{quote}"
    return pair


CAPABILITIES: Final = Capabilities(
    commands=frozenset({SetCountdown, CancelOrder, QueryOrder, ListOpenOrders}),
    auth_modes=("nonce", "timestamp"),
    nonce_auth=frozenset({"nonce"}),
    limits=(
        # "URL Ratelimit 10 requests per 10 seconds per IP."
        Limit("countdown", (SetCountdown,), "ip", max_requests=10, window_ms=10_000, paced=True),
        # "rate limit of 30 requests per second for cancel order", per user.
        Limit("cancels", (CancelOrder,), "account", max_requests=30, window_ms=1_000),
    ),
    timer=Timer(),
    tells_stops=True,
    spelling=spelling,
    # "Invalid pair", as the document's table of errors has it.
    refuses_unknown_pairs=True,
)
NEEDS: Final[Mapping[type[Command], tuple[Need, ...]]] = {
    CancelOrder: ("pair", "side"),
    QueryOrder: ("pair",),
}
CHECKER: Final = Checker(NAME, CAPABILITIES, PLAIN_ID, NEEDS)
FORM: Final = "application/x-www-form-urlencoded"
PLAIN_TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Indodax:
    """The exchange as a signer of commands and a reader of replies.

    Attributes:
        name: Name used in settings.
        hosts: Documented base URLs.
        capabilities: What it can do, and its limits.
        params_in: Where a countdown's parameters travel. The document signs
            and sends both forms; they differ in the comma between pairs, a
            literal one in the body and `%2C` in the query.
        recv_window_ms: How long after its timestamp a request stays valid:
            "Default is 5000 ms."
    """

    name: str = NAME
    hosts: Hosts = HOSTS
    capabilities: Capabilities = CAPABILITIES
    params_in: Literal["body", "query"] = "body"
    recv_window_ms: int = RECV_WINDOW_MS

    def check(self, command: Command) -> None:
        """Refuse a command that this exchange cannot carry out.

        Raises:
            InvalidCommand: The text says what is missing and how to give it.
        """
        CHECKER.check(command)

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send.

        Raises:
            InvalidCommand: As in `check`; or the account's `auth` is unknown,
                or asks for a nonce that `stamp` does not hold.
        """
        self.check(command)
        liveness = self._liveness(access.auth, stamp)
        if isinstance(command, SetCountdown):
            return self._countdown(command, access, liveness)
        body = urlencode({**_trade_params(command), **liveness})
        url = access.base_url.rstrip("/")
        return Request("POST", url, _headers(access, body, FORM), body.encode())

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(command, reply)

    def _countdown(
        self, command: SetCountdown, access: Access, liveness: Mapping[str, str]
    ) -> Request:
        params = {
            "pair": ",".join(command.pairs),
            "countdownTime": str(command.countdown_ms),
            **liveness,
        }
        url = f"{access.base_url.rstrip('/')}/countdownCancelAll"
        if self.params_in == "query":
            query = urlencode(params)
            return Request("POST", f"{url}?{query}", _headers(access, query))
        body = urlencode(params, safe=",")
        return Request("POST", url, _headers(access, body, PLAIN_TEXT), body.encode())

    def _liveness(self, auth: str, stamp: Stamp) -> dict[str, str]:
        """Give the parameters that make a request unlike every other.

        "You can choose to fill either the nonce field or the recvWindow and
        timestamp fields."
        """
        match auth:
            case "timestamp":
                window_ms = min(self.recv_window_ms, stamp.window_ms or self.recv_window_ms)
                return {"timestamp": str(stamp.now_ms), "recvWindow": str(window_ms)}
            case "nonce" | "" if stamp.nonce is not None:
                return {"nonce": str(stamp.nonce)}
            case "nonce" | "":
                raise InvalidCommand(f"{self.name} was asked to sign without a nonce")
            case _:
                raise InvalidCommand(
                    f"auth = {auth!r} is not a way to sign for {self.name}: "
                    'set auth = "nonce" or auth = "timestamp" for this account'
                )


def _headers(access: Access, total_params: str, content_type: str = "") -> dict[str, str]:
    """Sign; the document says "use your Key", its examples show that it is the secret."""
    secret = access.api_secret.encode()
    signature = hmac.new(secret, total_params.encode(), hashlib.sha512).hexdigest()
    headers = {"Key": access.api_key, "Sign": signature}
    return {**headers, "Content-Type": content_type} if content_type else headers


def _trade_params(command: Command) -> dict[str, str]:
    match command:
        case CancelOrder(order_id=order_id, pair=str(pair), side=str(side), stop=stop):
            params = {"method": "cancelOrder", "pair": pair, "order_id": order_id, "type": side}
            return {**params, "order_type": STOP_TYPE} if stop else params  # default: limit
        case QueryOrder(order_id=order_id, pair=str(pair)):
            return {"method": "getOrder", "pair": pair, "order_id": order_id}
        case ListOpenOrders(pair=str(pair)):
            return {"method": "openOrders", "pair": pair}
        case ListOpenOrders():
            return {"method": "openOrders"}
        case _:
            raise InvalidCommand(f"no request carries out {type(command).__name__}")


INDODAX: Final = Indodax()
