"""The demo as a user runs it."""

from __future__ import annotations

import subprocess
import sys


def test_the_demo_shows_that_all_of_it_holds() -> None:
    """`cancel-worker demo` exits 0, having shown each scene with its time."""
    shown = subprocess.run(
        [sys.executable, "-m", "worker", "demo"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "All of it held" in shown.stdout
    assert shown.stdout.count("CANCELED") >= 4
    assert not shown.stderr
