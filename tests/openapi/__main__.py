"""Have schemathesis call the HTTP API many times; no answer may be undocumented or an error.

Run: `uv run --group schemathesis python -m tests.openapi` (`--cases 50000`, `--seed 1`)

Redis and the web process run here, without a worker. The stream of events is left out: it
does not end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tests.support.web_server import serving
from tests.support.world import open_world
from worker.web.app import document
from worker.web.throttle import Throttle

CASES = 50_000
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
UNLIMITED = 10**6


def main() -> None:
    """Run until all cases are made; exit 0 if all answers were as documented."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    made = document()
    del made["paths"]["/v1/events"]
    calls = sum(len(each) for each in made["paths"].values())
    with open_world() as world, serving(world, requests_per_s=UNLIMITED) as web:
        web.server.parts.wrong = Throttle(per_s=UNLIMITED, burst=UNLIMITED)
        file = world.folder / "openapi.json"
        file.write_text(json.dumps(made))
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", str(file)),
            *("--url", web.url, "--header", f"Authorization: Bearer {web.token()}"),
            *("--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing"),
            *("--max-examples", str(-(-options.cases // calls)), "--seed", str(options.seed)),
            *("--continue-on-failure", "--suppress-health-check", "all"),
            *("--request-timeout", "60", "--no-color"),
        ]
        done = subprocess.run(command, cwd=world.folder, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
