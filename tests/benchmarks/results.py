"""Figures by measure, system and name, one a round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

Figures = dict[str, list[float]]


@dataclass
class Results:
    """What has been measured so far.

    Attributes:
        figures: Measure → system → figure, unit in its name → one value a round.
        latencies_ms: System → all latencies at 100/s, of all rounds.
        failed: Systems that could not be measured, and why.
    """

    figures: dict[str, dict[str, Figures]] = field(default_factory=dict)
    latencies_ms: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, measure: str, system: str, values: Mapping[str, float]) -> None:
        """Take what one round gave."""
        row = self.figures.setdefault(measure, {}).setdefault(system, {})
        for name, value in values.items():
            row.setdefault(name, []).append(value)

    def median(self, measure: str, system: str, name: str) -> float | None:
        """Return the median over the rounds, or None if it was not measured."""
        values = self.figures.get(measure, {}).get(system, {}).get(name)
        return statistics.median(values) if values else None
