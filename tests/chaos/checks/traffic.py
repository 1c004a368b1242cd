"""The exchanges' limits and nonces, as counted where the requests arrive."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator

from tests.chaos.history import History, Violation
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
        elif arrival.operation == "cancel" and arrival.exchange in history.bounds.cancels:
            windows["cancels", arrival.exchange, arrival.api_key].append(arrival)
    for name, arrivals in windows.items():
        most, window_ms = (
            history.bounds.countdowns
            if name[0] == "countdowns"
            else history.bounds.cancels[name[1]]
        )
        yield from _over(name, arrivals, most, window_ms)


def _over(
    name: tuple[str, ...], arrivals: Iterable[Arrival], most: int, window_ms: int
) -> Iterator[Violation]:
    within: deque[Arrival] = deque()
    for arrival in arrivals:
        within.append(arrival)
        while within[0].at_ms <= arrival.at_ms - window_ms:
            within.popleft()
        if len(within) > most:
            what = f"{len(within)} {name[0]} in {window_ms} ms from {name[1]}"
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
