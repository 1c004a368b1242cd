"""Plots as SVG, written by hand: lines over logarithmic axes."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.measures.growth import GROWTH
from tests.benchmarks.results import Results

WIDTH, HEIGHT = 900, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 220, 40, 60
COLORS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5")
DASHES = ("", "6 3", "2 3")
SHARES = [n / 200 for n in range(1, 200)] + [0.996, 0.998, 0.999]
Points = Sequence[tuple[float, float]]


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Write the plots that there are figures for; return their paths."""
    written = []
    if results.latencies_ms:
        lines = {
            name: _distribution(sorted(values)) for name, values in results.latencies_ms.items()
        }
        axes = ("ms from call to arrival, at 100/s", "share of cancels that took longer")
        written.append(_write(folder / "latency.svg", lines, axes))
    if rows := results.figures.get(GROWTH):
        figures = ("cpu_ms_per_job", "redis_cpu_ms_per_job", "wall_ms_per_job", "single_p50_ms")
        lines = {
            name: [
                (float(row.split()[0]), results.median(GROWTH, row, name) or 0.0) for row in rows
            ]
            for name in figures
        }
        axes = ("jobs pending", "ms")
        written.append(_write(folder / "growth.svg", lines, axes))
    return written


def _distribution(values: Sequence[float]) -> Points:
    return [(values[min(len(values) - 1, int(s * len(values)))], 1 - s) for s in SHARES]


def _write(path: Path, lines: Mapping[str, Points], axes: tuple[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg(lines, axes))
    return path


def svg(lines: Mapping[str, Points], axes: tuple[str, str]) -> str:
    """Return a plot of named lines; what is not above 0 is left out."""
    kept = {name: [(x, y) for x, y in line if x > 0 and y > 0] for name, line in lines.items()}
    kept = {name: line for name, line in kept.items() if line}
    across = _Scale([x for line in kept.values() for x, _ in line], LEFT, WIDTH - RIGHT)
    up = _Scale([y for line in kept.values() for _, y in line], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
        "<style>text { font: 12px sans-serif }</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for tick in across.ticks():
        x = across.at(tick)
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        label = f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>'
        parts.append(label)
    for tick in up.ticks():
        y = up.at(tick)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for n, (name, line) in enumerate(kept.items()):
        color, dash = COLORS[n % len(COLORS)], DASHES[n // len(COLORS) % len(DASHES)]
        points = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in line)
        style = f'fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{points}" {style}/>')
        y = TOP + 16 * n
        parts.append(f'<path d="M{WIDTH - RIGHT + 12} {y}h22" {style}/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 40}" y="{y + 4}">{html.escape(name)}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 16}">{html.escape(axes[0])}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 16}">{html.escape(axes[1])}</text>')
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """A logarithmic axis from `low` px to `high` px."""

    def __init__(self, values: Sequence[float], low: float, high: float) -> None:
        self._from = math.floor(math.log10(min(values)) * 2) / 2
        self._to = max(math.ceil(math.log10(max(values)) * 2) / 2, self._from + 0.5)
        self._low, self._high = low, high

    def at(self, value: float) -> float:
        share = (math.log10(value) - self._from) / (self._to - self._from)
        return self._low + share * (self._high - self._low)

    def ticks(self) -> list[float]:
        first, last = math.ceil(self._from * 2), math.floor(self._to * 2)
        marks = [10 ** (n // 2) * (3 if n % 2 else 1) for n in range(first, last + 1)]
        return [mark for mark in marks if self._from <= math.log10(mark) <= self._to]
