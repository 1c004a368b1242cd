"""The table of ccxt's ids, for the program and in the documentation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]


@pytest.mark.timeout(300)  # every exchange of ccxt is imported
def test_the_table_is_what_ccxt_signs() -> None:
    """Made anew it is the same: signs, asks, lists, timer, profiled."""
    made = subprocess.run(
        [sys.executable, "ops/ccxt_table.py", "--check"],
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr[-2_000:]
    assert made.stdout.strip().endswith("changed: nothing")
