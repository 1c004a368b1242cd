"""Hyperliquid: actions signed by an API wallet, and a timer that is set to a moment.

Written from the exchange's documents and its own SDK. The API key is the address of the account
and the API secret the private key of an API wallet ("agent") of it, which can trade but not
withdraw. There is no cancel-all. Markets of other exchanges on it (HIP-3) are in lists of their
own, which `dexs` reads; no document says whether the timer reaches their orders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from worker.errors import InvalidCommand
from worker.exchanges.base import MINUTE_MS, Access, Capabilities, Hosts, IdForm, Stamp
from worker.exchanges.checks import Checker, Need
from worker.exchanges.hyperliquid import dexs
from worker.exchanges.hyperliquid.limits import LIMITS
from worker.exchanges.hyperliquid.replies import (
    CLIENT_ID,
    FIRST_OUTCOME_ASSET,
    FIRST_SPOT,
    ORDER_ID,
    OUTCOME,
    PERPETUALS,
    SPOT,
    read_reply,
)
from worker.exchanges.timer import Reach, Timer
from worker.model.commands import (
    CancelOrder,
    Command,
    ListOpenOrders,
    ListPairs,
    QueryOrder,
    ReadTimer,
    SetCountdown,
)
from worker.model.outcomes import Answer
from worker.model.wire import Reply, Request

NAME: Final = "hyperliquid"
HOSTS: Final = Hosts(
    production="https://api.hyperliquid.xyz", testnet="https://api.hyperliquid-testnet.xyz"
)
TIMER: Final = Timer(
    reach=Reach.ACCOUNT,
    # "The time must be at least 5 seconds after the current time": when it arrives.
    shortest_ms=6_000,
    absolute=True,
    # Its SDK: "The max number of triggers per day is 10", reset at 00:00 UTC.
    firings_max=10,
    read_every_ms=10 * MINUTE_MS,
    conditional=True,
    leaves_others=True,
)
"""Once the time comes, "all open orders will be canceled"."""


ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
PAIRS: Final = IdForm(
    re.compile(r"[A-Za-z0-9_.@:#-]{1,64}"), "letters, digits, _ . @ : # or -", longest=64
)


def spell(pair: str) -> str:
    """Return a pair as the exchange names it, from that or from ccxt's form.

    `BTC/USDC:USDC` is the perpetual `BTC`. A spot market has a number, such as `@107`, which no
    other name tells; the first is also named `PURR/USDC`. The list of pairs finds `HYPE-USDC`,
    which is `HYPE/USDC` here, however its parts are separated, and `XYZ-TSLA`, which is
    `XYZ-TSLA/USDC:USDC` here, as another name of `xyz:TSLA`.
    """
    if pair.upper() == FIRST_SPOT:
        return "@0"
    coin, _, quoted = pair.partition("/")
    return coin if ":" in quoted else pair.replace("/", "-")


def outcome_asset(pair: str) -> str:
    """Return the asset id of an outcome market, which its name tells; else nothing."""
    found = OUTCOME.fullmatch(pair)
    return str(FIRST_OUTCOME_ASSET + int(found[1])) if found else ""


def vet(access: Access) -> str:
    """Return what is wrong with credentials; empty for nothing.

    Questions name the account: with the address of an API wallet every list would be empty.
    """
    from worker.exchanges.hyperliquid.signing import address_of  # noqa: PLC0415  an extra

    if not ADDRESS.fullmatch(access.api_key):
        return "api_key is no address: give the account's, 0x and 40 hexadecimal digits"
    try:
        wallet = address_of(access.api_secret)
    except InvalidCommand as error:
        return f"api_secret: {error}"
    if wallet == access.api_key.lower():
        return (
            "api_key is the address of api_secret: give the address of the account, and the "
            "private key of an API wallet that it has approved; the account's own can withdraw"
        )
    return ""


CAPABILITIES: Final = Capabilities(
    commands=frozenset(
        {CancelOrder, QueryOrder, ListOpenOrders, ListPairs, SetCountdown, ReadTimer}
    ),
    limits=LIMITS,
    timer=TIMER,
    tells_stops=True,
    leaves_out="TWAP orders",
    client_ids=CLIENT_ID,
    lists_client_ids=True,
    spelling=spell,
    pair_lists=(PERPETUALS, SPOT),
    needs_asset=True,
    asset_in=outcome_asset,
    unlisted_pairs=OUTCOME,
    pages_apart=True,
    unordered_nonce=True,
    hex_keys=True,
    vet=vet,
)
NEEDS: Final[Mapping[type[Command], tuple[Need, ...]]] = {CancelOrder: ("pair",)}
CHECKER: Final = Checker(NAME, CAPABILITIES, ORDER_ID, NEEDS, PAIRS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperliquid:
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
        """Turn a command into the bytes to send. Questions are not signed.

        Raises:
            InvalidCommand: As in `check`; or `stamp` holds no nonce, or no asset id for a
                cancel; or the secret is no private key.
        """
        self.check(command)
        match command:
            case CancelOrder() | SetCountdown():
                return _act(_action(command, stamp), access, stamp)
            case QueryOrder(client_order_id=str(client_id)):
                return _ask({"type": "orderStatus", **_user(access), "oid": client_id}, access)
            case QueryOrder(order_id=order_id):
                return _ask({"type": "orderStatus", **_user(access), "oid": int(order_id)}, access)
            case ListOpenOrders(after=dexs.ASK) | ListPairs(after=dexs.ASK):
                return _ask({"type": dexs.LIST}, access)
            case ListOpenOrders(pair=pair, after=after):
                dex = dexs.dex_of(pair) if pair else dexs.here(after)[1]
                question = {"type": "frontendOpenOrders", **_user(access)}
                return _ask(question | _on(dex), access)
            case ListPairs(part=part, after=after):
                return _ask({"type": part} | _on(dexs.here(after)[1]), access)
            case ReadTimer():
                return _ask({"type": "userRateLimit", **_user(access)}, access)
            case _:
                raise InvalidCommand(f"no request carries out {type(command).__name__}")

    def classify(self, command: Command, reply: Reply) -> Answer:
        """Read a reply, whatever it holds; what is not documented is `UNKNOWN`."""
        return read_reply(command, reply)


def _action(command: CancelOrder | SetCountdown, stamp: Stamp) -> dict[str, object]:
    """Return an action, its keys in the documented order."""
    match command:
        case SetCountdown(countdown_ms=0):
            # "If None, then unsets any cancel time in the future." A time of now does not.
            return {"type": "scheduleCancel"}
        case SetCountdown(countdown_ms=countdown_ms):
            return {"type": "scheduleCancel", "time": stamp.now_ms + countdown_ms}
        case CancelOrder(client_order_id=str(client_id)):
            named = {"asset": _asset(stamp), "cloid": client_id}
            return {"type": "cancelByCloid", "cancels": [named]}
        case CancelOrder(order_id=order_id):
            return {"type": "cancel", "cancels": [{"a": _asset(stamp), "o": int(order_id)}]}


def _asset(stamp: Stamp) -> int:
    if not stamp.asset.isascii() or not stamp.asset.isdigit():
        raise InvalidCommand(f"{NAME} was asked to sign a cancel without an asset id")
    return int(stamp.asset)


def _on(dex: str) -> dict[str, object]:
    """Return the field that names another exchange; none for the own."""
    return {"dex": dex} if dex else {}


def _user(access: Access) -> dict[str, object]:
    return {"user": access.api_key.lower()}


def _act(action: dict[str, object], access: Access, stamp: Stamp) -> Request:
    """Sign an action; with a window, the exchange refuses it once that is over."""
    from worker.exchanges.hyperliquid.signing import digest, sign  # noqa: PLC0415  an extra

    if stamp.nonce is None:
        raise InvalidCommand(f"{NAME} was asked to sign without a nonce")
    expires_ms = None if stamp.window_ms is None else stamp.now_ms + stamp.window_ms
    message = digest(action, stamp.nonce, testnet=access.testnet, expires_ms=expires_ms)
    expiry = {} if expires_ms is None else {"expiresAfter": expires_ms}
    signature = sign(message, access.api_secret)
    body = {"action": action, "nonce": stamp.nonce, "signature": signature, **expiry}
    return _post("/exchange", body, access)


def _ask(question: dict[str, object], access: Access) -> Request:
    return _post("/info", question, access)


def _post(path: str, body: dict[str, object], access: Access) -> Request:
    text = json.dumps(body, separators=(",", ":"))
    headers = {"Content-Type": "application/json"}
    return Request("POST", access.base_url.rstrip("/") + path, headers, text.encode())


HYPERLIQUID: Final = Hyperliquid()
