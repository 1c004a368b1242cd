"""Which request meets which fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from worker.simulator.exchange import Call, Exchange
from worker.simulator.faults import Fault, find_fault


@dataclass(frozen=True, slots=True)
class _Chances:
    """Probabilities on one exchange, for the requests of `paths` alone if given."""

    faults: tuple[tuple[Fault, float], ...]
    paths: frozenset[str] | None


@dataclass(slots=True)
class _Due:
    """A fault that waits for its next requests."""

    fault: Fault
    exchange: str | None
    paths: frozenset[str] | None
    times: int


class FaultPlan:
    """Faults that are due come first, then chance decides.

    A fault that has no meaning on an exchange, or for a request (a nonce
    refused in timestamp mode), is not drawn there; one that is due waits for
    the next request that it can meet.
    """

    def __init__(self, exchanges: Mapping[str, Exchange]) -> None:
        self._exchanges = exchanges
        self._chances: dict[str, _Chances] = {}
        self._due: list[_Due] = []

    def set(
        self,
        faults: Mapping[str, float],
        *,
        exchange: str | None,
        paths: Iterable[str] | None,
    ) -> None:
        """Replace the probabilities of one exchange, or of all.

        Raises:
            ValueError: A name is unknown, or the probabilities are none.
        """
        chances = tuple((find_fault(name), chance) for name, chance in faults.items())
        if any(chance < 0 for _, chance in chances) or sum(faults.values()) > 1 + 1e-9:
            raise ValueError("probabilities of faults are at least 0 and together at most 1")
        wanted = None if paths is None else frozenset(paths)
        for name in [exchange] if exchange else list(self._exchanges):
            here = [
                (fault, chance)
                for fault, chance in chances
                if fault.means_something(self._exchanges[name])
            ]
            self._chances[name] = _Chances(tuple(here), wanted)

    def next(
        self, name: str, *, exchange: str | None, times: int, paths: Iterable[str] | None
    ) -> None:
        """Let the next `times` requests meet a fault.

        Raises:
            ValueError: The name is unknown, or means nothing on `exchange`.
        """
        fault = find_fault(name)
        if exchange and not fault.means_something(self._exchanges[exchange]):
            raise ValueError(f"fault {name} means nothing on {exchange}")
        wanted = None if paths is None else frozenset(paths)
        self._due.append(_Due(fault, exchange, wanted, times))

    def draw(self, exchange: Exchange, call: Call) -> Fault | None:
        """Return the fault that a request meets, if any."""
        roll = call.dice.random()
        for due in self._due:
            if due.exchange in (None, exchange.name) and _meets(
                due.fault, due.paths, exchange, call
            ):
                due.times -= 1
                self._due = [waiting for waiting in self._due if waiting.times > 0]
                return due.fault
        chances = self._chances.get(exchange.name)
        for fault, chance in chances.faults if chances else ():
            if roll < chance:
                paths = chances.paths if chances else None
                return fault if _meets(fault, paths, exchange, call) else None
            roll -= chance
        return None


def _meets(fault: Fault, paths: frozenset[str] | None, exchange: Exchange, call: Call) -> bool:
    """Say whether a fault can meet a request; `paths` holds paths and operations."""
    if not fault.means_something(exchange) or not fault.meets(call.reading):
        return False
    if paths is None or call.reading.operation in paths:
        return True
    subpath = exchange.subpath(call.request)
    return any(path.startswith("/") and subpath.startswith(path) for path in paths)
