"""Where the time from `cancel()` to the wire goes, stage by stage.

Run: `uv run --group bench python -m tests.benchmarks.stages [--rate 100] [--count 400]`

One order after the other, at a rate that leaves none waiting; medians. Each stage is shown with
the time since `cancel()` was called, and since the stage before it.
"""

from __future__ import annotations

import argparse
import bisect
import signal
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.benchmarks.exchange import Exchange
from tests.benchmarks.system import System, python
from tests.benchmarks.traced import TRACE
from tests.benchmarks.trial import running

NS_PER_MS = 1_000_000
STAGES = (
    "read",
    "received",
    "task",
    "thread",
    "claim",
    "claimed",
    "slot",
    "sign",
    "send",
    "arrived",
    "reply",
    "settle",
    "settled",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--count", type=int, default=400)
    options = parser.parse_args()
    show(*measure(options.rate, options.count))


def measure(per_s: float, count: int) -> tuple[dict[str, list[float]], list[float]]:
    """Return the ms since the call of each stage, for each order, and what the calls took."""
    traced = System("traced", "ours", "own", "reliable", _commands, 1, 0)
    with tempfile.TemporaryDirectory(prefix="cancel-worker-stages-") as folder:
        trace = Path(folder) / "trace"
        with (
            Exchange() as exchange,
            running(traced, Path(folder) / "traced", exchange, more={TRACE: str(trace)}) as trial,
        ):
            exchange.forget()
            prefix = trial.prefix()
            paced = trial.producer.paced(prefix, count, per_s)
            assert exchange.wait_for(count, within_ms=60_000)
            arrived = exchange.arrivals()
            assert trial.workers is not None
            trial.workers.signal(signal.SIGTERM)
            for process in trial.workers.started:
                process.wait()
        noted = [line.split() for line in trace.read_text().splitlines()]
    rows = [(stage, int(at_ns)) for stage, at_ns in noted]
    rows += [("arrived", arrived[f"{prefix}{n:07d}"][0]) for n in range(count)]
    took: dict[str, list[float]] = defaultdict(list)
    for n, stages in enumerate(_by_call(rows, paced.begun_ns)):
        for stage, at_ns in stages.items():
            took[stage].append((at_ns - paced.begun_ns[n]) / NS_PER_MS)
    return took, [each / NS_PER_MS for each in paced.took_ns]


def _commands(*_: int) -> list[list[str]]:
    return [python("celery", "-A", "tests.benchmarks.traced", "worker")]


def _by_call(rows: list[tuple[str, int]], begun_ns: list[int]) -> list[dict[str, int]]:
    """Give each call the first of each stage that came after it and before the next call."""
    found: list[dict[str, int]] = [{} for _ in begun_ns]
    for stage, at_ns in sorted(rows, key=lambda row: row[1]):
        place = bisect.bisect_right(begun_ns, at_ns) - 1
        if place >= 0:
            found[place].setdefault(stage, at_ns)
    return found


def show(took: dict[str, list[float]], calls: list[float]) -> None:
    """Print a line a stage."""
    sys.stdout.write(f"the call itself took {statistics.median(calls):.3f} ms\n")
    sys.stdout.write(f"{'stage':10} {'p50 ms':>8} {'p99 ms':>8} {'+ ms':>8}\n")
    last = 0.0
    for stage in (each for each in STAGES if each in took):
        cuts = statistics.quantiles(took[stage], n=100)
        sys.stdout.write(f"{stage:10} {cuts[49]:8.3f} {cuts[98]:8.3f} {cuts[49] - last:8.3f}\n")
        last = cuts[49]


if __name__ == "__main__":
    main()
