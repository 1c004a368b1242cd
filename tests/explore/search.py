"""Breadth-first search that visits each state once and keeps the way to it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from worker import clock

S = TypeVar("S")


class Model(Protocol[S]):
    """What is searched: states, what can happen in them, and what must hold."""

    def start(self) -> S:
        """Return the first state."""
        ...

    def key(self, state: S) -> tuple[Hashable, tuple[int, ...]]:
        """Return what a state is, and how many steps each actor has left.

        Of two states that are the same, one with at least as many steps left
        for each actor reaches all that the other reaches.
        """
        ...

    def moves(self, state: S) -> Iterable[tuple[str, Callable[[], S]]]:
        """Return what can happen next, each with its words and its effect."""
        ...

    def check(self, state: S) -> str:
        """Return what is broken in this state, or an empty text."""
        ...


@dataclass
class Found(Generic[S]):
    """Result of a search.

    Attributes:
        states: How many distinct states were visited.
        moves: How many moves were made.
        took_s: For how long.
        complete: Whether no state within the scope was left out.
        broken: What is broken, if anything is.
        schedule: What happened on the shortest way to it, in order.
    """

    states: int = 0
    moves: int = 0
    took_s: float = 0.0
    complete: bool = False
    broken: str = ""
    schedule: list[str] = field(default_factory=list)

    def report(self) -> str:
        """Return it for people."""
        rate = self.states / self.took_s if self.took_s else 0.0
        how = "complete" if self.complete else "stopped"
        head = (
            f"{how}: {self.states} states, {self.moves} moves in {self.took_s:.1f} s "
            f"({rate:.0f} states/s)"
        )
        if not self.broken:
            return head
        steps = [f"{n:3}. {step}" for n, step in enumerate(self.schedule, start=1)]
        return "\n".join([head, f"BROKEN: {self.broken}", *steps])


def search(
    model: Model[S], *, longest_s: float, progress: Callable[[str], None] | None = None
) -> Found[S]:
    """Visit every state that can be reached; stop at the first that is broken.

    Args:
        model: What is searched.
        longest_s: When to stop, with what has been visited by then.
        progress: Called periodically with a line on how far it is.
    """
    begun = clock.monotonic_ms()
    found: Found[S] = Found()
    first = model.start()
    parents: dict[int, tuple[int, str]] = {}
    level = [(0, first)]
    seen = _Seen()
    seen.add(*model.key(first))
    depth = 0
    while level:
        following: list[tuple[int, S]] = []
        for at, state in level:
            for words, move in model.moves(state):
                reached = move()
                found.moves += 1
                if not seen.add(*model.key(reached)):
                    continue
                digest = len(parents) + 1
                parents[digest] = (at, words)
                if broken := model.check(reached):
                    found.broken = broken
                    found.schedule = _way(parents, digest)
                    return _ended(found, seen, begun)
                following.append((digest, reached))
            if clock.monotonic_ms() - begun > longest_s * 1_000:
                return _ended(found, seen, begun)
        depth += 1
        level = following
        if progress is not None:
            progress(f"depth {depth}: {len(seen)} states, {len(level)} to look at")
    found.complete = True
    return _ended(found, seen, begun)


class _Seen:
    """States visited, each with the steps that were left when it was."""

    def __init__(self) -> None:
        self._lefts: dict[int, list[tuple[int, ...]]] = {}

    def __len__(self) -> int:
        return len(self._lefts)

    def add(self, state: Hashable, left: tuple[int, ...]) -> bool:
        """Add a state; return False if it has been visited with as many steps left."""
        lefts = self._lefts.setdefault(hash(state), [])
        if any(all(map(int.__ge__, other, left)) for other in lefts):
            return False
        lefts[:] = [other for other in lefts if not all(map(int.__le__, other, left))]
        lefts.append(left)
        return True


def _ended(found: Found[S], seen: _Seen, begun: float) -> Found[S]:
    found.states = len(seen)
    found.took_s = (clock.monotonic_ms() - begun) / 1_000
    return found


def _way(parents: dict[int, tuple[int, str]], digest: int) -> list[str]:
    steps: list[str] = []
    while digest in parents:
        digest, words = parents[digest]
        steps.append(words)
    return steps[::-1]
