"""The exchanges that this program knows, by the name used in settings.

`ccxt:<id>` is the exchange of that id of ccxt, unless it has a module here.

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

__all__ = [
    "CCXT",
    "EXCHANGES",
    "NEED_MORE",
    "adapter_instead",
    "ccxt_names",
    "exchange_named",
    "prepare",
]

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
        "deribit": ("deribit.adapter", "DERIBIT"),
        "hyperliquid": ("hyperliquid.adapter", "HYPERLIQUID"),
    }
)
"""By name, the module and the attribute that is the exchange."""
NEED_MORE: Final = frozenset({"bybit"})
"""Those whose accounts need a setting beside their keys; so do all of ccxt."""
CCXT: Final = "ccxt:"
_SAME_KEYS: Final[Mapping[str, str]] = MappingProxyType({"kucoinfutures": "kucoin"})
"""Ids of ccxt with the keys of another exchange."""


class _Registry(Mapping[str, Exchange]):
    """The exchanges by name. Only those with a module of their own are listed."""

    def __getitem__(self, name: str) -> Exchange:
        if name.startswith(CCXT):
            return _of_ccxt(name)
        module, attribute = _HOMES[name]
        exchange: Exchange = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
        return exchange

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str) and name.startswith(CCXT):
            return not adapter_instead(name) and _offered(name)
        return name in _HOMES

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


def adapter_instead(name: str) -> str:
    """Return the exchange to use instead of one of ccxt; empty if there is none.

    One key must not have two identities: orders, limits and nonces belong to one.
    """
    exchange_id = name.removeprefix(CCXT)
    found = _SAME_KEYS.get(exchange_id, exchange_id)
    return found if name.startswith(CCXT) and found in _HOMES else ""


def ccxt_names() -> list[str]:
    """Return the names of all exchanges that ccxt signs cancels for, and that are served."""
    module = importlib.import_module(f"{__name__}.ccxt.adapter")
    names: list[str] = [CCXT + exchange_id for exchange_id in module.offered()]
    return [name for name in names if not adapter_instead(name)]


def prepare(exchange: Exchange) -> None:
    """Import what an exchange needs to sign, so that its first request does not wait for it.

    Raises:
        ExtraMissing: A package is not installed; the text names the extra.
    """
    if exchange.name.startswith(CCXT):
        module = importlib.import_module(f"{__name__}.ccxt.adapter")
        module.exchange_of(exchange.name.removeprefix(CCXT)).prepare()


def _of_ccxt(name: str) -> Exchange:
    if adapter_instead(name):
        raise KeyError(name)
    module = importlib.import_module(f"{__name__}.ccxt.adapter")
    exchange: Exchange = module.exchange_of(name.removeprefix(CCXT))
    return exchange


def _offered(name: str) -> bool:
    module = importlib.import_module(f"{__name__}.ccxt.adapter")
    offered: bool = module.offers(name.removeprefix(CCXT))
    return offered


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
