"""Decides from a history alone whether the promises were kept."""

from __future__ import annotations

from tests.chaos.checks import cancels, duplicates, switches, traffic
from tests.chaos.history import History, Violation


def check(history: History) -> list[Violation]:
    """Return everything in a history that breaks a promise."""
    return [
        *cancels.check(history),
        *switches.check(history),
        *traffic.check(history),
        *duplicates.check(history),
    ]
