"""How long to wait after a reply: what the exchange asks for, within bounds."""

from __future__ import annotations

from worker.model.outcomes import Answer, Outcome, Unproven

THROTTLED_MS = 1_000
"""How long an account sends nothing after a refusal for the rate that names no time."""
THROTTLED_MAX_MS = 60_000
"""The longest that one reply may make an account wait for the rate: the longest window in
which an exchange is known to count. A reply that asks for more states no rate limit."""


def throttled_ms(answer: Answer) -> int:
    """Return how long the account sends nothing; 0 unless it was refused for its rate.

    A reply that names 0 ms says that the next request may go at once.
    """
    match answer:
        case Unproven(outcome=Outcome.THROTTLED, retry_after_ms=asked_ms):
            return THROTTLED_MS if asked_ms is None else min(asked_ms, THROTTLED_MAX_MS)
        case _:
            return 0


def delayed_ms(backoff_ms: int, asked_ms: int | None) -> int:
    """Return how long to wait with the next try: as asked, but at least half of the backoff.

    Args:
        backoff_ms: The wait where the exchange asks for none.
        asked_ms: What it asks for, within the caller's bound; None for nothing.
    """
    return backoff_ms if asked_ms is None else max(asked_ms, backoff_ms // 2)
