"""Standard output: tables for people, one JSON document for programs.

On a terminal tables have colors and fit its width. Elsewhere they are plain
columns, one line a row, with nothing cut off.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

STYLES = {
    "ok": "green",
    "done": "green",
    "CANCELED": "green",
    "GONE": "green",
    "yes": "green",
    "warn": "yellow",
    "pending": "yellow",
    "armed": "green",
    "waiting": "yellow",
    "tripped": "bold red",
    "UNKNOWN": "yellow",
    "fail": "bold red",
    "dead": "bold red",
    "REJECTED": "red",
    "UNAUTHORIZED": "red",
    "no": "red",
}
GAP = "  "
SECOND_MS = 1_000
UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (SECOND_MS, "s"))


def say(text: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"cancel-worker: {one_line(text)}\n")


def document(value: Any) -> None:  # noqa: ANN401  whatever JSON can be
    """Write the one JSON document."""
    say(json.dumps(value, indent=2))


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table."""
    cells = [[shown(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415  slow

        Console(highlight=False).print(grid(headers, cells))
        return
    for line in columns([list(headers), *cells]):
        say(line)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def grid(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:  # noqa: ANN401  rich's table
    """Return a table for a terminal."""
    from rich import box  # noqa: PLC0415  slow
    from rich.table import Table  # noqa: PLC0415  slow
    from rich.text import Text  # noqa: PLC0415  slow

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    return drawn


def shown(value: object) -> str:
    """Return a value as one line that a terminal cannot be led astray by."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(str(value))


def one_line(text: str) -> str:
    """Return text with every character that is not for reading written out."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def duration(ms: float | None) -> str:
    """Return a time span for people: 42ms, 3.1s, 5m, 2h, 4d."""
    if ms is None:
        return "-"
    ms = max(0, round(ms))
    if ms < SECOND_MS:
        return f"{ms}ms"
    lower = (*(size for size, _ in UNITS[1:]), 1)
    for (size, unit), smaller in zip(UNITS, lower, strict=True):
        # 59.99 minutes are shown as an hour.
        if ms >= size or round(ms / smaller, 1) * smaller >= size:
            return f"{ms / size:.1f}".removesuffix(".0") + unit
    raise AssertionError  # a second is the last unit


def moment(ms: int | None) -> str:
    """Return a Unix time in ms as a date and time of day."""
    if ms is None:
        return "-"
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="milliseconds")
