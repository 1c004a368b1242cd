"""Standard output: tables for people, one JSON document for programs.

On a terminal, tables have colors and fit its width. Elsewhere they are plain
columns, one line a row, never cut.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from worker.model.text import one_line

if TYPE_CHECKING:
    from worker.model.jobs import Job
    from worker.model.switches import SwitchRecord

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
COLUMN_GAP = "   "
"""As rich draws it."""
LAST_MIN = 20
FEW = 3
"""Columns that a narrow terminal can fold."""
EMPTY = "-"
WHOLE = ("ID", "JOB", "ORDER", "AT")
"""Columns of ids and times, which are read and copied in one piece."""
WHOLE_MAX = 48
SHORT_MAX = 9
SCOPE_SHOWN = 4
"""Names of a scope that a table shows."""
SECOND_MS = 1_000
UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (SECOND_MS, "s"))


def say(text: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"cancel-worker: {one_line(text)}\n")


def document(value: Any) -> None:  # noqa: ANN401  any JSON value
    """Write a JSON document, the only output of a command."""
    say(json.dumps(value, indent=2))


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, nothing: str = "") -> None:
    """Write a table without its empty columns.

    Args:
        headers: Names of the columns.
        rows: The cells.
        nothing: What a terminal shows in place of a table without rows.
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    headers, cells = without_empty(headers, cells)
    if sys.stdout.isatty():
        if nothing and not cells:
            say(nothing)
            return
        from rich.console import Console  # noqa: PLC0415  slow

        console = Console(highlight=False)
        named = headers[0] and len(headers) > FEW
        if named and cells and _natural(headers, cells) > console.width:
            for row in cells:
                for line in stacked(headers, row, console.width):
                    say(line)
            return
        console.print(grid(headers, cells))
        return
    for line in columns([list(headers), *cells]):
        say(line)


def _natural(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    """Return the width at which no column but the last has to fold, nor that to less than 20."""
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    if headers[-1] not in WHOLE:
        widths[-1] = min(widths[-1], LAST_MIN)
    return sum(widths) + len(COLUMN_GAP) * len(widths)


def stacked(headers: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """Return a row as lines for a narrow terminal: its first cell, then the others by name."""
    named = [
        f"{header.lower()} {cell}"
        for header, cell in zip(headers[1:], row[1:], strict=True)
        if cell != EMPTY
    ]
    room = width - len(GAP)
    lines: list[str] = []
    for each in named:
        if lines and len(lines[-1]) + len(GAP) + len(each) <= room:
            lines[-1] += GAP + each
        else:
            lines += textwrap.wrap(each, room, break_on_hyphens=False)
    return [row[0], *(f"{GAP}{line}" for line in lines)]


def without_empty(
    headers: Sequence[str], cells: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Return a table without the columns that no row fills; all of them without a row."""
    filled = [i for i in range(len(headers)) if not cells or any(row[i] != EMPTY for row in cells)]
    return [headers[i] for i in filled], [[row[i] for i in filled] for row in cells]


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """Write names with their values; on a terminal, long values are wrapped below themselves."""
    if not sys.stdout.isatty():
        for line in columns(rows):
            say(line)
        return
    indent = max(len(name) for name, _ in rows) + len(GAP)
    room = max(LAST_MIN, shutil.get_terminal_size().columns - indent)
    for name, value in rows:
        lines = textwrap.wrap(value, room, break_on_hyphens=False) or [""]
        for start, line in zip([name, *[""] * len(lines)], lines, strict=False):
            say(f"{start:{indent}}{line}".rstrip())


def grid(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:  # noqa: ANN401  rich's table
    """Return a table for a terminal."""
    from rich import box  # noqa: PLC0415  slow
    from rich.table import Table  # noqa: PLC0415  slow
    from rich.text import Text  # noqa: PLC0415  slow

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    headers, rows = without_empty(headers, rows)
    for i, header in enumerate(headers):
        width = max([len(header), *(len(row[i]) for row in rows)])
        # Ids in one piece, so that they can be copied; short words, so that they can be read.
        if (header in WHOLE and width <= WHOLE_MAX) or width <= SHORT_MAX:
            drawn.add_column(header, no_wrap=True, min_width=width)
        else:
            drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    return drawn


def shown(value: object) -> str:
    """Return a value as one line without control characters."""
    if value is None or value == "":
        return EMPTY
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(str(value))


def duration(ms: float | None) -> str:
    """Return a time span as text: 42ms, 3.1s, 5m, 2h, 4d."""
    if ms is None:
        return "-"
    ms = max(0, round(ms))
    if ms < SECOND_MS:
        return f"{ms}ms"
    lower = (*(size for size, _ in UNITS[1:]), 1)
    for (size, unit), smaller in zip(UNITS, lower, strict=True):
        # Round first: 59.99 minutes are an hour.
        if ms >= size or round(ms / smaller, 1) * smaller >= size:
            return f"{ms / size:.1f}".removesuffix(".0") + unit
    raise AssertionError  # a second is the last unit


def moment(ms: int | None) -> str:
    """Return a Unix time in ms as a date and time of day."""
    if ms is None:
        return "-"
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="milliseconds")


def target(job: Job) -> str:
    """Return the order of a job, `all` for a whole scope; empty for a malformed message."""
    return job.order or ("all" if job.account else "")


def scope(record: SwitchRecord) -> str:
    """Return the pairs and orders of a switch, the first few by name."""
    names = record.scope
    more = len(names) - SCOPE_SHOWN
    return " ".join(names[:SCOPE_SHOWN]) + (f" +{more}" if more > 0 else "")
