"""Secrets stay in the worker: all output is searched for them.

The simulated exchanges record the credentials, signatures and tokens that they
received. None of them may appear anywhere else, at any log level and under any fault.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import pytest
import redis
from celery import Celery

from tests.support.pages import get
from tests.support.polling import eventually
from tests.support.secret_leaks import leaks
from tests.support.sentry_server import KEY, FakeSentry, fake_sentry
from tests.support.world import KEYS, World
from worker.cli import main
from worker.model.jobs import State
from worker.simulator import Simulator
from worker.simulator.faults import FAULTS
from worker.simulator.wire import MOUNTS, Delivery, Request, json_reply
from worker.store.embedded import EmbeddedRedis, own_port

PASSWORD = 'rp/w+"0123456789'
LOUD = Path(__file__).parents[1] / "support" / "verbose_http"
ECHOES = 3
"""Every so many requests of a path are answered with all that they carried."""
SIGNATURES = ("sign", "x-signature", "x-bm-signature")
CREDENTIALS = ("key", "x-api-key", "x-bm-authorization", *SIGNATURES)
SHOWN = ("cmdline", "environ")
SETTLED_MS = 60_000
ALERTS = {"switch tripped", "malformed message", "task failed"}
GIVEN_UP = {"dead letter", "credentials refused"}
SCOPES = {"ix": {"pair": "btc_idr", "side": "buy"}, "it": {"pair": "btc_idr", "side": "buy"}}


class Eavesdropper(Simulator):
    """The exchanges, noting what is secret in each request, and sometimes echoing it."""

    def __init__(self) -> None:
        self.signatures: set[str] = set()
        self.tokens: set[str] = set()
        self.echoed = 0
        self._count = self._asked = 0
        super().__init__(seed=11)

    def _serve(self, request: Request) -> Delivery:
        headers = request.headers
        self.signatures |= {headers[name] for name in SIGNATURES if name in headers}
        form = parse_qs(request.body.decode("latin-1"))
        self.signatures |= set(form.get("client_secret", []))
        if token := headers.get("x-bm-authorization", "").removeprefix("Bearer "):
            self.tokens.add(token)
        signed = request.path.startswith(tuple(MOUNTS.values())) and "/_sim/" not in request.path
        self._count += signed
        asks_token = request.path.endswith("/v2/authentication")
        self._asked += asks_token
        if self._asked == 1 if asks_token else signed and self._count % ECHOES == 0:
            self.echoed += 1
            told = [headers[name] for name in CREDENTIALS if name in headers]
            text = f"refused: {' '.join(told)} {request.body.decode('latin-1')}"
            # There are but five tokens a minute: none is to be lost by a 401.
            statuses = (500, 403) if MOUNTS["bitmart"] in request.path else (200, 401, 404, 429)
            status = statuses[self.echoed % len(statuses)]
            error = {"success": 0, "error": text, "error_code": "no", "message": text}
            return Delivery(json_reply(status, {"code": status, "msg": text, **error}))
        return super()._serve(request)


@pytest.fixture
def listening() -> Iterator[Eavesdropper]:
    """The exchanges that listen."""
    with Eavesdropper() as simulator:
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
        world = World(listening, url, tmp_path)
        world.top["sentry_dsn"] = sentry.dsn
        world.tables = {
            "worker": {"log_level": "DEBUG"},
            # Else a worker of another test may be there first.
            "metrics": {"port": own_port(), "beat_port": own_port()},
            "http": {"deadline_ms": 400, "connect_ms": 300},
            "jobs": {"max_attempts": 12, "backoff_base_ms": 5, "backoff_max_ms": 60},
        }
        yield world, sentry
        world.close()


NOT_HERE = (
    "binance",
    "bybit",
    "deribit",
    "gate",
    "hyperliquid",
    "indodax_v2",
    "kraken",
    "kucoin",
    "okx",
)
"""Faults of exchanges that have no account here."""


def test_no_secret_leaves_the_worker(  # noqa: PLR0917  fixtures
    place: tuple[World, FakeSentry],
    listening: Eavesdropper,
    own_redis: EmbeddedRedis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Cancels and switches run under every fault; then every output is searched."""
    world, sentry = place
    monkeypatch.setenv("WORKER_CONFIG", str(world.config()))
    places: dict[str, bytes] = {}
    with monitored(world) as commands, running(tmp_path) as up, watched(world) as events:
        dead = cause_trouble(world)
        places["processes"] = process_lists(up.pid)
        eventually(lambda: sentry.items("check_in"), what="beat's check-in")
        eventually(lambda: set(sentry.tags()) > ALERTS, what="alerts")
        eventually(lambda: GIVEN_UP & set(sentry.tags()), what="the alert of a dead letter")
        places |= pages(tmp_path / "up.out")
    assert dead
    met = {arrival.fault for arrival in listening.journal()}
    assert met > {name for name in FAULTS if not name.startswith(NOT_HERE)}
    assert listening.echoed > 10
    shown = [
        ["status", "--json"],
        ["jobs", "--json"],
        ["dead", "list", "--json"],
        *(["dead", "show", job_id, "--json"] for job_id in dead[:5]),
        ["switches", "--json"],
        ["check", "--json"],
    ]
    for command in shown:
        main(command)
    client = world.store().client
    raw = redis.Redis(port=own_redis.port, password=PASSWORD)
    found: Any = raw.keys("*")
    places["keys"] = b"\n".join(found)
    dumps: list[Any] = [raw.dump(key) for key in found]
    places["values"] = b"\n".join(filter(None, dumps))
    client.save()
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
        "command line": "".join(capsys.readouterr()).encode(),
        "slow log and clients": repr((raw.slowlog_get(128), raw.client_list())).encode(),
    }
    raw.close()
    assert not [name for name, data in places.items() if not data]
    assert b'"DEBUG"' in places["logs"]
    secrets = {
        "api key": [row[1] for row in KEYS.values()],
        "api secret": [row[2] for row in KEYS.values()],
        "memo": [row[3] for row in KEYS.values()],
        "signature": listening.signatures,
        "token": listening.tokens,
        "Redis password": [PASSWORD],
        "Sentry key": [KEY],
    }
    to_sentry = places.pop("sentry")
    assert leaks(secrets, places) == []
    del secrets["Sentry key"]
    assert leaks(secrets, {"sentry": to_sentry}) == []


