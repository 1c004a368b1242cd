"""The exchanges' limits and nonces, as counted where the requests arrive."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator

from tests.chaos.history import History, Limit, Violation
from worker.simulator import Arrival

LIMIT = "a limit was broken"
NONCE = "a nonce did not rise"
FORBIDDEN = frozenset({"rate", "nonce", "key", "signature"})
"""Refusals that only a mistake of ours can bring about."""


def check(history: History) -> list[Violation]:
    """Judge every window, and every key's nonces."""
    return [*_limits(history), *_nonces(history), *_refusals(history)]


def _limits(history: History) -> Iterator[Violation]:
    windows: dict[tuple[str, ...], list[Arrival]] = defaultdict(list)
    for arrival in history.journal:
        if arrival.operation == "countdown":
            windows["countdowns", arrival.source].append(arrival)
            continue
        limit = history.bounds.limits.get(arrival.exchange)
        if limit is not None and arrival.operation in limit.operations:
            windows["requests", arrival.exchange, arrival.api_key].append(arrival)
    for name, arrivals in windows.items():
        limits = history.bounds.limits
        limit = history.bounds.countdowns if name[0] == "countdowns" else limits[name[1]]
        yield from _over(name, arrivals, limit)


def _over(name: tuple[str, ...], arrivals: Iterable[Arrival], limit: Limit) -> Iterator[Violation]:
    within: deque[Arrival] = deque()
    for arrival in arrivals:
        within.append(arrival)
        while within[0].at_ms <= arrival.at_ms - limit.window_ms:
            within.popleft()
        if len(within) > limit.most:
            what = f"{len(within)} {name[0]} in {limit.window_ms} ms from {name[1]}"
            yield Violation(LIMIT, what, tuple(within))
            return


def _nonces(history: History) -> Iterator[Violation]:
    last: dict[str, Arrival] = {}
    for arrival in history.journal:
        if arrival.nonce is None:
            continue
        former = last.get(arrival.api_key)
        if former is not None and former.nonce is not None and arrival.nonce <= former.nonce:
            what = f"{arrival.nonce} after {former.nonce}"
            yield Violation(NONCE, what, (former, arrival))
        last[arrival.api_key] = arrival


def _refusals(history: History) -> Iterator[Violation]:
    jumped: set[str] = set()
    for arrival in history.journal:
        if arrival.fault == "reject_nonce":
            # The exchange moved its own number on: one refusal is its doing.
            jumped.add(arrival.api_key)
        elif arrival.refusal == "nonce" and arrival.api_key in jumped:
            jumped.discard(arrival.api_key)
        elif arrival.refusal in FORBIDDEN:
            promise = NONCE if arrival.refusal == "nonce" else LIMIT
            yield Violation(promise, f"refused for its {arrival.refusal}", (arrival,))
