"""How fast the worker is beside the queues that a user would pick instead.

Run: `uv run --group bench python -m tests.benchmarks [--quick] [--only drain,latency]
[--systems ours-1,celery-threads-1] [--json] [--out FOLDER]`
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import signal
import tempfile
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from tests.benchmarks import plots, report
from tests.benchmarks.exchange import Exchange
from tests.benchmarks.measures import delayed, growth, kill, rounds, stall
from tests.benchmarks.plan import FULL, QUICK
from tests.benchmarks.run import Run
from tests.benchmarks.systems import BY_NAME, SYSTEMS

MEASURES = (
    *rounds.MEASURES,
    *delayed.MEASURES,
    *growth.MEASURES,
    *stall.MEASURES,
    *kill.MEASURES,
)
PEERS = ("aiohttp", "arq", "dramatiq", "huey", "rq", "taskiq", "taskiq_redis")


def main() -> None:
    """Measure what is asked for and print it."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    out = options.out or Path(tempfile.mkdtemp(prefix="cancel-worker-benchmarks-"))
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="cancel-worker-bench-") as folder,
        Exchange() as exchange,
    ):
        run = Run(plan, [BY_NAME[name] for name in options.systems], exchange, Path(folder))
        try:
            measure(run, options.only)
        except KeyboardInterrupt:
            run.say("interrupted; what was measured so far:")
        failed = run.folder / "failed.log"
        if failed.exists():
            (out / failed.name).write_text(failed.read_text())
    (out / "results.json").write_text(json.dumps(report.document(run.results), indent=1))
    written = [out / "results.json", *plots.write_plots(run.results, out)]
    if options.json:
        report.print_json(run.results)
    else:
        report.print_tables(run.results)
    run.say("\n".join(f"wrote {path}" for path in written))


def measure(run: Run, wanted: list[str]) -> None:
    """Measure what is wanted of `MEASURES`, what belongs together in one go."""
    if chosen := [name for name in wanted if name in rounds.MEASURES]:
        rounds.measure(run, chosen)
    if delayed.DELAYED in wanted:
        delayed.measure(run)
    if chosen := [name for name in wanted if name in growth.MEASURES]:
        growth.measure(run, chosen)
    if stall.STALL in wanted:
        stall.measure(run)
    if kill.KILL in wanted:
        kill.measure(run)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer jobs, one round")
    parser.add_argument("--rounds", type=int, help="rounds, of which the median is taken")
    parser.add_argument("--only", type=_names(MEASURES), default=list(MEASURES), metavar="A,B")
    parser.add_argument("--systems", type=_names(BY_NAME), metavar="A,B")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    parser.add_argument("--out", type=Path, help="where plots and results.json go")
    options = parser.parse_args()
    if options.systems is None:
        options.systems = [system.name for system in SYSTEMS]
        missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
        if missing:
            parser.error(f"{', '.join(missing)} not installed; run `uv sync --group bench`")
    return options


def _names(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return what reads a list of known names, parted by commas."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(unknown)}; known: {', '.join(known)}"
            )
        return names

    return parse


if __name__ == "__main__":
    main()
