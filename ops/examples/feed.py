"""Market data and fills of a strategy, simulated by lines of standard input."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator


def events(pause_ms: int) -> Iterator[list[str]]:
    """Yield the words of each line; yield an empty list after each pause without input.

    Args:
        pause_ms: Maximum wait. Use a quarter of the switch's timeout, so that a quiet
            market does not delay heartbeats.
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
