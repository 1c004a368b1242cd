"""Which changes are known to survive, with why; and what a run found beside them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROW = "{:<36}{:>8}{:>8}{:>12}{:>10}{:>10}{:>9}"


class Change(NamedTuple):
    """One change: in which function, and its lines before and after."""

    where: str
    was: str
    now: str

    def __str__(self) -> str:
        """Show it as a patch does."""
        old, new = (
            text.replace("\n", f"\n  {sign} ") for text, sign in zip(self[1:], "-+", strict=True)
        )
        return f"{self.where}\n  - {old}\n  + {new}"


@dataclass(frozen=True, slots=True)
class Listed:
    """What is known of changes that survive.

    Attributes:
        equivalent: Those that cannot change behavior, each with the reason.
        accepted: Those that can, each with why no test is to notice.
    """

    equivalent: Mapping[Change, str]
    accepted: Mapping[Change, str]


@dataclass(frozen=True, slots=True)
class Figures:
    """How many changes were made to one module, and which of them survived."""

    module: str
    made: int
    survived: tuple[Change, ...]


def read(path: Path) -> Listed:
    """Read the list.

    Raises:
        ValueError: A change is listed twice, or without a reason.
    """
    tables = tomllib.loads(path.read_text())
    found: dict[str, dict[Change, str]] = {"equivalent": {}, "accepted": {}}
    for kind, entries in tables.items():
        for entry in entries:
            for was, now in entry["changes"]:
                change = Change(entry["where"], was, now)
                if not entry["why"] or any(change in each for each in found.values()):
                    raise ValueError(f"listed twice, or without a reason: {change}")
                found[kind][change] = entry["why"]
    return Listed(**found)


def report(made: Sequence[Figures], listed: Listed, *, whole: bool) -> tuple[str, bool]:
    """Return the figures of each module, then what the list lacks or should not have.

    Args:
        made: What a run did.
        listed: What is known.
        whole: All changes to these modules were made: what is listed of them and did not
            survive is no longer true.

    Returns:
        Lines for a person, and whether the list is right.
    """
    rows = [ROW.format("module", "changes", "killed", "equivalent", "accepted", "unlisted", "%")]
    total = [0] * 5
    for each in made:
        equivalent = sum(change in listed.equivalent for change in each.survived)
        accepted = sum(change in listed.accepted for change in each.survived)
        killed = each.made - len(each.survived)
        counts = [each.made, killed, equivalent, accepted]
        counts.append(each.made - sum(counts[1:]))
        total = [a + b for a, b in zip(total, counts, strict=True)]
        rows.append(ROW.format(each.module.removeprefix("worker."), *counts, _share(counts)))
    rows.append(ROW.format("all", *total, _share(total)))
    survived = {change for each in made for change in each.survived}
    known = listed.equivalent.keys() | listed.accepted.keys()
    new = sorted(survived - known)
    modules = tuple(f"{each.module}." for each in made)
    stale = [each for each in sorted(known - survived) if f"{each.where}.".startswith(modules)]
    if not whole:
        stale = []
    rows += [f"\nsurvived, and is not listed: {change}" for change in new]
    rows += [f"\nlisted, and no longer survives: {change}" for change in stale]
    return "\n".join(rows), not new and not stale


def _share(counts: Sequence[int]) -> str:
    """Return the share of killed ones among those that can change behavior."""
    made, killed, equivalent, *_ = counts
    return f"{100 * killed / max(1, made - equivalent):.1f}"
