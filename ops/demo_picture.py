#!/usr/bin/env python3
"""Run `cancel-worker demo` and write its output as the picture that the README shows."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent / "docs" / "images" / "demo.svg"
WIDTH = 110
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts from elsewhere; without them the viewer's monospace font is used."""


def main() -> int:
    """Write the picture; return the exit code of the demo, and write nothing if it failed."""
    command = [sys.executable, "-m", "worker", "demo"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    sys.stdout.write(done.stdout)
    if done.returncode:
        return done.returncode
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text("$ uv run cancel-worker demo", style="bold green"))
    for line in done.stdout.rstrip().splitlines():
        console.print(Text(line, style="" if line.startswith(" ") else "bold"))
    PICTURE.parent.mkdir(exist_ok=True)
    picture = console.export_svg(title="cancel-worker demo", unique_id="demo")
    PICTURE.write_text(FONTS.sub("", picture), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
