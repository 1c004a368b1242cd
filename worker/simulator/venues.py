"""Which exchanges are simulated. What each is, its class says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from worker.simulator.binance.api import BinanceCoinm, BinanceSpot, BinanceUsdm
from worker.simulator.bitmart.api import Bitmart
from worker.simulator.bybit.api import Bybit
from worker.simulator.deribit.api import Deribit
from worker.simulator.everstrike.api import Everstrike
from worker.simulator.exchange import Exchange
from worker.simulator.gate.api import GateFutures, GateSpot
from worker.simulator.hyperliquid.api import Hyperliquid
from worker.simulator.indodax.api import Indodax
from worker.simulator.indodax_v2.api import IndodaxV2
from worker.simulator.kraken.api import Kraken
from worker.simulator.kucoin.api import Kucoin
from worker.simulator.okx.api import Okx

SIMULATED: Final[tuple[type[Exchange], ...]] = (
    Everstrike,
    Indodax,
    IndodaxV2,
    Bitmart,
    BinanceSpot,
    BinanceUsdm,
    BinanceCoinm,
    Kraken,
    Okx,
    Hyperliquid,
    GateSpot,
    GateFutures,
    Kucoin,
    Bybit,
    Deribit,
)
"""Those with a class of their own."""
PROFILED: Final = (
    *("bitvavo", "whitebit", "woo", "bitget", "htx", "mexc", "bingx", "coinbase"),
    *("krakenfutures", "phemex", "bitfinex", "cryptocom", "coinsph"),
)
"""Ids of ccxt that are simulated; the last has a profile here alone."""
MOUNTS: Final[Mapping[str, str]] = {
    **{exchange.name: exchange.mount for exchange in SIMULATED},
    **{f"ccxt:{name}": f"/ccxt/{name}" for name in PROFILED},
}
EXCHANGES: Final = tuple(MOUNTS)
TRADED: Final[Mapping[str, tuple[str, str]]] = {each.name: each.traded for each in SIMULATED}
"""By exchange, two pairs of it."""


def tables() -> str:
    """Return two tables for people: where each exchange is, and the faults of each alone."""
    mounts = [
        ("exchange", "base URL", "stands for"),
        *((f"`{it.name}`", f"`{it.mount}`", f"`{it.stands_for}`") for it in SIMULATED),
        ("`ccxt:<id>`", "`/ccxt/<id>`", "the host of each id in `PROFILED`"),
    ]
    effects = {None: "at random", True: "yes", False: "no"}
    rows = {own: None for it in SIMULATED for own in it.own_faults}
    faults = [
        ("name", "applied", "what the client sees"),
        *((f"`{own.name}`", effects[own.applied], own.says) for own in rows),
    ]
    return "\n\n".join((_table(mounts), _table(faults)))


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    rule = tuple("=" * width for width in widths)
    lines = (rule, rows[0], rule, *rows[1:], rule)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
