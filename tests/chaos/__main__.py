"""`python -m tests.chaos --minutes 20 --seed 1`: the long run.

Half of it on one Redis server, which is killed and restarted, half on one under
Sentinels, which fails over. Each half is judged by itself.
Exits 0 if every promise was kept, else 1 with the histories of what was broken.
Data and logs are kept in the folder that the first line names.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.chaos.collect import keep
from tests.chaos.deployment import Deployment, Standalone
from tests.chaos.report import shown, table, verdict
from tests.chaos.run import long_plan, run
from tests.chaos.stage import Stage
from tests.chaos.watched import Watched

EVERY_MS = 15_000
HALVES: Mapping[str, Callable[[Path], Deployment]] = {"server": Standalone, "sentinels": Watched}


class Progress:
    """Prints a line from time to time."""

    def __init__(self) -> None:
        self._next_ms = 0.0

    def __call__(self, stage: Stage, passed_ms: float) -> None:
        """Print how far a run has come."""
        if passed_ms < self._next_ms:
            return
        self._next_ms = passed_ms + EVERY_MS
        jobs, calls, faults = stage.recorder.count()
        say(f"{passed_ms / 1_000:6.0f} s  {jobs} jobs, {calls} calls of switches, {faults} faults")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run, judge and report; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for data and logs; a new one if not given")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what has been started
    folder = args.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    say(f"seed {args.seed}, data and logs in {folder}")
    kept = [half(name, folder / name, args.minutes / 2, args.seed) for name in HALVES]
    return 0 if all(kept) else 1


def half(name: str, folder: Path, minutes: float, seed: int) -> bool:
    """Run and judge one half; return whether every promise was kept."""
    say(f"on {name}")
    folder.mkdir(parents=True, exist_ok=True)
    finished = run(
        folder,
        long_plan(minutes * 60_000),
        seed=seed,
        deployment=HALVES[name],
        progress=Progress(),
    )
    keep(finished.history, folder / "history.jsonl")
    violations = verdict(finished)
    for line in (*table(finished, violations), *shown(violations)):
        say(line)
    return not violations


if __name__ == "__main__":
    sys.exit(main())
