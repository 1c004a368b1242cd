"""Classify environment variables: settings, misspelled settings, foreign ones. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

NEAR = 2
"""Edits by which a misspelled name may differ from a setting's name."""
_SERVICE = re.compile(r"(SERVICE_|PORT)")
"""Variables that Kubernetes sets in every pod for a service named `worker`; see `_ADDRESS`."""
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
"""Prefix of the values that Kubernetes and `docker --link` set for other services, such as
`WORKER_REDIS_PORT` for a service named `worker-redis`."""


@dataclass(frozen=True, slots=True)
class Variables:
    """Variables of one prefix that are not plain settings.

    Attributes:
        misspelled: Each variable with the setting it resembles, or an empty string.
        twice: Pairs whose names differ only by case and whose values differ.
        foreign: Variables of other programs.
    """

    misspelled: tuple[tuple[str, str], ...] = ()
    twice: tuple[tuple[str, str], ...] = ()
    foreign: tuple[str, ...] = ()


def sort_out(
    environment: Mapping[str, str], prefix: str, known: Mapping[str, Collection[str]]
) -> Variables:
    """Find misspelled settings, settings given twice, and variables of other programs.

    Args:
        environment: All variables.
        prefix: Prefix of this program's variables.
        known: Settings in upper case; for each table, its keys.
    """
    names = {*known, *(f"{table}__{key}" for table, keys in known.items() for key in keys)}
    misspelled: list[tuple[str, str]] = []
    twice: list[tuple[str, str]] = []
    foreign: list[str] = []
    given: dict[str, str] = {}
    for variable, value in sorted(environment.items()):
        if not variable.upper().startswith(prefix):
            continue
        name = variable.upper().removeprefix(prefix)
        first = name.partition("__")[0]
        if name in given and environment[given[name]] != value:
            twice.append((given[name], variable))
        given[name] = variable
        if first in known or _SERVICE.match(name):
            continue
        meant = None if _ADDRESS.match(value) else _meant(name, first, names)
        if meant is None:
            foreign.append(variable)
        else:
            misspelled.append((variable, meant))
    return Variables(tuple(misspelled), tuple(twice), tuple(foreign))


def _meant(name: str, first: str, names: Collection[str]) -> str | None:
    """Return the setting that a name resembles; None if it resembles none."""
    if found := nearest(name, names):
        return found
    if found := nearest(first, names):
        return found + name.removeprefix(first)
    if not name:
        return ""
    begun = [known for known in names if known.startswith(f"{name}_")]
    return min(begun, key=len) if begun else None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word with the fewest edits to `word`, at most `NEAR`; None if none."""
    near = [(distance, each) for each in known if (distance := edits(word, each)) <= NEAR]
    return min(near)[1] if near else None


def edits(one: str, other: str) -> int:
    """Return the edit distance: characters to insert, delete or replace."""
    row = list(range(len(other) + 1))
    for i, char in enumerate(one, start=1):
        last, row = row, [i]
        for j, with_char in enumerate(other, start=1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (char != with_char)))
    return row[-1]
