"""Accounts on the simulated exchanges."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from worker.exchanges import EXCHANGES

ALIASES = {
    "ev": ("everstrike", "btc_idr"),
    "ix": ("indodax", "btc_idr"),
    "bm": ("bitmart", "btc_idr"),
    "bu": ("binanceusdm", "BTCUSDT"),
    "kr": ("kraken", "XBTUSD"),
    "ok": ("okx", "BTC-USDT"),
    "gf": ("gate_futures", "BTC_USDT"),
    "ku": ("kucoin", "BTC-USDT"),
}
"""By alias, the exchange and a pair that is traded there."""


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


def open_accounts(control: Control) -> list[SimulatedAccount]:
    """Register one trader at each exchange."""
    accounts = []
    for alias, (exchange, pair) in ALIASES.items():
        its, secret = EXCHANGES[exchange].capabilities, f"simulated-secret-{alias}"
        account = SimulatedAccount(
            alias=alias,
            exchange=exchange,
            pair=pair,
            base_url=control.url(exchange),
            api_key=f"simulated-key-{alias}",
            api_secret=base64.b64encode(secret.encode()).decode() if its.base64_secret else secret,
            memo="simulated" if its.needs_memo or its.needs_passphrase else "",
        )
        control.add_key(exchange, account.api_key, account.api_secret, account.memo)
        accounts.append(account)
    return accounts


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
        if account.memo:
            passphrase = EXCHANGES[account.exchange].capabilities.needs_passphrase
            name = "passphrase" if passphrase else "memo      "
            lines.append(f"{name} = {json.dumps(account.memo)}")
        lines.append("")
    return "\n".join(lines)
