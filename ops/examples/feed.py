"""Stands for the market data and fills that a strategy hears: lines of standard input."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator


def events(pause_ms: int) -> Iterator[list[str]]:
    """Yield the words of each line, or none at all when nothing came for a while.

    Args:
        pause_ms: How long to wait at most; give a quarter of the switch's timeout,
            so that a quiet market does not look like a dead strategy.
    """
    rest = b""
    while True:
        if not select.select([sys.stdin], [], [], pause_ms / 1_000)[0]:
            yield []
            continue
        read = os.read(sys.stdin.fileno(), 65_536)
        if not read:
            return
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            yield line.decode().split()
