"""Fixtures: a real Redis, the simulated exchanges, and what is built on them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

from tests.support.world import World
from worker.simulator import Simulator
from worker.store import embedded
from worker.store.embedded import EmbeddedRedis

WORKERS = 4
"""Processes that `pyproject.toml` has run the tests."""
LONG = (
    "test_nothing_stale_reaches_the_exchange",
    "test_no_strategy_that_beats_is_tripped",
    "test_no_secret_leaves_the_worker",
    "test_outcomes_match_the_order_books_at_exchanges_of_ccxt",
    "test_outcomes_match_the_order_book_under_every_fault",
    "test_runs_without_a_planted_bug_break_no_promise",
    "test_no_failure_trips_a_short_native_switch",
    "test_on_a_slow_connection_workers_hold_the_deadline",
)
"""Tests that take longest. They begin first, so that no process is left alone with one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put a long test at the start of each process's part, which is as long as the others'."""
    long = sorted(
        (item for item in items if item.name.partition("[")[0] in LONG),
        key=lambda item: LONG.index(item.name.partition("[")[0]),
    )
    rest = [item for item in items if item not in set(long)]
    size = -(-len(items) // WORKERS)
    parts: list[pytest.Item] = []
    for n in range(WORKERS):
        mine = long[n::WORKERS]
        others, rest = rest[: size - len(mine)], rest[size - len(mine) :]
        parts += [*mine, *others]
    items[:] = [*parts, *rest]


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Undo what a test changes in the environment: `--config`, given in this process, does."""
    before = dict(os.environ)
    yield
    for name in {*before, *os.environ}:
        if name.startswith("WORKER_") and before.get(name) != os.environ.get(name):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """One Redis for tests that do not harm it."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """An empty Redis."""
    client = redis.Redis(port=redis_server.port)
    client.flushall()
    client.close()
    return redis_server.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that the test may kill or freeze."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """The simulated exchanges."""
    with Simulator(seed=7) as simulator:
        yield simulator


@pytest.fixture
def world(sim: Simulator, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """Exchanges, Redis and settings; its workers end with the test."""
    made = World(sim, redis_url, tmp_path)
    yield made
    made.close()


def pytest_configure() -> None:
    """Give each process of a parallel run its own ports; let no property test depend on speed.

    A shell has what it runs in the background ignore SIGINT, and so would all that tests start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile(
        "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("untimed")
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    embedded.OWN_PORTS = embedded.OWN_PORTS[process::processes]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a long run repeat what the suite does a few times."""
    parser.addoption("--rounds", type=int, default=0, help="rounds of each repeated fault")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often to repeat a fault: few in the suite, more with `--rounds N`."""
    asked: int = request.config.getoption("--rounds")
    return asked or 3
