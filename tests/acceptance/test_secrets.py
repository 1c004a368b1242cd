"""Secrets stay in the worker: all output is searched for them.

The simulated exchanges record the credentials, signatures and tokens that they
received. None of them may appear anywhere else, at any log level and under any fault.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from celery import Celery

from tests.support.eavesdropper import Eavesdropper
from tests.support.outputs import monitored, pages, process_lists, running, watched, web_pages
from tests.support.polling import eventually
from tests.support.secret_leaks import leaks
from tests.support.sentry_server import KEY, FakeSentry, fake_sentry
from tests.support.world import ALL_KEYS, KEYS, MORE_KEYS, PAIRS, World
from worker.cli import main
from worker.model.jobs import State
from worker.simulator.faults import FAULTS
from worker.store.embedded import EmbeddedRedis, own_port

PASSWORD = 'rp/w+"0123456789'
WITHIN_MS = 120_000
POLL_MS = 250
ALERTS = {"switch tripped", "malformed message", "task failed", "dead letter"}
BANS = {"binance_banned": "bn", "bybit_banned": "bb", "kraken_lockout": "kr"}
"""Faults after which nothing is sent for a while; what is canceled then is not awaited."""
ROOMY = {"max_requests": 1_000, "window_ms": 1_000}
"""Careful defaults would make the test slow."""
SIDED = ("ix", "it")
ALIASES = (*KEYS, *MORE_KEYS, "wb", "wo", "bg")
"""One at each exchange, and at three of ccxt whose signatures differ."""
ARMED = {
    "pairs": ("ix", "bu", "bc", "ga", "gf", "ku", "wb"),
    "everything": ("kr", "ok", "hl", "wo"),
}
"""Accounts whose exchange has a timer, by its scope."""


@pytest.fixture
def listening() -> Iterator[Eavesdropper]:
    """The exchanges that listen."""
    with Eavesdropper() as simulator:
        simulator.set_option("kraken_calls", 0)
        simulator.set_option("delay_ms", 600)
        yield simulator


@pytest.fixture
def place(
    listening: Eavesdropper, own_redis: EmbeddedRedis, tmp_path: Path
) -> Iterator[tuple[World, FakeSentry]]:
    """A world with a password on its Redis, a Sentry, and logs at their loudest."""
    client = redis.Redis(port=own_redis.port)
    # Else what Redis writes would hide what is in it.
    client.config_set("rdbcompression", "no")
    client.config_set("requirepass", PASSWORD)
    client.close()
    url = f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{own_redis.port}/0"
    with fake_sentry() as sentry:
        world = World(listening, url, tmp_path, aliases=ALIASES)
        world.limits = {"bm": {"orders": ROOMY}, "kr": {"calls": ROOMY}}
        world.top = {"sentry_dsn": sentry.dsn, "redis_timeout_ms": 10_000}
        world.tables = {
            "worker": {"log_level": "DEBUG", "concurrency": 64},
            # Else a process of another test may be there first.
            "metrics": {"port": own_port(), "beat_port": own_port(), "web_port": own_port()},
            "web": {"port": own_port()},
            "http": {"deadline_ms": 400, "connect_ms": 300},
            "jobs": {
                "max_attempts": 12,
                "missing_max_ms": 500,
                "backoff_base_ms": 5,
                "backoff_max_ms": 60,
            },
        }
        yield world, sentry
        world.close()


@pytest.mark.timeout(600)
def test_no_secret_leaves_the_worker(  # noqa: PLR0917  fixtures
    place: tuple[World, FakeSentry],
    listening: Eavesdropper,
    own_redis: EmbeddedRedis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Cancels and switches run under every fault; then every output is searched."""
    world, sentry = place
    caplog.set_level(logging.DEBUG, logger="worker")
    monkeypatch.setenv("WORKER_CONFIG", str(world.config()))
    places: dict[str, bytes] = {}
    with ExitStack() as stack:
        commands = stack.enter_context(monitored(world))
        up = stack.enter_context(running(tmp_path))
        events = stack.enter_context(watched(world))
        move_switches(world)
        meet_faults(world)
        places["results"] = "\n".join(cancel_in_vain(world, listening)).encode()
        be_banned(world, listening)
        places["processes"] = process_lists(up.pid)
        eventually(lambda: sentry.items("check_in"), what="beat's check-in")
        eventually(lambda: set(sentry.tags()) >= ALERTS, what="alerts")
        places |= pages(tmp_path / "up.out")
        places |= web_pages(world, tmp_path / "up.out")
    assert {arrival.fault for arrival in listening.journal()} > {*FAULTS}
    assert (
        {*listening.echoed} == {*listening.signatures} == {ALL_KEYS[alias][0] for alias in ALIASES}
    )
    dead = [job.id for job in world.ledger().dead(limit=5)]
    for command in (
        ["status", "--json"],
        ["jobs", "--json"],
        ["dead", "list", "--json"],
        *(["dead", "show", job_id, "--json"] for job_id in dead),
        ["switches", "--json"],
        ["check", "--json"],
    ):
        main(command)
    raw = redis.Redis(port=own_redis.port, password=PASSWORD)
    found: Any = raw.keys("*")
    places["keys"] = b"\n".join(found)
    dumps: list[Any] = [raw.dump(key) for key in found]
    places["values"] = b"\n".join(filter(None, dumps))
    raw.save()
    files = [path for path in (tmp_path / "redis").rglob("*") if path.is_file()]
    assert any("appendonly" in str(path) for path in files)
    assert any(path.suffix == ".rdb" for path in files)
    places |= {path.name: path.read_bytes() for path in files}
    places |= {
        "commands": b"\n".join(commands),
        "events": b"\n".join(events),
        "sentry": b"\n".join(sentry.bodies),
        "output": (tmp_path / "up.out").read_bytes(),
        "logs": (tmp_path / "up.err").read_bytes(),
        "logs of this process": "\n".join(repr(vars(each)) for each in caplog.records).encode(),
        "command line": "".join(capsys.readouterr()).encode(),
        "settings": repr(world.settings()).encode(),
        "slow log and clients": repr((raw.slowlog_get(128), raw.client_list())).encode(),
    }
    raw.close()
    assert not [name for name, data in places.items() if not data]
    assert b'"DEBUG"' in places["logs"]
    assert b"refused: " in places["logs"]
    secrets = {
        **{f"key of {alias}": [row[1]] for alias, row in ALL_KEYS.items()},
        **{
            f"secrets of {alias}": [value for value in row[2:] if value]
            for alias, row in ALL_KEYS.items()
        },
        **{f"signature of {name}": seen for name, seen in listening.signatures.items()},
        "token": listening.tokens,
        "Redis password": [PASSWORD],
        "Sentry key": [KEY],
    }
    to_sentry = places.pop("sentry")
    assert leaks(secrets, places) == []
    del secrets["Sentry key"]
    assert leaks(secrets, {"sentry": to_sentry}) == []


