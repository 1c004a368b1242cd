"""The services of systemd and Kubernetes: their commands, variables and files, started."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.kustomized import build, containers
from tests.support.polling import eventually
from tests.support.systemd import command, environment, read
from tests.support.world import World
from worker.store.embedded import own_port

BIN = Path(sys.executable).parent


class Started:
    """Processes with an environment of their own; none outlives its test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Where no worker.toml lies about.
        self._root = folder / "root"
        self._root.mkdir()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> None:
        """Start one."""
        with self.log(name).open("wb") as out:
            self.processes[name] = subprocess.Popen(
                command,
                env={"PATH": f"{BIN}:/usr/bin:/bin", **variables},
                cwd=self._root,
                stdout=out,
                stderr=out,
            )

    def log(self, name: str) -> Path:
        """Return where its output goes."""
        return self._folder / f"{name}.log"

    def says(self, name: str, text: str) -> None:
        """Wait until its log has a text."""

        def said() -> bool:
            log = self.log(name).read_text()
            assert self.processes[name].poll() is None, f"{name}: {log[-2_000:]}"
            return text in log

        eventually(said, within_ms=60_000, what=f"{name} says {text!r}")

    def stop(self, name: str, within_s: float) -> int:
        """Stop one; return its exit code."""
        self.processes[name].terminate()
        return self.processes[name].wait(within_s)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Nothing yet."""
    made = Started(tmp_path)
    yield made
    for process in made.processes.values():
        process.kill()
        process.wait()


UNITS = ("cancel-worker@worker", "cancel-worker@worker-1", "cancel-worker@beat")


def cancel_one(world: World) -> None:
    """Have the worker do its job."""
    (order_id,) = world.place("ev")
    assert world.producer().cancel("ev", order_id).wait(timeout_ms=30_000).proven


def test_systemd_services_work(world: World, started: Started, tmp_path: Path) -> None:
    """Worker, beat, Flower and web run with the credentials of their units and stop in time."""
    etc = tmp_path / "etc"
    etc.mkdir()
    for name in ("worker", "worker-1"):
        (etc / f"{name}.toml").write_text(world.config().read_text())
    for name in ("beat", "flower", "web"):
        table = f"[web]\nport = {own_port()}\n" if name == "web" else ""
        (etc / f"{name}.toml").write_text(f'redis_url = "{world.redis_url}"\n{table}')
    (etc / "flower_login").write_text("operator:a-long-password\n")
    port = str(own_port())
    stops: dict[str, int] = {}
    for unit in (*UNITS, "cancel-worker-flower", "cancel-worker-web"):
        name = unit.rpartition("-" if "@" not in unit else "@")[2]
        service = read(f"{unit}.service")["Service"]
        variables = environment(f"{unit}.service", etc, tmp_path / f"credentials-{name}")
        words = [word.replace("5555", port) for word in command(f"{unit}.service", name, BIN)]
        started.start(name, words, variables)
        stops[name] = int(service["TimeoutStopSec"])
    for name in ("worker", "worker-1"):
        started.says(name, " ready.")
    started.says("beat", "ticking")
    started.says("flower", "Visit me")
    started.says("web", "listening on")
    cancel_one(world)
    assert {name: started.stop(name, stops[name]) for name in stops} == dict.fromkeys(stops, 0)


def test_kubernetes_pods_work(world: World, started: Started, tmp_path: Path) -> None:
    """Worker, beat and web run with the mounted files, their probes succeed, and both stop."""
    files = {
        "notify/urls": "# none\n",
        "accounts/worker.toml": "\n".join(world.config().read_text().splitlines()[1:]),
        "redis/worker": world.redis_url,
        "redis/beat": world.redis_url,
        "redis/web": world.redis_url,
    }
    for name, text in files.items():
        path = tmp_path / "etc/cancel-worker" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    pods = {it["metadata"]["name"]: it for it in build() if it["kind"] == "Deployment"}
    ports: dict[str, int] = {}
    for name, pod in pods.items():
        (container,) = containers(pod)
        named = {str(port["containerPort"]): str(own_port()) for port in container["ports"]}
        ports[name] = int(next(iter(named.values())))
        started.start(
            name,
            container["command"],
            {
                it["name"]: it["value"]
                .replace("/etc", f"{tmp_path}/etc")
                .replace("0.0.0.0", "127.0.0.1")  # noqa: S104  the opposite
                if it["value"] not in named
                else named[it["value"]]
                for it in container["env"]
            },
        )
    for name, pod in pods.items():
        (container,) = containers(pod)
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            succeeds(started, name, ports[name], container[probe])
    cancel_one(world)
    scaled_by(ports["worker"])
    for name, pod in pods.items():
        grace_s = pod["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert started.stop(name, grace_s) == 0


def succeeds(started: Started, name: str, port: int, probe: Mapping[str, Any]) -> None:
    """Wait until a probe does."""

    def good() -> bool:
        assert started.processes[name].poll() is None, started.log(name).read_text()[-2_000:]
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}{probe['httpGet']['path']}", timeout=10
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    eventually(good, within_ms=60_000, pause_ms=100, what=f"{name}: {probe}")


def scaled_by(port: int) -> None:
    """The scaler asks for a metric, with labels, that the worker exports."""
    (scaler,) = [it for it in build() if it["kind"] == "ScaledObject"]
    query = scaler["spec"]["triggers"][0]["metadata"]["query"]
    assert "cancel_worker_jobs_due" in query
    assert "by (exchange, account)" in query

    def due() -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines: list[str] = answer.read().decode().splitlines()
        return [line for line in lines if line.startswith("cancel_worker_jobs_due{")]

    # A look at Redis is shared for a second by all who ask.
    shown = eventually(due, what="the metric")
    assert all('exchange="' in line and 'account="' in line for line in shown)
