"""One system running: its workers, its producer, an empty Redis."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from tests.benchmarks.environment import bench_of
from tests.benchmarks.exchange import Exchange
from tests.benchmarks.process_group import ProcessGroup
from tests.benchmarks.producer import ProducerProcess, Sent
from tests.benchmarks.redis_stats import Asked, asked
from tests.benchmarks.system import Bench, System
from tests.support.polling import eventually
from worker import clock

PEERS = "tests.benchmarks.peers"
NS_PER_MS = 1_000_000
WARM_UP = 40
READY_MS = 60_000
QUIET_MS = 300
REST_MS = 100
REST_SHARE = 0.5
"""Of a core: workers that use less have done all that their jobs left them to do."""
REST_BOUND_MS = 60_000
END = "the benchmark's count ends here"
SLOWEST_PER_S = 15
"""A drain slower than this is given up."""


@dataclass(frozen=True, slots=True)
class Drain:
    """What it took to process a backlog.

    Attributes:
        per_s: From letting the workers go to the last arrival.
        cpu_s: Of the workers until they were idle, per 1,000 jobs.
        commands: Of Redis, those in scripts too, per 1,000 jobs.
        reads: Reads of Redis clients' sockets, per 1,000 jobs.
        redis_cpu_s: Of Redis, per 1,000 jobs.
        sent: What it took to produce the backlog.
        repeated: Orders that arrived more than once.
    """

    per_s: float
    cpu_s: float
    commands: float
    reads: float
    redis_cpu_s: float
    sent: Sent
    repeated: int


@dataclass(frozen=True, slots=True)
class Paced:
    """What came of jobs that were sent at a rate.

    Attributes:
        took_ms: From call to arrival, sorted.
        calls_ms: What the calls took, sorted.
        cpu_ms: Of the workers for a job, with what they use when idle.
    """

    took_ms: list[float]
    calls_ms: list[float]
    cpu_ms: float


class Trial:
    """A system under measurement; see `running`."""

    def __init__(
        self,
        system: System,
        *,
        bench: Bench,
        exchange: Exchange,
        client: redis.Redis,
        producer: ProducerProcess,
        workers: ProcessGroup | None,
    ) -> None:
        self.system = system
        self.bench = bench
        self.exchange = exchange
        self.client = client
        self.producer = producer
        self.workers = workers
        self.most = 0.0
        """Jobs a second that it can drain, where that has been tried."""
        self._turn = 0

    def prefix(self) -> str:
        """Return what begins the ids of orders never named before."""
        self._turn += 1
        return f"{self.system.name.replace('-', '')}x{self._turn}x"

    def paced(self, count: int, per_s: float) -> Paced:
        """Send at a rate."""
        self.exchange.forget()
        prefix = self.prefix()
        cpu_s = -self._cpu_s()
        paced = self.producer.paced(prefix, count, per_s)
        self._all_there(count)
        cpu_s += self._cpu_s()
        arrivals = self.exchange.arrivals()
        took = [
            (arrivals[f"{prefix}{n:07d}"][0] - begun) / NS_PER_MS
            for n, begun in enumerate(paced.begun_ns)
        ]
        calls = [each / NS_PER_MS for each in paced.took_ns]
        return Paced(sorted(took), sorted(calls), cpu_s * 1_000 / count)

    def _cpu_s(self) -> float:
        return self.workers.cpu_s() if self.workers is not None else 0.0

    def drain(self, count: int, *, many: bool = False) -> Drain:
        """Let a backlog form while the workers are frozen; then let them go."""
        self.exchange.forget()
        prefix = self.prefix()
        before = asked(self.client)
        if self.workers is not None:
            self.workers.freeze()
        produce = self.producer.many if many else self.producer.burst
        sent = produce(prefix, count)
        begun_ns = sent.begun_ns
        cpu_s = 0.0
        if self.workers is not None:
            before = asked(self.client)
            cpu_s = -self.workers.cpu_s()
            begun_ns = time.monotonic_ns()
            self.workers.thaw()
        self._all_there(count)
        self._rest()
        spent = asked(self.client).since(before)
        cpu_s += self.workers.cpu_s() if self.workers is not None else sent.cpu_ns / 1e9
        arrivals = self.exchange.arrivals()
        last_ns = max(first for first, _ in arrivals.values())
        per_thousand = 1_000 / count
        return Drain(
            per_s=count / (last_ns - begun_ns) * 1e9,
            cpu_s=cpu_s * per_thousand,
            commands=spent.commands * per_thousand,
            reads=spent.reads * per_thousand,
            redis_cpu_s=spent.cpu_s * per_thousand,
            sent=sent,
            repeated=sum(times > 1 for _, times in arrivals.values()),
        )

    def calls(self, count: int) -> float:
        """Return how many commands clients send Redis a job, those in scripts left out."""
        self.exchange.forget()
        self.freeze()
        self.producer.burst(self.prefix(), count)
        with self.client.monitor() as monitor:  # type: ignore[no-untyped-call]
            self.thaw()
            self._all_there(count)
            clock.sleep_ms(QUIET_MS)
            self.client.echo(END)
            sent = 0
            while END not in (said := monitor.next_command())["command"]:
                sent += said["client_type"] != "lua"
        return sent / count

    def idle(self, over_ms: float) -> tuple[float, float, Asked]:
        """Return CPU in % of a core, memory in MB, and what Redis was asked a second."""
        assert self.workers is not None
        clock.sleep_ms(1_000)
        before, cpu_s, begun = asked(self.client), self.workers.cpu_s(), clock.monotonic_ms()
        clock.sleep_ms(over_ms)
        seconds = (clock.monotonic_ms() - begun) / 1_000
        spent = asked(self.client).since(before)
        busy = (self.workers.cpu_s() - cpu_s) / seconds * 100
        each = Asked(
            round((spent.commands - 2) / seconds), round(spent.reads / seconds), spent.cpu_s
        )
        return busy, self.workers.memory_mb(), each

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let a frozen system have its turn, and freeze it again."""
        self.thaw()
        try:
            yield
        finally:
            self.freeze()

    def freeze(self) -> None:
        """Stop the workers where they are."""
        if self.workers is not None:
            self.workers.freeze()

    def thaw(self) -> None:
        """Let the workers continue."""
        if self.workers is not None:
            self.workers.thaw()

    def warm_up(self) -> None:
        """Wait until a first job goes through, and then some more."""
        self.exchange.forget()
        self.producer.burst(self.prefix(), 1)

        def arrived() -> bool:
            if self.workers is not None:
                self.workers.check()
            return self.exchange.count() > 0

        eventually(arrived, within_ms=READY_MS, pause_ms=50, what=f"{self.system.name} ready")
        # A worker may still be starting beside the first one.
        clock.sleep_ms(1_500 if self.workers and len(self.workers.commands) > 1 else 300)
        self.producer.burst(self.prefix(), WARM_UP)
        self._all_there(WARM_UP + 1)

    def _rest(self) -> None:
        """Wait until the workers have done what follows: outcomes, acknowledgements, bells."""
        clock.sleep_ms(QUIET_MS)
        if self.workers is None:
            return
        until, used_s = clock.monotonic_ms() + REST_BOUND_MS, self.workers.cpu_s()
        while clock.monotonic_ms() < until:
            clock.sleep_ms(REST_MS)
            before_s, used_s = used_s, self.workers.cpu_s()
            if used_s - before_s < REST_SHARE * REST_MS / 1_000:
                return

    def _all_there(self, count: int) -> None:
        within_ms = 20_000 + count / SLOWEST_PER_S * 1_000
        if not self.exchange.wait_for(count, within_ms=within_ms):
            said = self.workers.text()[-2_000:] if self.workers else ""
            raise AssertionError(
                f"{self.system.name}: {self.exchange.count()} of {count} arrived\n{said}"
            )


