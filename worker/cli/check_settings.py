"""What `check` finds in the settings and in the files that hold secrets."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from worker.accounts import Account
from worker.cli.findings import Finding, fail, misset, ok, warn
from worker.errors import SettingsError
from worker.factory import build_lanes
from worker.settings import CONFIG_VARIABLE, DEFAULT_FILE, Settings, config_path

SECRETS = ("api_key", "api_secret", "memo")
TOP_SECRETS = ("redis_url", "sentry_dsn")
PRINTABLE = re.compile(r"[!-~]+")
PLACEHOLDER = re.compile(r"\.\.\.|^<.*>$|changeme|your[-_ ]|^x+$", re.IGNORECASE)
SHORT = 8


def look_at_settings(settings: Settings) -> Iterator[Finding]:
    """Look at the settings file, the accounts and their secrets."""
    path = config_path()
    if path is None:
        yield warn(
            "settings",
            f"no file; {CONFIG_VARIABLE} is not set and there is no {DEFAULT_FILE} here",
            f"write {DEFAULT_FILE}, or name one with --config, if the environment is not enough",
        )
    else:
        yield ok("settings", f"{path} is valid")
        if _holds_secrets(path):
            yield from _privacy(path)
    for name in TOP_SECRETS:
        yield from _privacy(getattr(settings, f"{name}_file"))
    if not settings.accounts:
        yield warn("accounts", "none is set up", "a worker needs one: add [accounts.NAME]")
    alone = [finding for alias in settings.accounts for finding in _account(settings, alias)]
    yield from alone
    if not any(finding.setting for finding in alone):
        try:
            build_lanes(settings)
        except SettingsError as error:
            yield misset("accounts", str(error))


def _account(settings: Settings, alias: str) -> Iterator[Finding]:
    account = settings.account(alias)
    subject = f"accounts.{alias}"
    try:
        access = settings.access(alias)
    except SettingsError as error:
        yield misset(subject, str(error))
        return
    odd = {
        name: reason
        for name, value in (("api_key", access.api_key), ("api_secret", access.api_secret))
        if (reason := _odd(value))
    }
    for name, reason in odd.items():
        yield fail(f"{subject}.{name}", reason, "paste it again, bare, as the exchange gave it")
    if access.api_key == access.api_secret:
        yield fail(subject, "api_key and api_secret are the same", "paste them again")
    elif not odd:
        held = [name for name in SECRETS if getattr(access, name)]
        yield ok(subject, f"{account.exchange} at {account.url}: {', '.join(held)} present")
        short = [name for name in held[:2] if len(getattr(access, name)) < SHORT]
        for name in short:
            yield warn(f"{subject}.{name}", f"shorter than {SHORT} characters", "is it whole?")
    yield from _files(account)


def _files(account: Account) -> Iterator[Finding]:
    for name in SECRETS:
        yield from _privacy(getattr(account, f"{name}_file"))


def _odd(secret: str) -> str:
    """Return why a key or secret cannot be one; empty if it can."""
    if secret[0] in "\"'" and secret[-1] == secret[0]:
        return "has quotes around it"
    if not PRINTABLE.fullmatch(secret):
        return "holds spaces or characters that no key has"
    if PLACEHOLDER.search(secret):
        return "is still a placeholder"
    return ""


def _privacy(path: Path | None) -> Iterator[Finding]:
    if path is None:
        return
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # that it cannot be read is said where its secret is missed
    if mode & stat.S_IROTH:
        yield warn(str(path), "holds secrets, and every user may read it", f"chmod 600 {path}")


def _holds_secrets(path: Path) -> bool:
    table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    accounts: dict[str, Any] = table.get("accounts", {})
    inline = any(name in account for account in accounts.values() for name in SECRETS)
    with_password = urlsplit(str(table.get("redis_url", ""))).password is not None
    return inline or with_password or "sentry_dsn" in table
