"""The targets by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final

from tests.fuzz.target import Target

MODULES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "replies-binance": ("replies", ("binance",)),
    "replies-binanceusdm": ("replies", ("binanceusdm",)),
    "replies-bitmart": ("replies", ("bitmart",)),
    "replies-bybit": ("replies", ("bybit",)),
    "replies-deribit": ("replies", ("deribit",)),
    "replies-ccxt": ("ccxt_replies", ()),
    "replies-everstrike": ("replies", ("everstrike",)),
    "replies-gate": ("replies", ("gate",)),
    "replies-gate_futures": ("replies", ("gate_futures",)),
    "replies-indodax": ("replies", ("indodax",)),
    "replies-indodax_v2": ("replies", ("indodax_v2",)),
    "replies-kraken": ("replies", ("kraken",)),
    "replies-kucoin": ("replies", ("kucoin",)),
    "replies-hyperliquid": ("replies", ("hyperliquid",)),
    "replies-okx": ("replies", ("okx",)),
    "wire": ("wire", ()),
    "bodies": ("bodies", ()),
    "messages": ("messages", ()),
    "jobs": ("jobs", ()),
    "settings": ("settings", ()),
    "scripts": ("scripts", ()),
    "queue": ("queue", ()),
}
"""Target → module of this folder, and the arguments of its `opened`."""
NAMES: Final = tuple(MODULES)


@contextmanager
def opened(name: str, *, coverage: bool = False) -> Iterator[Target]:
    """Set a target up, its modules watched for coverage if asked for."""
    module, arguments = MODULES[name]
    watching: Any = nullcontext()
    if coverage:
        watching = importlib.import_module("atheris").instrument_imports(include=["worker"])
    with watching:
        loaded = importlib.import_module(f"tests.fuzz.{module}")
    with loaded.opened(*arguments) as target:
        yield target