def cause_trouble(world: World) -> list[str]:
    """Have every fault met, orders canceled all ways and switches moved; return dead letters."""
    producer, tickets = world.producer(), []
    sim = world.sim
    for fault in FAULTS.values():
        for alias in KEYS:
            exchange = KEYS[alias][0]
            with suppress(ValueError):  # means nothing here
                sim.fault_next(fault.name, exchange=exchange, paths=["cancel", "query"])
            (order_id,) = world.place(alias)
            tickets += [producer.cancel(alias, order_id, **SCOPES.get(alias, {}))]
    native = producer.arm("ix", pairs=["btc_idr"], timeout_ms=60_000)
    silent = producer.arm("ev", order_ids=world.place("ev", 2), timeout_ms=1_000)
    client = Celery("stranger", broker=world.redis_url)
    client.send_task("worker.countdown", args=["it", ["eth_idr"], 30_000])
    client.send_task("worker.cancel", args=["ev"], kwargs={"wrong": "x"})
    client.send_task("celery.backend_cleanup", kwargs={"x": 1})
    world.store().client.lpush("celery", b"rubbish")
    ledger = world.ledger()
    ids = [ticket.id for ticket in tickets]

    def ended() -> bool:
        jobs = ledger.many(ids)
        return all(job is not None and job.state is not State.PENDING for job in jobs)

    eventually(ended, within_ms=SETTLED_MS, what="every job has ended")
    eventually(lambda: world.store().client.exists(f"cx:switch:{silent.id}"))
    native.beat()
    native.disarm()
    sim.set_faults({"indodax_not_authorized": 1.0}, exchange="indodax")
    (order_id,) = world.place("it")
    given_up = producer.cancel("it", order_id, **SCOPES["it"]).wait(timeout_ms=20_000)
    assert not given_up.proven
    sim.set_faults({}, exchange="indodax")
    # More than one token's life: what is drawn last may wait for a request that can meet it.
    for alias in ("bm", "ix"):
        for order_id in world.place(alias, 3):
            producer.cancel(alias, order_id, **SCOPES.get(alias, {})).wait(timeout_ms=20_000)
    return [job.id for job in ledger.dead(limit=100)]


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `up`, everything turned up as loud as it goes."""
    environment = {**os.environ, "PYTHONPATH": str(LOUD), "SENTRY_DEBUG": "1"}
    out, err = folder / "up.out", folder / "up.err"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        up = subprocess.Popen(
            [sys.executable, "-m", "worker", "up"], stdout=to_out, stderr=to_err, env=environment
        )
    try:
        eventually(lambda: b"running" in out.read_bytes(), within_ms=30_000, what="up")
        yield up
    finally:
        up.send_signal(signal.SIGTERM)
        assert up.wait(30) == 0


@contextmanager
def monitored(world: World) -> Iterator[list[bytes]]:
    """Collect every command that Redis is sent."""
    client = redis.Redis.from_url(world.redis_url)
    seen: list[bytes] = []
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]

        def listen() -> None:
            with suppress(redis.RedisError, OSError, ValueError):
                while True:
                    seen.append(monitor.connection.read_response())

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield seen
        world.store().client.client_kill_filter(_type="normal", skipme=True)
        thread.join(5)
    client.close()


@contextmanager
def watched(world: World) -> Iterator[list[bytes]]:
    """Collect the workers' events, as Flower sees them."""
    seen: list[bytes] = []
    app = Celery("flower", broker=world.redis_url)
    app.conf.broker_transport_options = {"global_keyprefix": "cx:"}
    connection = app.connection_for_read()
    receiver = app.events.Receiver(
        connection, handlers={"*": lambda event: seen.append(json.dumps(event).encode())}
    )

    def heard() -> bool:
        app.control.enable_events()
        return bool(seen)

    thread = threading.Thread(target=receiver.capture, daemon=True)
    thread.start()
    try:
        eventually(heard, within_ms=30_000, pause_ms=200, what="the worker's events")
        yield seen
    finally:
        receiver.should_stop = True
        thread.join(10)
        connection.release()


