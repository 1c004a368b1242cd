"""File modes of secret files: find those that group or others can access."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worker.config.settings import Settings
from worker.config.settings_file import config_path, read_table

log = logging.getLogger(__name__)

SECRETS = ("api_key", "api_secret", "memo", "passphrase", "uid", "wallet", "private_key")
TOP_SECRETS = ("redis_url", "sentry_dsn")
OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Includes write access: a changed file can point an account at another host."""


def exposed(settings: Settings) -> list[Path]:
    """Return the files with secrets that group or others can access."""
    return [path for path in _files(settings) if _open_to_others(path)]


def advice(path: Path) -> tuple[str, str]:
    """Return the problem with an exposed file and the command that fixes it."""
    return "holds secrets, and users other than its owner can open it", f"chmod 600 {path}"


def warn_of_exposed(settings: Settings) -> None:
    """Log a warning for each exposed file."""
    for path in exposed(settings):
        problem, fix = advice(path)
        log.warning("%s %s; fix: %s", path, problem, fix)


def _files(settings: Settings) -> Iterator[Path]:
    path = config_path()
    if path is not None and _holds_secrets(path):
        yield path
    named = [getattr(settings, f"{name}_file") for name in TOP_SECRETS]
    for account in settings.accounts.values():
        named += [getattr(account, f"{name}_file") for name in SECRETS]
    named += [route.urls_file for _, route in settings.notify.named_routes()]
    yield from dict.fromkeys(path for path in named if path is not None)


def _open_to_others(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & OTHERS)
    except OSError:
        return False  # reading the secret reports it


def _holds_secrets(path: Path) -> bool:
    table = read_table(path)
    accounts: dict[str, Any] = table.get("accounts", {})
    inline = any(name in account for account in accounts.values() for name in SECRETS)
    url = str(table.get("redis_url", "")).partition("://")[2]
    with_password = ":" in url.rpartition("@")[0] or "password=" in url
    return inline or with_password or "sentry_dsn" in table or _holds_urls(table.get("notify", {}))


def _holds_urls(notify: dict[str, Any]) -> bool:
    """Return whether a table of notifications holds an address."""
    routes: dict[str, Any] = notify.get("routes", {})
    return any("urls" in route for route in (notify, *routes.values()))
