"""A host loses its network and dies before the network is back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts import FAR, Hosts
from tests.support.polling import eventually
from tests.support.trading_host import BEAT_MS, TIMEOUT_MS
from tests.support.world import KEYS
from worker import clock
from worker.store.embedded import server_binary

SIM_PORT, REDIS_PORT = 8400, 6379
LOSS_MS = 700
"""A kernel would send again what was given up 200, 600 and 1,400 ms after it was sent first."""
SLACK_MS = 2 * BEAT_MS + 100
"""For a heartbeat that was taken and not printed, and for the simulator's own delay."""


class Exchange:
    """The simulated exchanges on the far host."""

    def __init__(self, hosts: Hosts) -> None:
        options = ["--host", FAR, "--port", str(SIM_PORT), "--seed", "1"]
        serving = hosts.python("far", "-m", "worker.simulator", *options)
        assert serving.stdout is not None
        assert serving.stdout.readline()
        self._client = hosts.python("far", "-m", "tests.support.remote_sim", self.url)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{FAR}:{SIM_PORT}"

    def call(self, *words: Any) -> Any:
        """Call a method of the simulator's client."""
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._client.stdin.write(json.dumps(words) + "\n")
        return json.loads(self._client.stdout.readline())


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Two hosts and a cable."""
    with Hosts() as made:
        yield made


def test_an_abandoned_renewal_does_not_extend_the_deadline(hosts: Hosts, tmp_path: Path) -> None:
    """The orders are canceled by the last deadline that the strategy set."""
    exchange = Exchange(hosts)
    name, key, secret, _ = KEYS["ix"]
    exchange.call("add_key", name, key, secret)
    (order,) = exchange.call("place", name, key, "btc_idr", "buy")
    redis = hosts.run("near", server_binary(), "--port", str(REDIS_PORT), "--dir", str(tmp_path))
    assert redis.stdout is not None
    eventually(lambda: "ready to accept" in redis.stdout.readline().lower())  # type: ignore[union-attr]
    trading = hosts.python(
        "near",
        *("-m", "tests.support.trading_host", f"redis://127.0.0.1:{REDIS_PORT}/0"),
        f"{exchange.url}/indodax/tapi",
    )
    deadlines: list[int] = []

    def read() -> None:
        assert trading.stdout is not None
        deadlines.extend(int(line) for line in trading.stdout)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    eventually(lambda: exchange.call("timers"), within_ms=20_000, what="the exchange's timer")

    hosts.unplug()
    eventually(hosts.unsent_bytes, what="a renewal under way", within_ms=TIMEOUT_MS)
    trading.kill()
    trading.wait()
    killed = clock.monotonic_ms()
    reader.join(5)
    eventually(lambda: clock.monotonic_ms() > killed + LOSS_MS)
    hosts.plug()

    closed: Any = eventually(
        lambda: exchange.call("order", name, order)["closed_ms"], within_ms=5 * TIMEOUT_MS
    )
    assert exchange.call("order", name, order)["closed_by"] == "countdown"
    assert closed <= deadlines[-1] + SLACK_MS
