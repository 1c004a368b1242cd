"""The loopback exchange as a process of its own, and what it has seen."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from types import TracebackType
from typing import Self

from tests.support.polling import eventually
from worker.store.embedded import own_port

START_MS = 20_000


class Exchange:
    """One exchange process, from `with` until it ends."""

    def __init__(self) -> None:
        self.port = own_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "tests.benchmarks.exchange_server", str(self.port)]
        self._process = subprocess.Popen(command)
        eventually(self._answers, within_ms=START_MS, pause_ms=20, what="the exchange")
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
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def count(self) -> int:
        """Return how many orders have arrived."""
        return int(self._get("/count"))

    def arrivals(self) -> dict[str, tuple[int, int]]:
        """Return each order's first arrival in monotonic ns, and how often it came."""
        rows: dict[str, list[int]] = json.loads(self._get("/arrivals"))
        return {order_id: (first, times) for order_id, (first, times, _) in rows.items()}

    def answered(self) -> int:
        """Return how many orders' answers were given to a client that was still there."""
        return int(self._get("/answered"))

    def forget(self) -> None:
        """Forget what has arrived."""
        self._get("/forget")

    def delay(self, delay_ms: int) -> None:
        """Let each answer take so long from now on."""
        self._get(f"/delay/{delay_ms}")

    def wait_for(self, count: int, *, within_ms: float, pause_ms: float = 15) -> bool:
        """Wait until so many orders have arrived; return whether they have."""
        try:
            eventually(lambda: self.count() >= count, within_ms=within_ms, pause_ms=pause_ms)
        except AssertionError:
            return False
        return True

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the exchange ended"
        try:
            return self.count() == 0
        except OSError:
            return False
