"""What is asked of the lists of pairs in Redis, as procedures; see `pairs.lua`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.model.pairs import ListedPair, read_row
from worker.store.steps import Steps, run


@dataclass(frozen=True, slots=True)
class FoundPairs:
    """What a list of pairs says of some names.

    Attributes:
        fetched_ms: When it was fetched, by shared time; 0 if there is none yet.
        now_ms: Shared time.
        pairs: Of each pair that was looked for, what was found by the first of its names that
            is in the list; None if none is.
    """

    fetched_ms: int
    now_ms: int
    pairs: tuple[ListedPair | None, ...]


def finding_pairs(lane: str, names: Sequence[Sequence[str]]) -> Steps[FoundPairs]:
    """Look pairs up, each by several names with their marks."""
    flat = [name for each in names for name in each]
    fetched, now, *rows = yield run("pairs", lane, *flat)
    found: list[ListedPair | None] = []
    for each in names:
        mine, rows = rows[: len(each)], rows[len(each) :]
        found.append(next((read_row(str(row)) for row in mine if row), None))
    return FoundPairs(int(fetched), int(now), tuple(found))


def wanting_pairs(lane: str) -> Steps[int]:
    """Ask workers for a newer list; return shared time, which its age must beat."""
    return int((yield run("want_pairs", lane)))
