"""The accounts of the simulated exchanges, for trying things out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from worker.exchanges import EXCHANGES

ALIASES = {"ev": "everstrike", "ix": "indodax", "bm": "bitmart"}


class Hands(Protocol):
    """What moves a simulator, in this process or in another."""

    def url(self, exchange: str) -> str:
        """Return what stands for an exchange's base URL."""

    def add_key(self, exchange: str, api_key: str, api_secret: str, memo: str = "") -> None:
        """Let a trader in."""


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """An account at a simulated exchange. Its secrets are none."""

    alias: str
    exchange: str
    base_url: str
    api_key: str
    api_secret: str
    memo: str


def open_accounts(hands: Hands) -> list[SimulatedAccount]:
    """Let one trader into each exchange."""
    accounts = []
    for alias, exchange in ALIASES.items():
        account = SimulatedAccount(
            alias=alias,
            exchange=exchange,
            base_url=hands.url(exchange),
            api_key=f"simulated-key-{alias}",
            api_secret=f"simulated-secret-{alias}",
            memo="simulated" if EXCHANGES[exchange].capabilities.needs_memo else "",
        )
        hands.add_key(exchange, account.api_key, account.api_secret, account.memo)
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
        redis_url: Left to its default if empty.
        reachable: Turns a base URL into the one to be used.
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
            lines.append(f"memo       = {json.dumps(account.memo)}")
        lines.append("")
    return "\n".join(lines)
