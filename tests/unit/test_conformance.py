"""Every exchange passes the numbered matrix; the documentation shows it as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.bench import VENUES
from tests.conformance.rows import ROWS, Numbered
from tests.conformance.table import cell, table
from worker.exchanges import EXCHANGES

PAGE = Path(__file__).parents[2] / "ops" / "docs" / "conformance.md"


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number:02}")
def test_an_exchange_passes(row: Numbered, name: str) -> None:
    """What does not apply to an exchange follows from what it declares."""
    assert cell(row, name)


def test_the_page_shows_the_matrix() -> None:
    """`python -m tests.conformance` prints the table."""
    assert table() in PAGE.read_text()
    assert all(name in EXCHANGES for name in VENUES)
