"""The demo as a user runs it."""

from __future__ import annotations

import re
import subprocess
import sys


def test_the_demo_succeeds_and_prints_each_scene() -> None:
    """`cancel-worker demo` exits 0 and prints the measured times."""
    shown = subprocess.run(
        [sys.executable, "-m", "worker", "demo"], capture_output=True, text=True, check=False
    )
    out = shown.stdout
    assert shown.returncode == 0, out + shown.stderr
    assert not shown.stderr
    assert out.count("CANCELED") >= 4

    # A silent strategy's orders, by its deadline; nothing else, and none after a clean end.
    assert out.count("then SIGKILL") == 2
    native, emulated = re.findall(r"all canceled (\d+) ms after its last heartbeat, (\d+) ms", out)
    assert 2_400 <= int(native[0]) <= 4_000
    assert 1_900 <= int(emulated[0]) <= 4_500
    by_exchange, by_worker = re.findall(r"(\d+) by the exchange's own timer, (\d+) by a", out)[0]
    assert int(by_exchange) + int(by_worker) == 3
    assert out.count("orders of another pair and of another trader: still open") == 2
    assert "all 6 orders still open" in out

    assert re.search(r"All promises held, in [\d.]+ s", out)
