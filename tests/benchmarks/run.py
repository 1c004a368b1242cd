"""One run of the benchmarks: what all measures share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.exchange import Exchange
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Results
from tests.benchmarks.system import System


@dataclass
class Run:
    """Sizes, systems, the exchange, a folder for what they leave, and the results."""

    plan: Plan
    systems: Sequence[System]
    exchange: Exchange
    folder: Path
    results: Results = field(default_factory=Results)
    quiet: bool = False

    def say(self, text: str) -> None:
        """Show what is being done."""
        if not self.quiet:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def failed(self, system: System, error: Exception) -> None:
        """Note what could not be measured; the first line is shown, all goes to a file."""
        lines = str(error).splitlines() or [type(error).__name__]
        self.say(f"{system.name}: {lines[0]}")
        self.results.failed[system.name] = lines[0]
        with (self.folder / "failed.log").open("a") as log:
            log.write(f"{system.name}\n{error}\n\n")