def answered(url: str, path: str) -> tuple[int, str, dict[str, str]]:
    """Return what a page says, once its process is there."""

    def look() -> tuple[int, str, dict[str, str]] | None:
        with suppress(OSError):
            return get(url, path)
        return None

    found = eventually(look, within_ms=60_000, pause_ms=50, what=f"{url}{path}")
    assert found
    return found


def pages(out: Path) -> dict[str, bytes]:
    """Return what each process that `up` has started serves: its metrics and its probes."""
    urls = re.findall(r"^(?:worker|beat) +(http://\S+)$", out.read_text(), re.MULTILINE)
    assert len(urls) >= 2, out.read_text()
    served = {}
    for url in urls:
        for path in ("/metrics", "/healthz/live", "/healthz/ready"):
            _, text, headers = answered(url.rstrip("/"), path)
            served[f"{url}{path}"] = f"{headers} {text}".encode()
    assert all(b"cancel_worker_" in data for at, data in served.items() if "metrics" in at)
    return served


def process_lists(root: int) -> bytes:
    """Return what `ps` shows of a process and all below it, their environment too."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    tree = [root]
    for pid in tree:
        tree += children.get(pid, [])
    found = [Path(f"/proc/{pid}/{file}").read_bytes() for pid in tree for file in SHOWN]
    assert len(tree) >= 3, found
    return b"\n".join(found)
