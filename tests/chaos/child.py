"""The Celery application of a worker under test: its clock can be moved, a bug planted.

`CHAOS_CLOCK` names a file of 8 bytes, by how many ms (signed, little-endian)
the wall clock of this process is off; `CHAOS_BUG` the bug. Neither exists in
the program itself.
"""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path

from tests.chaos import planted
from tests.chaos.planted import CLOCK
from worker.celery_app import app

__all__ = ["app"]


def _move_clock(path: Path) -> None:
    with path.open("rb") as file:
        offset = mmap.mmap(file.fileno(), CLOCK.size, access=mmap.ACCESS_READ)
    true_ns = time.time_ns  # noqa: TID251  what is moved

    def now_ns() -> int:
        return true_ns() + int(CLOCK.unpack(offset[: CLOCK.size])[0]) * 1_000_000

    time.time_ns = now_ns  # noqa: TID251  what is moved
    time.time = lambda: now_ns() / 1_000_000_000  # noqa: TID251  what is moved


planted.step_clock()
if named := os.environ.get("CHAOS_CLOCK"):
    _move_clock(Path(named))
if bug := os.environ.get("CHAOS_BUG"):
    planted.in_worker(planted.Bug(bug))
