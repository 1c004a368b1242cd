"""Search one scope and print what came of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.explore.jobs import JobsModel
from tests.explore.search import Found, S, search
from tests.explore.switches import SwitchesModel
from worker.store.embedded import EmbeddedRedis


def main() -> int:
    """Run one search; 1 if something is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.explore", description=__doc__)
    parser.add_argument("--model", choices=("jobs", "serial-jobs", "switches"), default="jobs")
    parser.add_argument("--steps", type=int, default=4, help="steps of each worker")
    parser.add_argument("--asks", type=int, default=2, help="steps of the strategy")
    parser.add_argument("--ticks", type=int, default=2, help="how often time passes")
    parser.add_argument("--faults", type=int, default=2, help="calls lost and workers killed")
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder) / "redis") as server:
        scope = {
            "steps": options.steps,
            "asks": options.asks,
            "ticks": options.ticks,
            "faults": options.faults,
        }
        longest_s = options.minutes * 60
        if options.model == "switches":
            switches = SwitchesModel(server.url, **scope)
            text, broken = _outcome(search(switches, longest_s=longest_s, progress=_progress))
        else:
            jobs = JobsModel(server.url, serial=options.model == "serial-jobs", **scope)
            text, broken = _outcome(search(jobs, longest_s=longest_s, progress=_progress))
        sys.stdout.write(f"{text}\n")
    return int(broken)


def _outcome(found: Found[S]) -> tuple[str, bool]:
    return found.report(), bool(found.broken)


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
