"""Environment of the demo: embedded Redis, simulated exchanges, real workers and beat."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from worker import clock
from worker.cli.launch import celery_command
from worker.cli.simulated import SimulatedAccount, open_accounts, settings_text
from worker.client.producer import Producer
from worker.config.settings import PREFIX, Settings, load_settings
from worker.config.settings_file import CONFIG_VARIABLE
from worker.errors import CancelWorkerError
from worker.messaging.beat import KEY as BEAT
from worker.simulator import Order, SimulatorClient
from worker.store.connection import Store, connect
from worker.store.embedded import EmbeddedRedis
from worker.store.ledger import Ledger

START_MS = 20_000
POLL_MS = 10
LEASE_MS = 2_000
DEADLINE_MS = 1_000
PAIR = "btc_idr"
BITMART_PACE = {"max_requests": 50, "window_ms": 1_000}
"""The default of one request a second would make the demo slow."""


class NotShown(CancelWorkerError):
    """The demo did not observe what it promises to show."""


@dataclass
class Stage:
    """The running processes and their clients."""

    folder: Path
    sim: SimulatorClient
    accounts: dict[str, SimulatedAccount]
    settings: Settings
    producer: Producer
    store: Store
    ledger: Ledger
    parts: ExitStack
    workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> None:
        """Start another worker process. It may not be ready on return."""
        process = self.launch(*celery_command(), "worker")
        self.workers[process.pid] = process

    def add_beat(self) -> None:
        """Start Celery beat."""
        self.launch(*celery_command(), "beat")

    def start(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        """Run a module as a process that ends with the stage; its input and output are pipes."""
        process = self.launch(sys.executable, "-P", "-m", module, *options, pipes=True)
        assert process.stdin is not None  # noqa: S101  asked for
        assert process.stdout is not None  # noqa: S101  asked for
        self.parts.callback(process.stdin.close)
        self.parts.callback(process.stdout.close)
        return process

    def launch(self, *command: str, pipes: bool = False) -> subprocess.Popen[bytes]:
        """Run a command as a process that ends with the stage."""
        with (self.folder / "processes.log").open("ab") as out:
            process = subprocess.Popen(  # noqa: S603  our own arguments
                command,
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else out,
                stderr=out,
                start_new_session=True,
            )
        self.parts.callback(end, process)
        self.processes.append(process)
        return process

    def wait_for_workers(self, count: int) -> None:
        """Wait until `count` workers are alive.

        Raises:
            NotShown: They were not in time.
        """
        until_true(lambda: len(self.ledger.workers()) >= count, what=f"{count} workers")

    def wait_for_beat(self) -> None:
        """Wait until Celery beat holds its lease.

        Raises:
            NotShown: It did not in time.
        """
        until_true(lambda: self.store.client.exists(self.store.key(BEAT)), what="Celery beat")

    def place(self, alias: str, count: int = 1, *, pair: str = "") -> list[str]:
        """Place orders at an account's exchange, of its pair unless given; return their ids."""
        account = self.accounts[alias]
        pair = pair or account.pair
        return self.sim.place(account.exchange, account.api_key, pair=pair, count=count)

    def order(self, alias: str, order_id: str) -> Order:
        """Return an order from the exchange's book."""
        return self.sim.order(self.accounts[alias].exchange, order_id)

    def truth(self, alias: str, order_id: str) -> str:
        """Return the status of an order in the exchange's book."""
        return str(self.order(alias, order_id).status)


def until_true(get: Callable[[], object], *, within_ms: float = START_MS, what: str) -> None:
    """Wait until `get()` is true.

    Raises:
        NotShown: It was not true within `within_ms`.
    """
    until = clock.monotonic_ms() + within_ms
    while not get():
        if clock.monotonic_ms() > until:
            raise NotShown(f"not within {within_ms / 1_000:g} s: {what}")
        clock.sleep_ms(POLL_MS)


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Start Redis, the exchanges, one worker and beat; stop and remove all at the end.

    Raises:
        NotShown: A process did not start.
        StoreUnavailable: There is no Redis server on this machine.
    """
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="cancel-worker-")))
        started = _start_simulator(parts)
        redis = parts.enter_context(EmbeddedRedis(folder / "redis"))
        sim = SimulatorClient(_control_of(started))
        accounts = {account.alias: account for account in open_accounts(sim)}
        _use_settings(parts, _write_settings(folder, accounts, redis.url))
        settings = load_settings()
        store = Store(
            connect(redis.url, timeout_ms=settings.redis_timeout_ms), prefix=settings.key_prefix
        )
        stage = Stage(
            folder=folder,
            sim=sim,
            accounts=accounts,
            settings=settings,
            producer=Producer(settings),
            store=store,
            ledger=Ledger(store),
            parts=parts,
        )
        stage.add_worker()
        stage.add_beat()
        stage.wait_for_workers(1)
        stage.wait_for_beat()
        try:
            yield stage
        finally:
            for process in stage.processes:  # all at once; then each is waited for
                if process.poll() is None:
                    process.terminate()


def end(process: subprocess.Popen[bytes]) -> None:
    """Terminate a process; kill it after 5 s."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _start_simulator(parts: ExitStack) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "worker.simulator"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101  asked for above
    parts.callback(process.stdout.close)
    parts.callback(end, process)
    return process


def _control_of(simulator: subprocess.Popen[bytes]) -> str:
    """Wait until the simulated exchanges run; return the address that controls them.

    Raises:
        NotShown: They did not start.
    """
    assert simulator.stdout is not None  # noqa: S101  asked for at its start
    line = simulator.stdout.readline()
    if not line:
        raise NotShown("the simulated exchanges did not start")
    return str(json.loads(line)["control"])


def _write_settings(folder: Path, accounts: dict[str, SimulatedAccount], redis_url: str) -> Path:
    text = settings_text(list(accounts.values()), redis_url=redis_url)
    pace = ", ".join(f"{name} = {value}" for name, value in BITMART_PACE.items())
    text += f"[accounts.bm.limits]\norders = {{ {pace} }}\n"
    text += f"[jobs]\nlease_ms = {LEASE_MS}\n[http]\ndeadline_ms = {DEADLINE_MS}\n"
    path = folder / "worker.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def _use_settings(parts: ExitStack, path: Path) -> None:
    """Make this process and its children use these settings only."""
    previous = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    for name in previous:
        del os.environ[name]
    os.environ[CONFIG_VARIABLE] = str(path)

    def restore() -> None:
        del os.environ[CONFIG_VARIABLE]
        os.environ.update(previous)

    parts.callback(restore)
