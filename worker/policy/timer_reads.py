"""Compare what an exchange says of its timer with what was set: a pure decision."""

from __future__ import annotations

from worker.exchanges.timer import Timer
from worker.model.outcomes import TimerReading
from worker.model.timer_reads import TimerBelief

SLACK_UNITS = 2
"""A reading states two moments, each rounded down to the timer's unit."""


def difference(
    timer: Timer, belief: TimerBelief, reading: TimerReading, *, took_ms: int
) -> tuple[str, int]:
    """Return how an exchange's timer differs from what was set, and when it fires at the latest.

    A timer that has fired by now, or is about to, is not compared.

    Args:
        timer: What the exchange counts in.
        belief: What was set. It was read before the exchange was asked.
        reading: What the exchange answered.
        took_ms: From the reading of the belief to the end of the reply.

    Returns:
        The difference in words, empty if there is none; and the latest moment at which the
        exchange's timer may fire, in Redis time, 0 if it has none.
    """
    left_ms, slack_ms = reading.left_ms, SLACK_UNITS * timer.unit_ms
    if left_ms is None or belief.fires_ms <= belief.now_ms + took_ms + slack_ms:
        return "", 0
    if left_ms == 0:
        return "it has none", 0
    latest_ms = belief.now_ms + took_ms + left_ms + slack_ms
    if _plain(reading.pairs) != _plain(belief.pairs):
        named = ", ".join(reading.pairs) or "every pair"
        return f"it is for {named} instead of {', '.join(belief.pairs)}", latest_ms
    late_ms = belief.now_ms + left_ms - slack_ms - belief.fires_ms - belief.way_ms
    if late_ms > 0:
        return f"it fires {late_ms + slack_ms} ms later than set", latest_ms
    early_ms = belief.fires_ms - latest_ms
    if early_ms > 0:
        return f"it fires {early_ms + slack_ms} ms earlier than set", latest_ms
    return "", 0


def _plain(pairs: tuple[str, ...]) -> set[str]:
    return {pair.casefold() for pair in pairs}
