"""Accounts as a strategy needs them, read without pydantic and without their secrets.

Only what is surely right is taken. For anything else `NotPlainError` is raised, and the full
settings are read, which report mistakes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from worker.config.aliases import auth_mode_of
from worker.exchanges import CCXT, EXCHANGES, NEED_MORE
from worker.exchanges.base import Exchange, Limit

ALIAS: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
SECRETS: Final = ("api_key", "api_secret", "memo", "passphrase", "uid", "wallet", "private_key")
HOST: Final = r"(https://[a-z0-9]+([.-][a-z0-9]+)*|http://127\.0\.0\.1|http://localhost)"
BASE_URL: Final = re.compile(rf"{HOST}(:[1-5]?[0-9]{{1,4}})?(/[A-Za-z0-9_.-]+)*/?")


class NotPlainError(Exception):
    """A setting that is not read here."""


@dataclass(frozen=True, slots=True)
class ClientAccount:
    """An account without its secrets and limits of its own."""

    exchange: str
    timers: str = ""
    auth: str = ""

    @property
    def adapter(self) -> Exchange:
        """The exchange's adapter."""
        return EXCHANGES[self.exchange]

    @property
    def uses_nonce(self) -> bool:
        """Whether requests carry a nonce."""
        return auth_mode_of(self.adapter, self.auth) in self.adapter.capabilities.nonce_auth

    @property
    def limits_in_force(self) -> tuple[Limit, ...]:
        """The exchange's limits."""
        return self.adapter.capabilities.limits


def read_accounts(table: object) -> dict[str, ClientAccount]:
    """Return the accounts of a settings file by alias.

    Raises:
        NotPlainError: One has a setting that is not read here.
    """
    require(isinstance(table, dict))
    accounts = {alias: _account(alias, row) for alias, row in dict(table).items()}  # type: ignore[call-overload]
    for account in accounts.values():
        if account.timers:
            wanted = account.adapter.capabilities.timers_at
            holder = accounts.get(account.timers)
            require(bool(wanted) and holder is not None and holder.exchange == wanted)
    return accounts


def require(plain: bool) -> None:  # noqa: FBT001  reads as an assertion
    """Raise `NotPlainError` unless a setting is plain."""
    if not plain:
        raise NotPlainError


def _account(alias: str, row: Any) -> ClientAccount:  # noqa: ANN401  as read
    require(isinstance(row, dict) and bool(ALIAS.fullmatch(alias)))
    given = dict(row)
    exchange = given.pop("exchange", None)
    require(isinstance(exchange, str) and exchange in EXCHANGES)
    chosen = {name: given.pop(name, "") for name in ("timers", "auth", "category")}
    base_url = given.pop("base_url", "https://none")
    for name, value in given.items():
        secret = name.removesuffix("_file")
        require(secret in SECRETS and isinstance(value, str) and value.isprintable())
        require(name == secret or secret not in given)
    require(all(isinstance(value, str) for value in (*chosen.values(), base_url)))
    require(bool(BASE_URL.fullmatch(base_url)))
    if exchange in NEED_MORE or exchange.startswith(CCXT) or any(chosen.values()):
        _check(EXCHANGES[exchange], auth=chosen["auth"], category=chosen["category"])
    return ClientAccount(exchange, timers=chosen["timers"], auth=chosen["auth"])


def _check(exchange: Exchange, *, auth: str, category: str) -> None:
    able = exchange.capabilities
    require(not able.unproven)
    require(not auth or auth in able.auth_modes)
    require(category in able.categories if able.categories else not category)
