"""The exchanges that this program knows, by the name used in settings.

To add one: write its module, add its name to the table below. A module is imported when
its exchange is first used: a strategy pays for its own exchanges only.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from worker.errors import SettingsError
from worker.exchanges.base import Exchange

__all__ = ["EXCHANGES", "exchange_named"]

_HOMES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "bitmart": ("bitmart.adapter", "BITMART"),
        "everstrike": ("everstrike.adapter", "EVERSTRIKE"),
        "indodax": ("indodax.adapter", "INDODAX"),
        "indodax_v2": ("indodax_v2.adapter", "INDODAX_V2"),
        "binance": ("binance.adapter", "BINANCE"),
        "binanceusdm": ("binance.adapter", "BINANCE_USDM"),
        "binancecoinm": ("binance.adapter", "BINANCE_COINM"),
        "kucoin": ("kucoin.adapter", "KUCOIN"),
        "kraken": ("kraken.adapter", "KRAKEN"),
        "okx": ("okx.adapter", "OKX"),
        "gate": ("gate.adapter", "GATE"),
        "gate_futures": ("gate.adapter", "GATE_FUTURES"),
        "bybit": ("bybit.adapter", "BYBIT"),
    }
)
"""By name, the module and the attribute that is the exchange."""


class _Registry(Mapping[str, Exchange]):
    """The exchanges by name."""

    def __getitem__(self, name: str) -> Exchange:
        module, attribute = _HOMES[name]
        exchange: Exchange = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
        return exchange

    def __contains__(self, name: object) -> bool:
        return name in _HOMES

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


EXCHANGES: Final[Mapping[str, Exchange]] = _Registry()


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
