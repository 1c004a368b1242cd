"""Check the settings, and the files that contain secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from worker.cli.check.findings import Finding, fail, ok, warn, wrong_setting
from worker.client.arming import native_terms
from worker.config.secret_files import SECRETS, advice, exposed
from worker.config.settings import Settings
from worker.config.settings_file import CONFIG_VARIABLE, DEFAULT_FILE, config_path
from worker.errors import ExtraMissing, SettingsError
from worker.exchanges.timer import Reach
from worker.factory import build_sessions
from worker.gateway.http.transport import proxied
from worker.net.sockets import USER_TIMEOUT
from worker.notify.targets import Delivery, targets_of
from worker.telemetry.logs import Mask

PRINTABLE = re.compile(r"[!-~]+")
PLACEHOLDER = re.compile(r"\.\.\.|^<.*>$|changeme|your[-_ ]|^x+$", re.IGNORECASE)
SHORT = 8


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Check the settings file, the accounts and their secrets."""
    path = config_path()
    if path is None:
        yield warn(
            "settings",
            f"no file; {CONFIG_VARIABLE} is not set and there is no {DEFAULT_FILE} here",
            f"write {DEFAULT_FILE}, or give --config, unless the environment has all settings",
        )
    else:
        yield ok("settings", f"{path} is valid")
    for open_to_others in exposed(settings):
        yield warn(str(open_to_others), *advice(open_to_others))
    if USER_TIMEOUT is None:
        yield warn(
            "system",
            "no TCP_USER_TIMEOUT: a request of a stopped worker may arrive after its deadline",
            "run workers on Linux",
        )
    if not settings.accounts:
        yield warn("accounts", "none is configured", "a worker needs one: add [accounts.NAME]")
    yield from _notifications(settings)
    alone = [finding for alias in settings.accounts for finding in _account(settings, alias)]
    yield from alone
    if not any(finding.setting for finding in alone):
        try:
            build_sessions(settings)
        except (SettingsError, ExtraMissing) as error:
            yield wrong_setting("accounts", str(error))


def _notifications(settings: Settings) -> Iterator[Finding]:
    """Check the addresses of notifications; nothing is sent."""
    if not settings.notify.configured:
        return
    try:
        targets, delivery = targets_of(settings.notify), Delivery(Mask())
        for target in targets:
            delivery.check(target)
    except (SettingsError, ExtraMissing) as error:
        yield wrong_setting("notify", str(error))
        return
    yield ok("notify", f"{len(targets)} addresses; try them: cancel-worker notify test")
    for where, route in settings.notify.named_routes():
        if unknown := [alias for alias in route.accounts if alias not in settings.accounts]:
            fix = "correct it, unless only other hosts have this account"
            yield warn(f"{where}.accounts", f"no account {unknown[0]} in these settings", fix)


def _account(settings: Settings, alias: str) -> Iterator[Finding]:
    account = settings.account(alias)
    subject = f"accounts.{alias}"
    try:
        access = settings.access(alias)
    except SettingsError as error:
        yield wrong_setting(subject, str(error))
        return
    odd = {
        name: reason
        for name, value in (("api_key", access.api_key), ("api_secret", access.api_secret))
        if name in account.adapter.capabilities.credentials and (reason := _odd(value))
    }
    for name, reason in odd.items():
        yield fail(f"{subject}.{name}", reason, "paste it again, exactly as the exchange gave it")
    if access.api_key == access.api_secret:
        yield fail(subject, "api_key and api_secret are the same", "paste them again")
    elif not odd:
        held = [name for name in SECRETS if account.secret(name)]
        timers = _timers(settings, alias)
        yield ok(subject, f"{account.exchange} at {account.url}: {', '.join(held)} present{timers}")
        if warning := account.adapter.capabilities.warning:
            yield warn(f"{subject}.exchange", warning, "remove the account if it holds no orders")
        if account.unproven:
            yield warn(
                f"{subject}.unproven",
                "no document of its replies is known: a cancel ends as CANCELED only by a report "
                "of its order, and a cancel-all, or a switch of pairs, never ends as proven",
                "watch its dead letters, and look at the exchange after a cancel-all",
            )
        if proxied(account.url, settings.http):
            yield warn(
                f"{subject}.base_url",
                "reached through a proxy: a request may still arrive after it was abandoned",
                "connect directly: http.trust_env = false, or name the host in no_proxy",
            )
        own = [name for name in held if name in ("api_key", "api_secret")]
        short = [name for name in own if len(getattr(access, name)) < SHORT]
        for name in short:
            yield warn(
                f"{subject}.{name}", f"shorter than {SHORT} characters", "check that it is complete"
            )


def _timers(settings: Settings, alias: str) -> str:
    """Return text about the switches that the exchange's timers hold; empty without timers."""
    if holder := settings.account(alias).timers:
        return f"; {holder} holds its switches on pairs"
    timer = settings.account(alias).adapter.capabilities.timer
    if timer is None:
        return ""
    shortest_ms, _ = native_terms(settings, alias)
    whole = timer.reach is Reach.ACCOUNT
    bounds = f"of {shortest_ms} ms or more"
    if timer.longest_ms:
        bounds = f"of {shortest_ms} to {timer.longest_ms} ms"
    held = (
        f"timer holds switches of everything, {bounds}"
        if whole
        else f"timers hold switches {bounds}"
    )
    others = "all others" if whole or timer.longest_ms else "shorter ones"
    left = ", and cancel stop orders" if timer.leaves_stops else ""
    left += ", and cancel orders on markets that it may leave" if timer.leaves_others else ""
    return f"; its {held}, workers hold {others}{left}"


def _odd(secret: str) -> str:
    """Return why a text cannot be a key or secret; empty if it can."""
    if secret[0] in "\"'" and secret[-1] == secret[0]:
        return "has quotes around it"
    if not PRINTABLE.fullmatch(secret):
        return "contains spaces or characters that no key has"
    if PLACEHOLDER.search(secret):
        return "is still a placeholder"
    return ""
