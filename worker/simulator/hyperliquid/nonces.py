"""Which nonces of a signer are accepted.

"The 100 highest nonces are stored per address." A new one "must be larger than the smallest
nonce in this set" and unused, and within (T - 2 days, T + 1 day).
"""

from __future__ import annotations

from collections import defaultdict
from heapq import heappush, heapreplace

KEPT = 100
DAY_MS = 86_400_000


class Nonces:
    """The nonces of each signer."""

    def __init__(self) -> None:
        self._heaps: defaultdict[str, list[int]] = defaultdict(list)

    def why_refused(self, signer: str, nonce: int, now_ms: float) -> str:
        """Return why a nonce is refused; empty for one that is accepted, and is then used."""
        heap = self._heaps[signer]
        if not now_ms - 2 * DAY_MS < nonce < now_ms + DAY_MS:
            return f"Invalid nonce: {nonce} is out of bounds"
        if nonce in heap:
            return f"Invalid nonce: duplicate nonce {nonce}"
        if len(heap) < KEPT:
            heappush(heap, nonce)
        elif nonce < heap[0]:
            return f"Invalid nonce: {nonce} is too low"
        else:
            heapreplace(heap, nonce)
        return ""