def named(alias: str) -> dict[str, Any]:
    """Return what a cancel at an exchange needs or may have beside the order."""
    scope = {"pair": PAIRS.get(alias, "btc_idr")}
    return {**scope, "side": "buy"} if alias in SIDED else scope


def move_switches(world: World) -> None:
    """Arm a switch at each exchange that has a timer, and have one trip; send plain messages."""
    producer = world.producer()
    for alias in ARMED["pairs"]:
        pairs = [PAIRS.get(alias, "btc_idr")]
        producer.arm(alias, pairs=pairs, timeout_ms=110_000).beat()
    for alias in ARMED["everything"]:
        producer.arm(alias, everything=True, timeout_ms=110_000).beat()
    producer.arm("ev", order_ids=world.place("ev", 2), timeout_ms=1_000)
    client = Celery("stranger", broker=world.redis_url)
    client.send_task("worker.countdown", args=["it", ["eth_idr"], 30_000])
    client.send_task("worker.cancel", args=["ev"], kwargs={"wrong": "x"})
    client.send_task("celery.backend_cleanup", kwargs={"x": 1})
    world.store().client.lpush("celery", b"rubbish")


def meet_faults(world: World) -> None:
    """Have orders canceled at each exchange until every fault of it has been met."""
    producer, sim = world.producer(), world.sim
    left: dict[str, set[str]] = {}
    for fault in FAULTS.values():
        for alias in () if fault.name in BANS else ALIASES:
            exchange = ALL_KEYS[alias][0]
            with suppress(ValueError):  # means nothing here
                sim.fault_next(fault.name, exchange=exchange, paths=["cancel", "query"])
                left.setdefault(alias, set()).add(fault.name)
    tickets = [
        ticket
        for alias, faults in left.items()
        for ticket in producer.cancel_many(alias, world.place(alias, len(faults)), **named(alias))
    ]
    await_all(world, [ticket.id for ticket in tickets])
    keys = {row[1] for alias, row in ALL_KEYS.items() if alias in sum(ARMED.values(), ())}
    eventually(
        lambda: not keys - {row.api_key for row in sim.journal() if row.countdown_ms is not None},
        within_ms=WITHIN_MS,
        pause_ms=POLL_MS,
        what="each timer has been asked for",
    )


def await_all(world: World, ids: list[str]) -> None:
    """Wait until each job has ended."""
    ledger = world.ledger()

    def ended() -> bool:
        jobs = ledger.many(ids)
        return all(job is not None and job.state is not State.PENDING for job in jobs)

    eventually(ended, within_ms=WITHIN_MS, pause_ms=POLL_MS, what="every job has ended")


def cancel_in_vain(world: World, listening: Eavesdropper) -> list[str]:
    """Cancel orders at exchanges that only echo, with workers and without; return the results."""
    producer = world.producer()
    listening.deaf = True
    orders = {alias: world.place(alias, 2) for alias in ALIASES}
    tickets = {
        alias: producer.cancel(alias, ids[0], **named(alias)) for alias, ids in orders.items()
    }

    def directly(alias: str) -> str:
        return repr(producer.cancel_direct(alias, orders[alias][1], **named(alias), timeout_ms=700))

    with ThreadPoolExecutor(len(orders)) as pool:
        results = [*pool.map(directly, orders)]
    await_all(world, [ticket.id for ticket in tickets.values()])
    ended = {alias: ticket.result() for alias, ticket in tickets.items()}
    assert not [alias for alias, result in ended.items() if result.state is not State.DEAD]
    return [*results, *map(repr, ended.values())]


def be_banned(world: World, listening: Eavesdropper) -> None:
    """Have an order canceled at each exchange that then bans."""
    producer = world.producer()
    listening.deaf = False
    for fault, alias in BANS.items():
        listening.fault_next(fault, exchange=ALL_KEYS[alias][0])
        producer.cancel(alias, *world.place(alias), **named(alias))
    eventually(
        lambda: BANS.keys() <= {arrival.fault for arrival in listening.journal()},
        within_ms=WITHIN_MS,
        pause_ms=POLL_MS,
        what="each ban has been met",
    )
