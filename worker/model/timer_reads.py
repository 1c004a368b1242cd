"""What Redis holds of an exchange's timer, to be compared with the exchange's own word."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimerBelief:
    """Where the one timer of an account is believed to be. Times are Unix ms on Redis's clock.

    Attributes:
        now_ms: When this was read.
        fires_ms: When the timer fires at the earliest; 0 if no switch has one.
        way_ms: How much later it may fire.
        pairs: What the last request named.
        members: The switches that it serves: id, epoch, and when that was confirmed.
    """

    now_ms: int
    fires_ms: int = 0
    way_ms: int = 0
    pairs: tuple[str, ...] = ()
    members: tuple[tuple[str, int, int], ...] = ()
