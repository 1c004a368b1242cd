"""How long outcomes are kept: less as Redis fills. Pure arithmetic."""

from __future__ import annotations

EASE = 0.5
"""Part of Redis's memory up to which outcomes are kept for as long as is set."""
TIGHT = 0.75
"""From where on they are kept for `SHORTEST_MS`: before an alert is raised."""
SHORTEST_MS = 600_000
"""What a strategy may still ask for, also in a Redis that is nearly full."""


def kept_ms(retention_ms: int, used: float | None) -> int:
    """Return for how long an outcome recorded now is kept.

    Args:
        retention_ms: As set.
        used: Part of its memory that Redis uses; None if it has no limit.
    """
    if used is None or used <= EASE:
        return retention_ms
    shortest = min(retention_ms, SHORTEST_MS)
    room = max(0.0, (TIGHT - used) / (TIGHT - EASE))
    return round(shortest + (retention_ms - shortest) * room)
