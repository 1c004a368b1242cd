"""The hands that move the proxy."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]


class Links:
    """A running proxy: one link a name, each towards ports of loopback."""

    def __init__(self, upstreams: Mapping[str, Sequence[int]]) -> None:
        rows = [
            {"name": name, "host": "127.0.0.1", "ports": [*ports]}
            for name, ports in upstreams.items()
        ]
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.proxy", json.dumps({"links": rows})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        self.doors: dict[str, list[int]] = json.loads(self._line())
        """Where each link listens, in the order of its ports."""

    def turn(self, name: str, mode: str, *, delay_ms: float = 0.0) -> None:
        """Have a link behave otherwise; it does when this returns."""
        with self._lock:
            assert self._process.stdin is not None
            command = {"name": name, "mode": mode, "delay_ms": delay_ms}
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            self._line()

    def close(self) -> None:
        """End the proxy and every connection through it."""
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the proxy has ended"
        return line

    def __enter__(self) -> Self:
        """Return the running proxy."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()
