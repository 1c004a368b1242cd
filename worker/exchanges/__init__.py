"""The exchanges that this program knows, by the name used in settings.

To add one: write its module, add its instance to the tuple below.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from worker.errors import SettingsError
from worker.exchanges.base import Exchange
from worker.exchanges.binance.adapter import BINANCE, BINANCE_COINM, BINANCE_USDM
from worker.exchanges.bitmart.adapter import BITMART
from worker.exchanges.everstrike.adapter import EVERSTRIKE
from worker.exchanges.indodax.adapter import INDODAX

__all__ = ["EXCHANGES", "exchange_named"]

_ALL: Final[tuple[Exchange, ...]] = (
    BITMART,
    EVERSTRIKE,
    INDODAX,
    BINANCE,
    BINANCE_USDM,
    BINANCE_COINM,
)

EXCHANGES: Final[Mapping[str, Exchange]] = MappingProxyType(
    {exchange.name: exchange for exchange in _ALL}
)


def exchange_named(name: str) -> Exchange:
    """Find an exchange by its name in settings.

    Raises:
        SettingsError: No exchange has this name; the text lists those there are.
    """
    try:
        return EXCHANGES[name]
    except KeyError:
        known = ", ".join(EXCHANGES)
        raise SettingsError(f"no exchange is named {name!r}: use one of {known}") from None
