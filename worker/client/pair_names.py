"""Give pairs the one spelling that is used inside, and refuse those that an exchange lacks."""

from __future__ import annotations

from collections.abc import Sequence

from worker import clock
from worker.errors import InvalidCommand
from worker.exchanges.base import Exchange
from worker.model.names import lane_of
from worker.model.pairs import asked_names
from worker.policy.pair_proofs import lists_pairs, unknown_pair
from worker.policy.phases import spelled
from worker.store.pair_steps import FoundPairs, finding_pairs, wanting_pairs
from worker.store.steps import Pause, Steps

WAIT_MS = 3_000
"""How long a newer list is waited for."""
LOOK_MS = 100


def naming_pairs(exchange: Exchange, account: str, pairs: Sequence[str]) -> Steps[tuple[str, ...]]:
    """Return pairs as the exchange's rows of open orders have them.

    A pair that the list of pairs does not have is looked for in a newer list, which workers
    are asked to fetch. If there is none, neither an old one nor one within `WAIT_MS`, the pair
    is taken as the adapter spells it: what it is cannot be known here.

    Raises:
        InvalidCommand: The exchange does not have the pair.
        StoreUnavailable: Redis did not answer.
    """
    typed = tuple(spelled(exchange, pair) or "" for pair in pairs)
    if not typed or not lists_pairs(exchange) or not all(isinstance(p, str) for p in pairs):
        return typed
    lane = lane_of(exchange.name, account)
    names = [asked_names(pair, each) for pair, each in zip(pairs, typed, strict=True)]
    found = yield from finding_pairs(lane, names)
    refuse = False
    if found.fetched_ms and not _all_known(exchange, typed, found):
        found, refuse = yield from _newer(lane, names, found)
    named: list[str] = []
    for pair, each, listed in zip(pairs, typed, found.pairs, strict=True):
        if listed is None and refuse and not _unlisted(exchange, each):
            raise InvalidCommand(unknown_pair(exchange, pair))
        named.append(each if listed is None else listed.pair)
    return tuple(named)


def _newer(
    lane: str, names: Sequence[Sequence[str]], found: FoundPairs
) -> Steps[tuple[FoundPairs, bool]]:
    """Have the list fetched again; return what it says, and whether there is a newer one."""
    wanted_ms = yield from wanting_pairs(lane)
    until_ms = clock.monotonic_ms() + WAIT_MS
    while found.fetched_ms <= wanted_ms and clock.monotonic_ms() < until_ms:
        yield Pause(LOOK_MS)
        found = yield from finding_pairs(lane, names)
    return found, found.fetched_ms > wanted_ms


def _all_known(exchange: Exchange, typed: Sequence[str], found: FoundPairs) -> bool:
    return all(
        listed is not None or _unlisted(exchange, pair)
        for pair, listed in zip(typed, found.pairs, strict=True)
    )


def _unlisted(exchange: Exchange, pair: str) -> bool:
    pattern = exchange.capabilities.unlisted_pairs
    return pattern is not None and pattern.fullmatch(pair) is not None
