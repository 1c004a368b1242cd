"""Search one scope and print what came of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.explore.jobs import JobsModel
from tests.explore.search import search
from tests.explore.switches import SwitchesModel
from worker.embedded import EmbeddedRedis


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
        model: JobsModel | SwitchesModel
        if options.model == "switches":
            model = SwitchesModel(server.url, **scope)
        else:
            model = JobsModel(server.url, serial=options.model == "serial-jobs", **scope)
        found = search(
            model,
            longest_s=options.minutes * 60,
            progress=lambda line: print(line, file=sys.stderr, flush=True),
        )
        print(found.report())
        print(f"{model.staged.calls} script calls")
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
