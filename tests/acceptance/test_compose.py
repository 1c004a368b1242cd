"""The services of the compose file as processes: healthy and working together."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import image
from tests.support.compose_services import TOP, Stack, load
from tests.support.polling import eventually
from tests.support.receivers import Webhook
from worker import Producer
from worker.config.settings import Settings
from worker.simulator import SimulatorClient
from worker.store.embedded import server_binary
from worker.store.ledger import Ledger
from worker.store.opening import build_store

FIRST = ("redis",)
REST = ("worker", "beat", "web", "flower", "prometheus", "simulator")
"""Grafana is in no package, and Alertmanager's needs root: their parts are checked apart."""
KEY = "simulated-key-{}"


@dataclass
class Running:
    """The stack, and a strategy's hands on it."""

    stack: Stack
    secrets: Path
    webhook: Webhook

    def port(self, named: int) -> int:
        """Return where a port of the compose file is on this machine."""
        return self.stack.ports[str(named)]

    def producer(self) -> Producer:
        """Return a producer as a strategy outside of compose has it."""
        url = (self.secrets / "redis_url_producer").read_text()
        return Producer(Settings(redis_url=url.replace(":6379", f":{self.port(6379)}")))

    def told(self) -> set[tuple[str, str]]:
        """Return title and first words of what was received."""
        return {(title, text.partition(" (")[0]) for title, text in self.webhook.received}

    def bury(self) -> None:
        """Make a dead letter."""
        url = (self.secrets / "redis_url_worker").read_text()
        place = f"127.0.0.1:{self.port(6379)}"
        settings = Settings(redis_url=url.replace("redis:6379", place))
        Ledger(build_store(settings)).bury(reason="for a person", raw="x")

    def get(self, port: int, path: str) -> Any:
        """Return what a service answers in JSON."""
        url = f"http://127.0.0.1:{self.port(port)}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)


def prometheus_programs() -> Path:
    """Return the folder of Debian's Prometheus; skip, with the reason, if it is not available."""
    tool = [str(TOP / "ops" / "debian-tool"), "prometheus", "promtool"]
    found = subprocess.run(tool, capture_output=True, text=True, check=False, timeout=90)
    if found.returncode:
        pytest.skip(found.stderr.strip())
    return Path(found.stdout.strip()).parent


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A person's address."""
    with Webhook() as made:
        yield made


@pytest.fixture
def running(tmp_path: Path, webhook: Webhook) -> Iterator[Running]:
    """All services, prepared and started as ops/docs/operations/deploy.md says."""
    env_file = tmp_path / "env"
    home = tmp_path / "deploy"
    prepare = [sys.executable, str(TOP / "ops" / "prepare.py"), "--simulator"]
    prepare += ["--folder", str(home), "--env-file", str(env_file)]
    subprocess.run(prepare, check=True, capture_output=True)
    addresses = home / "secrets" / "notify_urls"
    addresses.write_text(f"{addresses.read_text()}{webhook.url('notices')}\n")
    lines = [line for line in env_file.read_text().splitlines() if "=" in line]
    compose = load(dict(line.split("=", 1) for line in lines))
    app = image.build(tmp_path / "image")
    stack = Stack(
        compose,
        tmp_path,
        path=[
            app / "bin",
            Path(server_binary()).parent,
            prometheus_programs(),
            Path("/usr/bin"),
            Path("/bin"),
        ],
        programs={"prom/prometheus": "prometheus"},
    )
    try:
        for services in (FIRST, REST):
            for service in services:
                stack.start(service)
            for service in services:
                stack.wait_healthy(service)
        yield Running(stack, home / "secrets", webhook)
    finally:
        stack.close()


def test_services_run_a_cancel_and_a_switch(running: Running) -> None:
    """Both appear in the services' output, and all services stop in time."""
    running.bury()
    simulator = SimulatorClient(f"http://127.0.0.1:{running.port(8400)}")
    producer = running.producer()
    for alias, exchange in (("ev", "everstrike"), ("ix", "indodax"), ("bm", "bitmart")):
        (order_id,) = simulator.place(exchange, KEY.format(alias))
        scope = {"pair": "btc_idr", "side": "buy"} if alias == "ix" else {}
        result = producer.cancel(alias, order_id, **scope).wait(timeout_ms=20_000)
        assert result.proven, result
        assert simulator.order(exchange, order_id).status == "canceled"

    silent = {
        exchange: simulator.place(exchange, KEY.format(alias), pair="eth_idr")[0]
        for alias, exchange in (("ev", "everstrike"), ("ix", "indodax"))
    }
    producer.arm("ev", order_ids=[silent["everstrike"]], timeout_ms=2_000)
    producer.arm("ix", pairs=["eth_idr"], timeout_ms=4_000)

    def off_the_book() -> bool:
        return {simulator.order(*order).status for order in silent.items()} == {"canceled"}

    eventually(off_the_book, within_ms=30_000, what="the silent strategies' orders are off")
    scrapes_all(running)
    wanted = ("malformed message", "for a person")
    eventually(lambda: wanted in running.told(), within_ms=60_000, what="a person is notified")
    for service in reversed(FIRST + REST):
        running.stack.check_alive(service)
        assert running.stack.stop(service) in (0, -15), service


def scrapes_all(running: Running) -> None:
    """Prometheus finds worker, beat and web, and has read its alerts."""

    def up() -> bool:
        query = urllib.parse.urlencode({"query": "up"})
        found = running.get(9090, f"/api/v1/query?{query}")["data"]["result"]
        return [row["value"][1] for row in found] == ["1", "1", "1"]

    eventually(up, within_ms=60_000, pause_ms=200, what="Prometheus scrapes worker and beat")
    assert running.get(9090, "/api/v1/rules")["data"]["groups"]
