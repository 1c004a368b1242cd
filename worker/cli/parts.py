"""The parts that commands work with, imported only once a command needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.client.producer import Producer
    from worker.config.settings import Settings
    from worker.store.connection import Store
    from worker.store.ledger import Ledger
    from worker.store.switches import Switches


def open_settings() -> Settings:
    """Read the settings in force.

    Raises:
        SettingsError: They are wrong.
    """
    from worker.config.settings import load_settings  # noqa: PLC0415  slow

    return load_settings()


def open_producer() -> Producer:
    """Return a producer on the settings in force.

    Raises:
        SettingsError: They are wrong.
    """
    from worker.client.producer import Producer  # noqa: PLC0415  slow

    return Producer(open_settings())


def open_store(settings: Settings | None = None) -> Store:
    """Return the Redis of the settings in force.

    Raises:
        SettingsError: They are wrong.
    """
    from worker.factory import build_store  # noqa: PLC0415  slow

    return build_store(settings or open_settings())


def open_ledger() -> Ledger:
    """Return the ledger of the settings in force.

    Raises:
        SettingsError: They are wrong.
    """
    from worker.store.ledger import Ledger  # noqa: PLC0415  slow

    return Ledger(open_store())


def open_switches() -> Switches:
    """Return the switches of the settings in force.

    Raises:
        SettingsError: They are wrong.
    """
    from worker.store.switches import Switches  # noqa: PLC0415  slow

    return Switches(open_store())


def where(settings: Settings | None = None) -> str:
    """Return host and port of the Redis in force, without a password."""
    from worker.store.address import parse  # noqa: PLC0415  seldom needed

    try:
        return parse((settings or open_settings()).redis_address).shown
    except SettingsError:
        return "an unreadable address"