@contextlib.contextmanager
def running(
    system: System,
    folder: Path,
    exchange: Exchange,
    *,
    concurrency: int | None = None,
    more: Mapping[str, str] | None = None,
    accounts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Trial]:
    """Run a system on a Redis of its own, warmed up; end it whatever happens.

    Args:
        system: What runs.
        exchange: What it sends to.
        folder: Not there yet; holds all that it leaves.
        concurrency: Threads or coroutines a process, if not the system's own.
        more: Environment of its processes.
        accounts: Of our worker, beside those on the exchange.
    """
    threads = system.concurrency if concurrency is None else concurrency
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(bench_of(folder, exchange, accounts))
        client = stack.enter_context(contextlib.closing(redis.Redis.from_url(bench.redis_url)))
        workers = None
        if system.queued:
            workers = system.workers(
                bench, processes=system.processes, concurrency=threads, more=more
            )
            stack.callback(workers.kill)
            workers.start()
        producer = ProducerProcess(
            f"{PEERS}.{system.module}",
            system.environment(bench, threads, more),
            folder / "producer.log",
        )
        stack.enter_context(producer)
        trial = Trial(
            system,
            bench=bench,
            exchange=exchange,
            client=client,
            producer=producer,
            workers=workers,
        )
        trial.warm_up()
        yield trial


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * share))]
