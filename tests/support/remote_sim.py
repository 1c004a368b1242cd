"""Calls a simulator's client as lines of JSON say, and prints what each returns."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, is_dataclass
from typing import Any

from worker.simulator import SimulatorClient


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def main(url: str) -> None:
    """Do what is asked until the input is closed."""
    client = SimulatorClient(url)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(plain(getattr(client, name)(*arguments))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
