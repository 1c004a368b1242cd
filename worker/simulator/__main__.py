"""`python -m worker.simulator`: prints the base URLs as one line of JSON, then serves."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping

from worker.simulator.serving import serve


def main() -> None:
    """Read the arguments and serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.simulator",
        description="The exchanges as one local server.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the one address to bind")
    parser.add_argument("--port", type=int, default=0, help="0 for any that is free")
    parser.add_argument("--seed", type=int, default=0, help="of all that is left to chance")
    args = parser.parse_args()
    try:
        serve(args.host, args.port, args.seed, on_ready=_announce)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        sys.exit(f"cannot listen on {args.host}:{args.port}: {reason}")


def _announce(urls: Mapping[str, str]) -> None:
    sys.stdout.write(json.dumps(dict(urls)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
