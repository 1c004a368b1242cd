"""Accounts on the simulated exchanges."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

from worker.exchanges import EXCHANGES
from worker.exchanges.ccxt.loading import VERSION
from worker.extras import is_installed
from worker.simulator.venues import TRADED

_EXCHANGES = {
    "ev": "everstrike",
    "ix": "indodax",
    "bm": "bitmart",
    "bu": "binanceusdm",
    "kr": "kraken",
    "ok": "okx",
    "gf": "gate_futures",
    "ku": "kucoin",
    "bb": "bybit",
    "de": "deribit",
}
ALIASES = {alias: (exchange, TRADED[exchange][0]) for alias, exchange in _EXCHANGES.items()}
"""By alias, the exchange and a pair that is traded there."""
HYPERLIQUID = ("hyperliquid", TRADED["hyperliquid"][0])
WOO = ("ccxt:woo", "SPOT_BTC_USDT")
"""The same where their extras are installed."""


class Control(Protocol):
    """Control of a simulator, in this process or in another."""

    def url(self, exchange: str) -> str:
        """Return the base URL of an exchange."""

    def add_key(self, exchange: str, api_key: str, api_secret: str, memo: str = "") -> None:
        """Register a trader's API key."""


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """An account at a simulated exchange. Its credentials are not secret."""

    alias: str
    exchange: str
    pair: str
    base_url: str
    api_key: str
    api_secret: str
    memo: str
    category: str


def aliases() -> dict[str, tuple[str, str]]:
    """Return `ALIASES`, and those of the extras that are installed, in the version needed."""
    wanted = dict(ALIASES)
    if is_installed("hyperliquid"):
        wanted["hl"] = HYPERLIQUID
    if is_installed("ccxt") and version("ccxt") == VERSION:
        wanted["wo"] = WOO
    return wanted


def open_accounts(
    control: Control, wanted: Mapping[str, tuple[str, str]] = ALIASES
) -> list[SimulatedAccount]:
    """Register one trader at each exchange.

    Args:
        control: Of the simulator.
        wanted: By alias, the exchange and a pair.
    """
    accounts = []
    for alias, (exchange, pair) in wanted.items():
        its = EXCHANGES[exchange].capabilities
        key, secret = f"simulated-key-{alias}", f"simulated-secret-{alias}"
        if its.base64_secret:
            secret = base64.b64encode(secret.encode()).decode()
        if its.hex_keys:
            key, secret = f"0x{_digest(key)[:40]}", f"0x{_digest(secret)}"
        account = SimulatedAccount(
            alias=alias,
            exchange=exchange,
            pair=pair,
            base_url=control.url(exchange),
            api_key=key,
            api_secret=secret,
            memo="simulated" if its.needs_memo or its.needs_passphrase else "",
            category=its.categories[0] if its.categories else "",
        )
        control.add_key(exchange, account.api_key, account.api_secret, account.memo)
        accounts.append(account)
    return accounts


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def settings_text(
    accounts: list[SimulatedAccount],
    *,
    redis_url: str = "",
    reachable: Callable[[str], str] = str,
) -> str:
    """Return a settings file of these accounts.

    Args:
        accounts: From `open_accounts`.
        redis_url: Omitted if empty, so that the default holds.
        reachable: Returns the URL that clients must use for a base URL.
    """
    lines = [f"redis_url = {json.dumps(redis_url)}", ""] if redis_url else []
    for account in accounts:
        lines += [
            f"[accounts.{account.alias}]",
            f"exchange   = {json.dumps(account.exchange)}",
            f"base_url   = {json.dumps(reachable(account.base_url))}",
            f"api_key    = {json.dumps(account.api_key)}",
            f"api_secret = {json.dumps(account.api_secret)}",
        ]
        if account.category:
            lines.append(f"category   = {json.dumps(account.category)}")
        if account.memo:
            passphrase = EXCHANGES[account.exchange].capabilities.needs_passphrase
            name = "passphrase" if passphrase else "memo      "
            lines.append(f"{name} = {json.dumps(account.memo)}")
        lines.append("")
    return "\n".join(lines)
