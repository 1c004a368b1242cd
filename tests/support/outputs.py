"""All that leaves running services: commands, events, pages, process lists."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from celery import Celery

from tests.support.pages import get
from tests.support.polling import eventually
from tests.support.world import World
from worker.model.authority import Verb
from worker.store.api_tokens import ApiTokens

LOUD = Path(__file__).parent / "verbose_http"
SHOWN = ("cmdline", "environ")
WITHIN_MS = 120_000
HTTP_OK = 200
PATHS = (
    "/openapi.json",
    "/v1/jobs",
    "/v1/dead-letters",
    "/v1/switches",
    "/v1/status",
    "/v1/audit",
)


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `up` with one worker, everything turned up as loud as it goes."""
    environment = {**os.environ, "PYTHONPATH": str(LOUD), "SENTRY_DEBUG": "1"}
    out, err = folder / "up.out", folder / "up.err"
    command = [sys.executable, "-m", "worker", "up", "--workers", "1"]
    with out.open("wb") as to_out, err.open("wb") as to_err:
        up = subprocess.Popen(command, stdout=to_out, stderr=to_err, env=environment)
    try:
        eventually(lambda: b"running" in out.read_bytes(), within_ms=WITHIN_MS, what="up")
        yield up
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(WITHIN_MS / 1_000)


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
        eventually(heard, within_ms=WITHIN_MS, pause_ms=200, what="the worker's events")
        yield seen
    finally:
        receiver.should_stop = True
        thread.join(10)
        connection.release()


def answered(
    url: str, path: str, headers: Mapping[str, str] | None = None
) -> tuple[int, str, dict[str, str]]:
    """Return what a page says, once its process is there."""

    def look() -> tuple[int, str, dict[str, str]] | None:
        with suppress(OSError):
            return get(url, path, headers=headers)
        return None

    found = eventually(look, within_ms=WITHIN_MS, pause_ms=50, what=f"{url}{path}")
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
    found = []
    for pid in tree:
        with suppress(OSError):  # it has ended
            found += [Path(f"/proc/{pid}/{file}").read_bytes() for file in SHOWN]
    assert len(found) >= 3 * len(SHOWN), found
    return b"\n".join(found)


def web_pages(world: World, out: Path) -> dict[str, bytes]:
    """Return what the HTTP API and the control page show to a token with every right."""
    found = re.search(r"^page +(http://\S+?)/?$", out.read_text(), re.MULTILINE)
    assert found, out.read_text()
    token = ApiTokens(world.store()).create("all", now_ms=1, accounts=(), verbs=frozenset(Verb))
    headers = {"Authorization": f"Bearer {token}"}
    served = {}
    for path in PATHS:
        status, text, _ = answered(found[1], path, headers)
        assert status == HTTP_OK, (path, text)
        served[path] = text.encode()
    return served
