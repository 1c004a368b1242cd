"""What is asked of Redis, apart from how it gets there.

A procedure is a generator: it yields steps and receives their answers, and does no I/O. The
blocking and the asyncio store carry the same procedures.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class Key(str):
    """Name of a key in a command, without the prefix, which the store adds."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Run:
    """Run a script; the answer is the script's. See `Store.run`."""

    name: str
    args: tuple[str | float, ...]
    promised: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Send commands in one round trip; the answer is the list of theirs, as Redis sends them."""

    commands: tuple[tuple[str | float, ...], ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    ms: float


@dataclass(frozen=True, slots=True)
class Latest:
    """Return the latest that shared time can be at a local time; 0 if nothing is known of it."""

    local_ms: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send commands on the connection of a call; the answer is the list of theirs.

    Attributes:
        commands: With their keys' full names.
        within_ms: Bound on each wait for an answer; None for the connection's own.
        certain: Raise errors of Redis, which else are among the answers.
    """

    commands: tuple[tuple[Any, ...], ...]
    within_ms: float | None = None
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection of a call, so that nothing more of it is sent."""


Steps: TypeAlias = Generator[Run | Ask | Pause | Latest, Any, T]
"""A procedure against Redis that returns T."""
WireSteps: TypeAlias = Generator[Exchange | Pause | Drop, Any, T]
"""A procedure on one connection that returns T."""


def run(name: str, *args: str | float, promised: bool = False) -> Run:
    """Return the step that runs a script."""
    return Run(name, args, promised)


def ask(*commands: tuple[str | float, ...]) -> Ask:
    """Return the step that sends commands in one round trip."""
    return Ask(commands)


def fields_of(answer: list[str]) -> dict[str, str]:
    """Return the fields of a hash from the answer of `HGETALL`."""
    return dict(zip(answer[::2], answer[1::2], strict=True))


def drive(steps: Generator[S, Any, T], do: Callable[[S], Any]) -> T:
    """Carry out a procedure, blocking; return what it returns.

    Args:
        steps: Receives each answer, and each error that `do` raises.
        do: Carries out one step.
    """
    try:
        step = next(steps)
        while True:
            try:
                answer = do(step)
            except Exception as error:  # noqa: BLE001  the procedure judges it
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result


async def drive_async(
    steps: Generator[S, Any, T],
    do: Callable[[S], Awaitable[Any]],
    *,
    start: asyncio.Semaphore | None = None,
) -> T:
    """Carry out a procedure with awaited steps; a cancellation ends it where it is.

    Args:
        steps: As for `drive`.
        do: Carries out one step.
        start: Bounds how many procedures begin in one turn of the event loop.
    """
    try:
        if start is None:
            step = next(steps)
        else:
            async with start:
                await asyncio.sleep(0)
                step = next(steps)
        while True:
            try:
                answer = await do(step)
            except Exception as error:  # noqa: BLE001  the procedure judges it
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()


def carried(steps: Callable[P, Steps[T]]) -> Callable[Concatenate[Any, P], T]:
    """Return a procedure as a method of a class with a blocking `_store`."""

    @functools.wraps(steps)
    def carry(self: Any, /, *args: P.args, **options: P.kwargs) -> T:  # noqa: ANN401  has a `_store`
        done: T = self._store.carry(steps(*args, **options))
        return done

    return carry
