"""How long commands that only read or enqueue take, from start to end of their process.

Run: `uv run python -m tests.benchmarks.commands`

Redis is another process. The bound is one of the time on the wall; the processor time beside it
is what a command costs on a busy machine, too.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

from tests.support.world import World, open_world

RUNS = 5
BOUND_S = 0.5


def main() -> int:
    """Print a line a command; return 1 if the median of one is above the bound."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    runs = parser.parse_args().runs
    with open_world() as world:
        slow = [line for line in _lines(world) if not _holds(line, world, runs)]
    sys.stdout.write(f"bound {BOUND_S} s: {'missed by ' + '; '.join(slow) if slow else 'holds'}\n")
    return int(bool(slow))


def _lines(world: World) -> list[str]:
    """Return the commands, in an order in which each finds what it needs."""
    producer = world.producer()
    job = producer.cancel("ev", "a0").id
    producer.arm("ev", order_ids=["a9"], timeout_ms=3_600_000, name="grid")
    return [
        "--version",
        "cancel ev a1",
        "cancel ev a2 --json",
        "cancel-all ev --yes",
        "arm ix --pair btc_idr --timeout 1h",
        "beat grid",
        "switches",
        "switches --json",
        "jobs",
        "jobs --switch grid --json",
        f"show {job[:8]}",
        "dead list",
        "token list",
        "status",
        "disarm grid",
    ]


def _holds(line: str, world: World, runs: int) -> bool:
    """Print what a command takes; return whether that is within the bound."""
    command = [sys.executable, "-P", "-m", "worker", *line.split()]
    environment = {**os.environ, "WORKER_CONFIG": str(world.config())}
    took = [_timed(command, environment) for _ in range(runs)]
    wall, cpu = (statistics.median(column) for column in zip(*took, strict=True))
    sys.stdout.write(f"{line:36} {wall:5.2f} s, {cpu:5.2f} s of processor time\n")
    sys.stdout.flush()
    return bool(wall <= BOUND_S)


def _timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return the time on the wall and the processor time of one run, in seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
