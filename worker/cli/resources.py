"""Settings, producer and stores, opened when a command first needs them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.client.producer import Producer
    from worker.config.client_settings import ProducerSettings
    from worker.config.settings import Settings
    from worker.store.api_tokens import ApiTokens
    from worker.store.connection import Store
    from worker.store.ledger import Ledger
    from worker.store.listing import Listing
    from worker.store.switches import Switches


_unset: list[str] = []
"""Not empty if this process has read settings and found none."""


def open_settings() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: A setting is wrong.
    """
    from worker.config.settings import load_settings  # noqa: PLC0415  slow

    settings = load_settings()
    _look_for_file()
    return settings


def begin() -> None:
    """Forget what an earlier command of this process has read."""
    _unset.clear()


def without_settings() -> bool:
    """Return whether settings were read although neither a file nor a variable has any."""
    return bool(_unset)


def _look_for_file() -> None:
    """Note whether there are any settings."""
    from worker.config.settings_file import CONFIG_VARIABLE, config_path  # noqa: PLC0415  slow

    _unset.clear()
    prefix = CONFIG_VARIABLE.partition("_")[0] + "_"
    given = any(value and name.upper().startswith(prefix) for name, value in os.environ.items())
    if config_path() is None and not given:
        _unset.append(prefix)


def open_client_settings() -> ProducerSettings:
    """Read the settings that a producer needs.

    Raises:
        SettingsError: A setting is wrong.
    """
    from worker.config.client_settings import load_client_settings  # noqa: PLC0415  slow

    settings = load_client_settings()
    _look_for_file()
    return settings


def open_producer() -> Producer:
    """Return a producer.

    Raises:
        SettingsError: A setting is wrong.
    """
    from worker.client.producer import Producer  # noqa: PLC0415  slow

    return Producer(open_client_settings())


def open_store(settings: ProducerSettings | None = None) -> Store:
    """Return the store in Redis.

    Raises:
        SettingsError: A setting is wrong.
    """
    from worker.store.opening import build_store  # noqa: PLC0415  slow

    return build_store(settings or open_client_settings())


def open_listing() -> Listing:
    """Return the ledger for reading.

    Raises:
        SettingsError: A setting is wrong.
    """
    from worker.store.listing import Listing  # noqa: PLC0415  slow

    return Listing(open_store())


def open_ledger() -> Ledger:
    """Return the ledger for changes.

    Raises:
        SettingsError: A setting is wrong.
    """
    from worker.store.ledger import Ledger  # noqa: PLC0415  slow

    return Ledger(open_store())


def open_switches() -> Switches:
    """Return the switches.

    Raises:
        SettingsError: A setting is wrong.
    """
    from worker.store.switches import Switches  # noqa: PLC0415  slow

    return Switches(open_store())


def open_api_tokens() -> ApiTokens:
    """Return the tokens of HTTP clients.

    Raises:
        SettingsError: A setting is wrong.
    """
    from worker.store.api_tokens import ApiTokens  # noqa: PLC0415  slow

    return ApiTokens(open_store())


def redis_place(settings: ProducerSettings | None = None) -> str:
    """Return host and port of Redis, without a password."""
    from worker.store.address import parse  # noqa: PLC0415  slow

    try:
        return parse((settings or open_client_settings()).redis_address).shown
    except SettingsError:
        return "an unreadable address"
