"""The command: exits 0 when all went well, 1 with the input that did not, saved."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz import run, targets


def main(arguments: list[str]) -> int:
    """Fuzz one target."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=targets.NAMES)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", type=Path, nargs="+", help="check these files alone")
    parser.add_argument("--saved", type=Path, default=Path(".fuzz"), help="where failures go")
    parser.add_argument("--unguided", action="store_true", help="even if atheris is installed")
    asked = parser.parse_args(arguments)
    coverage = run.guided() and not asked.unguided and not asked.input
    saved = asked.saved / asked.target
    with targets.opened(asked.target, coverage=coverage) as target:
        how = "by coverage" if coverage else "by mutation"
        print(f"{asked.target}: seed {asked.seed}, {how}", flush=True)  # noqa: T201
        try:
            if asked.input:
                runner = run.replay(target, asked.input)
            elif coverage:
                run.fuzz_guided(target, runs=asked.runs, seed=asked.seed, saved=saved)
            else:
                runner = run.fuzz(target, runs=asked.runs, seed=asked.seed)
        except run.Found as found:
            print(run.shown(found, found.save(saved)))  # noqa: T201
            return 1
    print(runner.report())  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
