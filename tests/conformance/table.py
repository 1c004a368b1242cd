"""The matrix as a Markdown table."""

from __future__ import annotations

from tests.conformance.bench import VENUES, Bench
from tests.conformance.rows import ROWS, Numbered


def cell(row: Numbered, name: str) -> str:
    """Run one row on one exchange; return what its cell shows.

    Raises:
        AssertionError: The exchange does not pass.
    """
    return row.run(Bench(name)) or "passes"


def table() -> str:
    """Run every row on every exchange; return the table."""
    lines = ["| # | | " + " | ".join(f"`{name}`" for name in VENUES) + " |"]
    lines.append("|---|---|" + "---|" * len(VENUES))
    for row in ROWS:
        cells = " | ".join(cell(row, name) for name in VENUES)
        lines.append(f"| {row.number} | {row.words} | {cells} |")
    return "\n".join(lines) + "\n"
