"""The faults that one simulated exchange alone has, by what they do."""

from __future__ import annotations

from collections.abc import Collection

from tests.support.world import ALL_KEYS
from worker.simulator.options import Options
from worker.simulator.venues import SIMULATED

_MADE = {made.name: made for made in (each(0, Options()) for each in SIMULATED)}
NONCES = "reject_nonce"
ORDERED = ("hyperliquid", "indodax", "kraken")
"""Where a nonce can be refused."""


def named(exchange: str, *kinds: str) -> tuple[str, ...]:
    """Return the faults of these kinds; see `OwnFault.kind`."""
    own = _MADE[exchange].own_faults if exchange in _MADE else ()
    return tuple(each.name for each in own if each.kind in kinds)


def passing(aliases: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return by alias the faults after which the same request succeeds."""
    found = {}
    for alias in aliases:
        exchange = ALL_KEYS[alias][0]
        nonces = (NONCES,) if exchange in ORDERED else ()
        found[alias] = (*named(exchange, "passes", "open"), *nonces)
    return found
