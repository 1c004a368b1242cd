"""One system under measurement: how its workers are started, and what it promises."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.clients import CLIENT, EXCHANGE
from tests.benchmarks.process_group import ProcessGroup

REDIS = "BENCH_REDIS"
STYLE = "BENCH_STYLE"
THREADS = "BENCH_THREADS"
TUNED = {"dramatiq_peer": {"reliable": {"dramatiq_worker_timeout": "10"}}}
"""What can be tuned by the environment alone."""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a system runs: a Redis of its own, the one exchange, a folder of its own."""

    redis_url: str
    exchange_url: str
    folder: Path


@dataclass(frozen=True, slots=True)
class System:
    """A queue, its settings, its HTTP client.

    Attributes:
        name: Unique; what `--systems` selects.
        module: Of `tests.benchmarks.peers`; makes the sender.
        client: HTTP client: plain, session, lean; ours has its own.
        style: reliable (the fastest that is meant to keep a job through its
            worker's SIGKILL), fast (that is not), newcomer or floor.
        commands: Workers for so many processes and threads each.
        processes: In the row as it is measured by default.
        concurrency: Threads (or coroutines) a process; 0 leaves it as shipped.
        most: Highest concurrency over all processes that is worth starting.
    """

    name: str
    module: str
    client: str
    style: str
    commands: Callable[[int, int], Sequence[Sequence[str]]] | None
    processes: int = 1
    concurrency: int = 8
    most: int = 1_000

    @property
    def queued(self) -> bool:
        """Whether there is a worker at all."""
        return self.commands is not None

    def environment(
        self, bench: Bench, concurrency: int, more: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return what its processes find in the environment."""
        chosen = {
            "WORKER_WORKER__CONCURRENCY": str(2 * concurrency),
            "WORKER_WORKER__EXCHANGE_THREADS": str(concurrency),
        }
        return {
            REDIS: bench.redis_url,
            EXCHANGE: bench.exchange_url,
            CLIENT: self.client,
            STYLE: self.style,
            THREADS: str(concurrency),
            "PYTHONPATH": str(ROOT),
            "WORKER_CONFIG": str(bench.folder / "worker.toml"),
            "NO_PROXY": "127.0.0.1",
            **(chosen if concurrency else {}),
            **TUNED.get(self.module, {}).get(self.style, {}),
            **(more or {}),
        }

    def workers(
        self, bench: Bench, *, processes: int, concurrency: int, more: Mapping[str, str] | None
    ) -> ProcessGroup:
        """Return its worker processes, not started."""
        assert self.commands is not None
        return ProcessGroup(
            self.commands(processes, concurrency),
            self.environment(bench, concurrency, more),
            bench.folder / f"{self.name}.log",
        )


def python(module: str, *args: str) -> list[str]:
    """Return the command that runs a module."""
    return [sys.executable, "-m", module, *args]


def script(name: str, *args: str) -> list[str]:
    """Return the command that runs a program of this environment."""
    return [str(Path(sys.executable).parent / name), *args]


def setting(name: str) -> str:
    """Return what the environment says, within a peer's process."""
    return os.environ[name]
