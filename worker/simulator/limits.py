"""An exact sliding window, counted at arrival."""

from __future__ import annotations

from collections import defaultdict, deque


class SlidingWindow:
    """Allow at most `max_requests` in any `window_ms`.

    The window of an arrival at `t` is `(t - window_ms, t]`: a request that
    comes exactly `window_ms` after another no longer shares a window with it.

    Refused requests count too. The documents do not say; a client that keeps
    within the limit is treated alike, one that hammers is not let in again
    until it has been quiet.
    """

    def __init__(self, max_requests: int, window_ms: float) -> None:
        self._max_requests = max_requests
        self._window_ms = window_ms
        self._arrivals: defaultdict[str, deque[tuple[float, int]]] = defaultdict(deque)
        self._totals: defaultdict[str, int] = defaultdict(int)

    def admit(self, who: str, at_ms: float, weight: int = 1) -> bool:
        """Count an arrival by its weight, and return whether it is within the limit."""
        arrivals = self._arrivals[who]
        while arrivals and arrivals[0][0] <= at_ms - self._window_ms:
            self._totals[who] -= arrivals.popleft()[1]
        arrivals.append((at_ms, weight))
        self._totals[who] += weight
        return self._totals[who] <= self._max_requests

    def used(self, who: str) -> int:
        """Return what has arrived in the window of the last arrival."""
        return self._totals[who]


class FallingCounter:
    """A counter that each request raises and time lowers; above its bound requests are refused."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[float, float]] = {}

    def admit(self, who: str, at_ms: float, *, cost: float, bound: float, per_s: float) -> bool:
        """Count an arrival by its cost, and return whether it is within the bound."""
        count, since_ms = self._counts.get(who, (0.0, at_ms))
        count = max(0.0, count - per_s * max(0.0, at_ms - since_ms) / 1_000) + cost
        self._counts[who] = (count, at_ms)
        return count <= bound
