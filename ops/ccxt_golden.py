#!/usr/bin/env python3
"""Make tests/data/ccxt/requests.jsonl: every request that an id of ccxt signs, one a line.

`uv run ops/ccxt_golden.py` writes it, and prints the lines that have changed; `--check`
prints them and fails if there are any. Each line has the id, the command, the method, the
address, the headers and the body. Read the changes after an upgrade of ccxt.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOME))

from tests.support.ccxt_requests import GOLDEN, lines  # noqa: E402


def main() -> int:
    """Write the requests, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    before = GOLDEN.read_text().splitlines() if GOLDEN.exists() else []
    after = list(lines())
    changed = list(difflib.unified_diff(before, after, "before", "after", lineterm="", n=0))
    sys.stdout.write("".join(f"{line}\n" for line in changed))
    sys.stdout.write(f"{len(after)} requests, {'changed' if changed else 'none changed'}\n")
    if check:
        return 1 if changed else 0
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text("".join(f"{line}\n" for line in after))
    return 0


if __name__ == "__main__":
    sys.exit(main())
