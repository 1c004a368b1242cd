"""Variables of the environment: settings, misspelled settings, other programs'. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

NEAR = 2
"""Edits by which a name may differ from a setting's to be taken for it, misspelled."""
_SERVICE = re.compile(r"(SERVICE_|PORT)")
"""What Kubernetes sets in every pod where a service is called `worker`; see `_ADDRESS`."""
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
"""Begins the value by which Kubernetes and `docker --link` name another service, such as
`WORKER_REDIS_PORT` for one called `worker-redis`."""


@dataclass(frozen=True, slots=True)
class Variables:
    """What the variables of one prefix are.

    Attributes:
        misspelled: Each with the setting that was meant, or an empty text.
        twice: Pairs whose names differ in the case of letters alone, and whose values differ.
        foreign: Another program's.
    """

    misspelled: tuple[tuple[str, str], ...] = ()
    twice: tuple[tuple[str, str], ...] = ()
    foreign: tuple[str, ...] = ()


def sort_out(
    environment: Mapping[str, str], prefix: str, known: Mapping[str, Collection[str]]
) -> Variables:
    """Tell settings from misspelled ones and from other programs' variables.

    Args:
        environment: All variables.
        prefix: Begins those of this program.
        known: Settings, in upper case, with the keys in each that is a table.
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
    """Return the setting that a name was meant for, if it looks like one."""
    if found := nearest(name, names):
        return found
    if found := nearest(first, names):
        return found + name.removeprefix(first)
    if not name:
        return ""
    begun = [known for known in names if known.startswith(f"{name}_")]
    return min(begun, key=len) if begun else None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a word differs least from, by `NEAR` edits at most."""
    near = [(distance, each) for each in known if (distance := edits(word, each)) <= NEAR]
    return min(near)[1] if near else None


def edits(one: str, other: str) -> int:
    """Return how many characters to insert, delete or replace make one word the other."""
    row = list(range(len(other) + 1))
    for i, char in enumerate(one, start=1):
        last, row = row, [i]
        for j, with_char in enumerate(other, start=1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (char != with_char)))
    return row[-1]
