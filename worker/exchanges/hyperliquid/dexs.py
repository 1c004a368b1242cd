"""Exchanges that others run on Hyperliquid (HIP-3), each with markets and lists of its own.

A list of everything is read in turn: the exchange's own page, the names of the others, then a
page of each. A page is told by `after`: what is left to read, as `1:xyz 2:flx`, where a number
is a place in the exchange's list of them. An adapter keeps nothing else between two pages.

From "Asset IDs": "Builder-deployed perps expect 100000 + perp_dex_index * 10000 + index_in_meta",
and "always have name in the format {dex}:{coin}". From the info endpoint: "dex: Perp dex name.
Defaults to the empty string which represents the first perp dex. Spot open orders are only
included with the first perp dex."
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from worker.exchanges.replies import text_at

ASK: Final = "?"
"""The page that lists their names."""
LIST: Final = "perpDexs"
NAME: Final = re.compile(r"[A-Za-z0-9]{1,16}")
MOST: Final = 45
"""So many are read: one list may not take up what an address may request in a minute."""
FIRST_ASSET: Final = 100_000
ASSETS_EACH: Final = 10_000
_ROW: Final = re.compile(rf"([1-9][0-9]{{0,3}}):({NAME.pattern})")


@dataclass(frozen=True, slots=True)
class Dexs:
    """The names of these exchanges, as a page to go on with.

    Attributes:
        next: What `after` is next; empty if there are none.
        all: Whether each of them can be named, and there are no more than are read.
    """

    next: str
    all: bool


def read_dexs(body: object) -> Dexs | None:
    """Read the names; the first place is the exchange's own, and has none.

    A place that cannot be read keeps its number. None if the list is none, or names one twice.
    """
    if not isinstance(body, list) or not body or body[0] is not None:
        return None
    names = [text_at(row, "name") for row in body[1:]]
    rows = [f"{n}:{name}" for n, name in enumerate(names, 1) if NAME.fullmatch(name)]
    if len({row.partition(":")[2] for row in rows}) != len(rows):
        return None
    read = rows[:MOST]
    return Dexs(" ".join(read), all=len(read) == len(names))


def here(after: str) -> tuple[int, str]:
    """Return place and name of the exchange whose page this is; 0 and nothing for the own."""
    found = _ROW.fullmatch(after.partition(" ")[0])
    return (int(found[1]), found[2]) if found else (0, "")


def following(after: str) -> str:
    """Return the page after this one; empty after the last."""
    return after.partition(" ")[2] if after else ASK


def dex_of(pair: str) -> str:
    """Return the name of the exchange that a market is on; empty for the own."""
    return pair.partition(":")[0] if ":" in pair else ""


def asset_of(place: int, n: int) -> str:
    """Return the asset id of a perpetual by the two places that it has."""
    return str((FIRST_ASSET + place * ASSETS_EACH if place else 0) + n)
