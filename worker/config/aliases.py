"""Find the exchange of an account by its alias, with or without settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from worker.errors import UnknownAccount
from worker.exchanges import EXCHANGES
from worker.exchanges.base import Exchange


def auth_mode_of(exchange: Exchange, auth: str) -> str:
    """Return the auth mode in use; empty if the exchange has only one."""
    modes = exchange.capabilities.auth_modes
    return auth or (modes[0] if modes else "")


def announced_exchange(
    alias: str, announced: Mapping[str, str], known: Collection[str]
) -> Exchange:
    """Return the exchange of an account that workers have registered.

    Args:
        alias: Name of the account.
        announced: By alias, the exchange, or several separated by commas.
        known: Aliases in the settings.

    Raises:
        UnknownAccount: No worker registered this alias, or workers registered it on
            different exchanges.
    """
    name = announced.get(alias, "")
    if "," in name:
        raise UnknownAccount(
            f"{alias} is an account on {name.replace(',', ' and on ')}; "
            f"add [accounts.{alias}] with its exchange to the settings"
        )
    if name not in EXCHANGES:
        raise UnknownAccount(unknown_account(alias, {*known, *announced}))
    return EXCHANGES[name]


def unknown_account(alias: object, known: object) -> str:
    """Return the error text for an unknown alias; it lists the known ones."""
    shown = repr(alias)[:60]
    names = ", ".join(sorted(str(name) for name in known)) if known else ""  # type: ignore[attr-defined]
    known_names = f"known: {names}" if names else "no account is configured"
    return f"unknown account {shown}; {known_names}"
