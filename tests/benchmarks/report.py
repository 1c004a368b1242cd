"""What was measured, as tables for people or as one JSON document."""

from __future__ import annotations

import json
import statistics
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import must_hold
from tests.benchmarks.results import Figures, Results

OURS = "ours-1"
WIDTH = 200
COLUMNS = 4
"""So many fit a page."""


def print_tables(results: Results) -> None:
    """Print a table a measure: median, spread, ratio to ours; then what must hold."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    for measure, rows in results.figures.items():
        base = rows.get(OURS) or next(iter(rows.values()))
        names = list(dict.fromkeys(name for row in rows.values() for name in row))
        for start in range(0, len(names), COLUMNS):
            console.print(_table(measure, rows, base, names[start : start + COLUMNS]))
    for system, why in results.failed.items():
        console.print(f"{system}: not measured in full: {why}", style="red", markup=False)
    table = Table("must hold", "measured", "bound", "", title="must hold", title_justify="left")
    lines = must_hold.lines(results)
    for line in lines:
        if line.measured is not None:
            bound = f"{line.sign} {line.bound:g}"
            table.add_row(line.text, f"{line.measured:.2f}", bound, line.verdict)
    console.print(table)
    if left := sum(line.measured is None for line in lines):
        console.print(f"{left} lines were not measured in this run")


def document(results: Results) -> dict[str, Any]:
    """Return all values, their medians, and what must hold, ready for JSON."""
    return {
        "figures": results.figures,
        "medians": {
            measure: {
                system: {name: statistics.median(values) for name, values in row.items()}
                for system, row in rows.items()
            }
            for measure, rows in results.figures.items()
        },
        "failed": results.failed,
        "must_hold": [
            {
                "line": line.text,
                "measured": line.measured,
                "bound": line.bound,
                "sign": line.sign,
                "verdict": line.verdict,
            }
            for line in must_hold.lines(results)
        ],
    }


def print_json(results: Results) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document(results), indent=1) + "\n")


def _table(measure: str, rows: dict[str, Figures], base: Figures, names: list[str]) -> Table:
    table = Table(title=f"{measure}: median (least to most) / over {OURS}")
    table.title_justify = "left"
    table.add_column("")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for system, row in rows.items():
        table.add_row(system, *(_cell(row.get(name), base.get(name)) for name in names))
    return table


def _cell(values: list[float] | None, base: list[float] | None) -> str:
    if not values:
        return ""
    middle = statistics.median(values)
    text = _number(middle)
    if len(values) > 1:
        text += f" ({_number(min(values))} to {_number(max(values))})"
    if base and (reference := statistics.median(base)):
        text += f" / {middle / reference:.2f}"
    return text


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
