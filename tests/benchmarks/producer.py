"""The harness's hold on a producer process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.benchmarks.system import python


@dataclass(frozen=True, slots=True)
class Sent:
    """A burst: when it began, what all calls took, wall and CPU, in ns."""

    begun_ns: int
    took_ns: int
    cpu_ns: int


@dataclass(frozen=True, slots=True)
class Paced:
    """Calls at a rate: when each began and what it took, in ns."""

    begun_ns: list[int]
    took_ns: list[int]


class ProducerProcess:
    """One producer process, from `with` until it ends."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        self._module = module
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self.has_many = False

    def __enter__(self) -> Self:
        """Start it and wait until it can send."""
        with self._log.open("a") as out:
            self._process = subprocess.Popen(
                python("tests.benchmarks.producing", self._module),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
                env={**os.environ, **self._environment},
            )
        self.has_many = bool(self._read()["many"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def paced(self, prefix: str, count: int, per_s: float) -> Paced:
        """Send one by one at a rate."""
        said = self._ask(how="paced", prefix=prefix, count=count, per_s=per_s)
        return Paced(said["begun"], said["took"])

    def burst(self, prefix: str, count: int) -> Sent:
        """Send one by one, as fast as it goes."""
        return self._sent(how="burst", prefix=prefix, count=count)

    def many(self, prefix: str, count: int) -> Sent:
        """Send with the call for many, if there is one."""
        return self._sent(how="many", prefix=prefix, count=count)

    def _sent(self, **order: Any) -> Sent:
        said = self._ask(**order)
        return Sent(said["begun"], said["took"], said["cpu"])

    def _ask(self, **order: Any) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self._module} ended:\n{self._log.read_text(errors='replace')[-3_000:]}"
        said: dict[str, Any] = json.loads(line)
        return said
