"""What pairs an exchange has, and how a pair is found by any of its names. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

_BETWEEN: Final = re.compile(r"[^a-z0-9]")
EXACT: Final = "="
PLAIN: Final = "~"
"""Marks of the two kinds of names: as the exchange writes it, and without case and separators."""


@dataclass(frozen=True, slots=True)
class ListedPair:
    """One pair of an exchange.

    Attributes:
        pair: As the exchange's rows of open orders have it.
        names: Other names of the same pair, such as ccxt's.
        asset: The id by which requests name it, where they do not name the pair.
    """

    pair: str
    names: tuple[str, ...] = ()
    asset: str = ""


def plain(name: str) -> str:
    """Return a name without what distinguishes spellings: case and separators."""
    return _BETWEEN.sub("", name.lower())


def names_of(pairs: Iterable[ListedPair]) -> dict[str, str]:
    """Return by name, each with its mark, the pair, and after a space its asset id if any.

    A plain name that stands for two pairs is left out: it names neither.
    """
    found: dict[str, str] = {}
    plains: dict[str, set[str]] = {}
    for each in pairs:
        row = f"{each.pair} {each.asset}" if each.asset else each.pair
        for name in (*each.names, each.pair):
            plains.setdefault(plain(name), set()).add(row)
            if name == each.pair or f"{EXACT}{name}" not in found:
                found[f"{EXACT}{name}"] = row
    found |= {f"{PLAIN}{name}": row for name, (row, *more) in plains.items() if name and not more}
    return found


def read_row(row: str) -> ListedPair:
    """Return the pair that a name stands for, as `names_of` writes it."""
    pair, _, asset = row.partition(" ")
    return ListedPair(pair, asset=asset)


def asked_names(pair: str, spelled: str) -> tuple[str, ...]:
    """Return under which names a pair is looked for, the best first.

    Args:
        pair: As it was typed.
        spelled: As the adapter spells that.
    """
    exact = dict.fromkeys((f"{EXACT}{pair}", f"{EXACT}{spelled}"))
    folded = dict.fromkeys((f"{PLAIN}{plain(pair)}", f"{PLAIN}{plain(spelled)}"))
    return (*exact, *folded)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a list of pairs is. All by shared time; 0 for never.

    Attributes:
        fetched_ms: When it was fetched.
        wanted_ms: Since when a newer one is asked for.
    """

    fetched_ms: int
    wanted_ms: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class PairBook:
    """The pairs of one site of an exchange, as fetched at one time.

    Attributes:
        fetched_ms: When, by shared time.
        names: As from `names_of`.
    """

    fetched_ms: int
    names: Mapping[str, str] = field(repr=False)

    def find(self, pair: str, spelling: Callable[[str], str] = str) -> ListedPair | None:
        """Return the pair that this name stands for; None if there is none."""
        for name in asked_names(pair, spelling(pair)):
            if row := self.names.get(name):
                return read_row(row)
        return None
