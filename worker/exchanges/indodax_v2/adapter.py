"""Indodax, Trade API 2.0: signed queries. It keeps no timer; the legacy API does.

Two documents describe it, and disagree on the host and on the hash of a signature, so
that both are settings. Neither prints a signature that fits: nothing here is verified.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from worker.errors import InvalidCommand
from worker.exchanges.base import MINUTE_MS, Access, Capabilities, Hosts, IdForm, Limit, Stamp
from worker.exchanges.checks import PLAIN_ID, Checker, Need
from worker.exchanges.indodax_v2.replies import CLIENT_ID, read_reply
from worker.model.commands import CancelOrder, Command, ListOpenOrders, QueryOrder
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

NAME: Final = "indodax_v2"
HOSTS: Final = Hosts(
    production="https://api.indodax.com",
    others=("https://tapi.indodax.com", "https://tapi.btcapi.net"),
)
HASHES: Final = ("sha256", "sha512")
"""The newer document's, and that of the one from April 2026."""
RECV_WINDOW_MS: Final = 5_000
"""Both documents' default."""
JSON: Final = "application/json"
CLIENT_IDS: Final = IdForm(CLIENT_ID, "letters, digits, _ and -", longest=36)


def spell(pair: str) -> str:
    """Return a pair as this API writes it, such as `BTCIDR`, of `btc_idr` or `BTC/IDR`."""
    return pair.upper().replace("_", "").replace("/", "")


CAPABILITIES: Final = Capabilities(
    commands=frozenset({CancelOrder, QueryOrder, ListOpenOrders}),
    auth_modes=("timestamp", "nonce"),
    nonce_auth=frozenset({"nonce"}),
    hashes=HASHES,
    timers_at="indodax",
    limits=(
        # 30 cancels a second for each user; 300 requests a minute for each address and endpoint.
        Limit("cancels", (CancelOrder,), "account", max_requests=30, window_ms=1_000),
        Limit("cancels_ip", (CancelOrder,), "ip", max_requests=300, window_ms=MINUTE_MS),
        Limit("queries", (QueryOrder,), "ip", max_requests=300, window_ms=MINUTE_MS),
        Limit("lists", (ListOpenOrders,), "ip", max_requests=300, window_ms=MINUTE_MS),
    ),
    client_ids=CLIENT_IDS,
    lists_client_ids=True,
    spelling=spell,
    # Both documents have a code for a symbol that there is not: -1121, and 1110.
    refuses_unknown_pairs=True,
)
NEEDS: Final[Mapping[type[Command], tuple[Need, ...]]] = {
    CancelOrder: ("pair",),
    QueryOrder: ("pair",),
}
CHECKER: Final = Checker(NAME, CAPABILITIES, PLAIN_ID, NEEDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndodaxV2:
    """The exchange as a signer of commands and a reader of replies."""

    name: str = NAME
    hosts: Hosts = HOSTS
    capabilities: Capabilities = CAPABILITIES

    def check(self, command: Command) -> None:
        """Refuse a command that this API cannot carry out.

        Raises:
            InvalidCommand: The text says what is missing and how to give it.
        """
        CHECKER.check(command)

    def sign(self, command: Command, access: Access, stamp: Stamp) -> Request:
        """Turn a command into the bytes to send.

        Raises:
            InvalidCommand: As in `check`; or the account's `auth` asks for a nonce that
                `stamp` does not hold.
        """
        self.check(command)
        method, path, params = _request(command)
        query = urlencode({**params, **_liveness(access.auth, stamp)})
        headers = {
            "Accept": JSON,
            "Content-Type": JSON,
            "X-APIKEY": access.api_key,
            "Sign": sign(access.api_secret, query, access.hash or HASHES[0]),
        }
        return Request(method, f"{access.base_url.rstrip('/')}{path}?{query}", headers)

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(command, reply)


def sign(secret: str, query: str, name: str) -> str:
    """Return a signature: hex of the query's HMAC by the hash of this name."""
    return hmac.digest(secret.encode(), query.encode(), name).hex()


def _liveness(auth: str, stamp: Stamp) -> dict[str, str]:
    """Give the parameters that make a request unlike every other."""
    if auth == "nonce":
        if stamp.nonce is None:
            raise InvalidCommand(f"{NAME} was asked to sign without a nonce")
        return {"nonce": str(stamp.nonce)}
    window_ms = min(RECV_WINDOW_MS, stamp.window_ms or RECV_WINDOW_MS)
    return {"timestamp": str(stamp.now_ms), "recvWindow": str(window_ms)}


def _request(command: Command) -> tuple[str, str, dict[str, str]]:
    match command:
        case CancelOrder(pair=str(pair)):
            return "DELETE", "/api/v2/order", {"symbol": pair, **_named(command)}
        case QueryOrder(pair=str(pair)):
            return "GET", "/api/v2/order", {"symbol": pair, **_named(command)}
        case ListOpenOrders(pair=str(pair)):
            return "GET", "/api/v2/openOrders", {"symbol": pair}
        case ListOpenOrders():
            return "GET", "/api/v2/openOrders", {}
        case _:
            raise InvalidCommand(f"no request carries out {type(command).__name__}")


def _named(command: CancelOrder | QueryOrder) -> dict[str, str]:
    if command.client_order_id:
        return {"origClientOrderId": command.client_order_id}
    return {"orderId": command.order_id}


INDODAX_V2: Final = IndodaxV2()
