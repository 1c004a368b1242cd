"""A strategy of a framework, killed and stopped, beside a real worker and a simulated exchange.

The worker runs by the Python of the checkout (`HOST_PYTHON`), where the extra `[worker]` is
installed; the strategy by the Python of this environment, as on a host of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.polling import eventually
from worker import Producer
from worker.config.settings import load_settings
from worker.model.switches import SwitchRecord
from worker.simulator import Simulator

ALIAS, EXCHANGE, PAIR = "bn", "binance", "BTCUSDT"
KEY, SECRET = "simulated-key", "simulated-secret"
STRATEGIES = Path(__file__).parent / "strategies"
PATIENCE_MS = 300_000
"""A framework that was just installed takes a minute to import on a busy machine."""
CONFIG = f"""
redis_url = "{{redis_url}}"
redis_timeout_ms = 10000
[accounts.{ALIAS}]
exchange = "{EXCHANGE}"
base_url = "{{base_url}}"
api_key = "{KEY}"
api_secret = "{SECRET}"
[metrics]
port = 0
beat_port = 0
web_port = 0
"""


class Stage:
    """One exchange, one worker, and a strategy in a process of its own.

    Args:
        script: File of the strategy, in `strategies`. It gets the simulator's address as its
            argument.
        log: Where it writes.
    """

    def __init__(self, sim: Simulator, config: Path, script: str, log: Path) -> None:
        self.sim = sim
        self.producer = Producer(load_settings())
        self._script = STRATEGIES / script
        self._config = config
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, orders: int = 1) -> SwitchRecord:
        """Start the strategy; return its switch when it is armed and orders are open."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(self._script), self.sim.base_url()],
                env={**os.environ, "WORKER_CONFIG": str(self._config)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually(
                lambda: len(self.open_orders()) >= orders and self.armed(), within_ms=PATIENCE_MS
            )
        except AssertionError:
            said = self._log.read_text(errors="replace")[-5_000:]
            seen = [str(each.state) for each in self.producer.switches()]
            raise AssertionError(f"switches {seen}, orders {self.open_orders()}: {said}") from None
        return self.armed()[0]

    def armed(self) -> list[SwitchRecord]:
        """Return the armed switches."""
        return [each for each in self.producer.switches() if each.state == "armed"]

    def open_orders(self) -> list[str]:
        """Return the orders on the book."""
        orders = self.sim.orders(EXCHANGE, KEY)
        return [order.order_id for order in orders if order.status == "open"]

    def open_client_ids(self) -> list[str]:
        """Return the client order ids of the orders on the book."""
        orders = self.sim.orders(EXCHANGE, KEY)
        return sorted(order.client_id for order in orders if order.status == "open")

    def kill(self) -> None:
        """Kill the strategy."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, number: signal.Signals) -> None:
        """Ask the strategy to stop, and wait until it has ended."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE_MS / 1_000)

    def lateness_ms(self, switch_id: str) -> float:
        """Return how long after the deadline the last order left the book."""
        (record,) = [each for each in self.producer.switches() if each.id == switch_id]
        closed = [order.closed_ms for order in self.sim.orders(EXCHANGE, KEY)]
        return max(ms for ms in closed if ms is not None) - record.deadline_ms

    def close(self) -> None:
        """End the strategy if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()


@contextmanager
def stage(redis_url: str, folder: Path, script: str) -> Iterator[Stage]:
    """Run the exchange and the worker."""
    with Simulator() as sim:
        sim.add_key(EXCHANGE, KEY, SECRET)
        config = folder / "worker.toml"
        config.write_text(CONFIG.format(redis_url=redis_url, base_url=sim.url(EXCHANGE)))
        config.chmod(0o600)
        os.environ["WORKER_CONFIG"] = str(config)
        with (folder / "up.log").open("wb") as log:
            host = [os.environ["HOST_PYTHON"], "-P", "-m", "worker"]
            up = subprocess.Popen(
                [*host, "up", "--workers", "1", "--no-web"], stdout=log, stderr=log, cwd=folder
            )
        made = Stage(sim, config, script, folder / "strategy.log")
        try:
            yield made
        finally:
            made.close()
            up.terminate()
            up.wait()
            del os.environ["WORKER_CONFIG"]


def judge(redis_url: str, folder: Path, script: str, *, stopped_by: signal.Signals) -> None:
    """Kill a strategy, then stop it cleanly.

    Killed: its orders are off the book when the deadline has passed. Stopped: its switch is
    disarmed, and nothing that it left open is canceled.
    """
    with stage(redis_url, folder, script) as made:
        record = made.start()
        made.kill()
        eventually(lambda: not made.open_orders(), within_ms=PATIENCE_MS)
        eventually(lambda: not made.armed(), within_ms=PATIENCE_MS)
        print(f"{script}: off the book {made.lateness_ms(record.id):.0f} ms after the deadline")  # noqa: T201
        record = made.start()
        made.stop(stopped_by)
        (state,) = [each.state for each in made.producer.switches() if each.id == record.id]
        assert state == "disarmed", made._log.read_text(errors="replace")[-5_000:]  # noqa: SLF001
        assert not made.armed()
