"""Have schemathesis call the HTTP API many times; no answer may be undocumented or an error.

Run: `uv run --group schemathesis python -m tests.openapi` (`--cases 50000`, `--seed 1`)

Redis and the web process run here, without a worker. The stream of events is left out: it
does not end. Runs of some thousand cases are repeated, each with the next seed, until all are
made: schemathesis keeps the cases of a run in memory. Exits 1 if an answer was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.openapi.stocked import stocked
from tests.support.compose_services import TOP
from tests.support.web_server import Web, serving
from tests.support.world import KEYS, open_world
from worker.store.api_tokens import Rate

CASES = 50_000
RUN = 4_000
"""Most cases that are asked of one run."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
UNLIMITED = 10**6
PATIENCE_S = 600
"""How long an answer may take, and Redis: a machine that pauses is no outage."""


@dataclass
class Total:
    """What all runs have found."""

    cases: int = 0
    server_errors: int = 0
    undocumented: int = 0
    unanswered: int = 0

    def add(self, report: dict[str, Any]) -> None:
        """Add the report of one run."""
        self.cases += report["test_cases"]["generated"]
        self.unanswered += len(report["errors"])
        for found in report["failures"]:
            if found["type"] == "ServerError":
                self.server_errors += found["count"]
            else:
                self.undocumented += found["count"]

    @property
    def wrong(self) -> int:
        """Answers that must not be."""
        return self.server_errors + self.undocumented + self.unanswered


def main() -> None:
    """Run until all cases are made; exit 0 if all answers were as documented."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    total, seed = Total(), options.seed
    while total.cases < options.cases and not total.wrong:
        with _unlimited() as web:
            total.add(_run(web, min(RUN, options.cases - total.cases), seed))
        sys.stdout.write(f"{total.cases} of {options.cases} cases\n")
        sys.stdout.flush()
        seed += 1
    print(  # noqa: T201  a command of developers
        f"{total.cases} cases: {total.server_errors} server errors, "
        f"{total.undocumented} undocumented answers, {total.unanswered} without an answer"
    )
    sys.exit(bool(total.wrong))


@contextmanager
def _unlimited() -> Iterator[Web]:
    """Serve a world without limits, and with patience."""
    with open_world() as world:
        world.aliases = (*KEYS, "bn")
        patience_ms = PATIENCE_S * 1_000
        with serving(world, patience_ms=patience_ms, requests_per_s=UNLIMITED) as web:
            web.server.parts.wrong = Rate(per_s=UNLIMITED, burst=UNLIMITED)
            yield web


def _run(web: Web, cases: int, seed: int) -> dict[str, Any]:
    """Run schemathesis once; return its report."""
    made = stocked(web, patience_s=PATIENCE_S)
    calls = sum(len(each) for each in made["paths"].values())
    folder: Path = web.world.folder
    file, report = folder / "openapi.json", folder / "report.json"
    file.write_text(json.dumps(made))
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", str(file)),
        *("--url", web.url, "--header", f"Authorization: Bearer {web.token()}"),
        *("--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing"),
        *("--max-examples", str(-(-cases // calls)), "--seed", str(seed)),
        *("--continue-on-failure", "--suppress-health-check", "all"),
        *("--request-timeout", str(PATIENCE_S), "--warnings", "off", "--no-color"),
        *("--report", "json", "--report-json-path", str(report)),
    ]
    hooked = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.openapi.hooks", "PYTHONPATH": str(TOP)}
    subprocess.run(command, cwd=folder, env=hooked, check=False)
    read: dict[str, Any] = json.loads(report.read_text())
    return read


if __name__ == "__main__":
    main()
