"""docker-compose.yml and ops/Dockerfile as written: valid, hardened, complete."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support import image
from tests.support.compose_services import SECRETS, TOP, load, mounts
from worker.cli.simulated import open_accounts, settings_text
from worker.config.settings import Engine, Settings
from worker.simulator import Simulator

SCHEMA = TOP / "tests" / "data" / "schemas" / "compose-spec.json"
COMPOSE: dict[str, Any] = load({"CANCEL_WORKER_USER": "1000:1000"})
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, table in SERVICES.items() if "build" in table)
SIMULATOR_PORT = 8400


def seconds(text: str) -> float:
    """Return a duration of compose, such as 30s."""
    return float(text.removesuffix("s"))


@pytest.mark.parametrize("simulated", [False, True])
def test_what_it_needs_can_be_prepared(tmp_path: Path, *, simulated: bool) -> None:
    """From what the repository holds, and again over what is there; accounts are to be added."""
    home = tmp_path / "deploy"
    prepare = [sys.executable, str(TOP / "ops" / "prepare.py"), "--folder", str(home)]
    prepare += ["--env-file", str(tmp_path / ".env"), *(["--simulator"] if simulated else [])]
    for _ in range(2):
        made = subprocess.run(prepare, capture_output=True, text=True, check=False)
        assert (made.returncode, made.stderr) == (0, "")
        with (tmp_path / ".env").open("a") as env:
            env.write("REDIS_MAXMEMORY=1gb\n")
    lines = (tmp_path / ".env").read_text().splitlines()
    assert "REDIS_MAXMEMORY=1gb" in lines, "what somebody has set there stays"
    assert len({line.partition("=")[0] for line in lines}) == len(lines) - 1
    assert {path.name for path in (home / "secrets").iterdir()} >= set(COMPOSE["secrets"])
    accounts = (home / "secrets" / "worker.toml").read_text()
    filled = re.sub(r"^# (?=\[|\w+ +=)", "", accounts, flags=re.MULTILINE)
    assert set(tomllib.loads(filled)["accounts"]) >= {"bu", "kr", "ix"}
    assert Settings(**tomllib.loads(filled)).accounts
    assert simulated == (filled == accounts)


def test_file_is_a_compose_file() -> None:
    """It fits the schema of the Compose Specification."""
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []


def test_services_are_these() -> None:
    """The simulator starts only when asked for."""
    names = "alertmanager beat flower grafana prometheus redis simulator web worker"
    assert sorted(SERVICES) == names.split()
    assert {name for name, table in SERVICES.items() if "profiles" in table} == {"simulator"}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_service_is_bounded_hardened_and_restarted(service: str) -> None:
    """No service may take the host with it, gain rights, or stay down."""
    table = SERVICES[service]
    assert table["restart"] in ("always", "unless-stopped")
    assert table["read_only"] is True
    assert table["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in table["security_opt"]
    assert table["user"] == "1000:1000"
    limits = table["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= set(limits)
    assert not table["image"].endswith(":latest")
    assert ":" in table["image"]
    health = table["healthcheck"]
    assert health["test"][0] in ("CMD", "CMD-SHELL")
    assert seconds(health["timeout"]) <= seconds(health["interval"])
    for port in table.get("ports", []):
        assert port.startswith("127.0.0.1:"), f"{port} is open to the network"


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_secrets_are_files_that_one_service_sees(service: str) -> None:
    """No variable holds a secret; what a service is to read, it is given."""
    table = SERVICES[service]
    given = {there for _, there in mounts(COMPOSE, service)}
    environment = table.get("environment", {})
    for name, value in environment.items():
        assert name.endswith(("_FILE", "__FILE")) or not re.search("PASS|SECRET|AUTH$", name)
        assert "@" not in str(value), f"{name} may hold a password"
        if str(value).startswith(SECRETS):
            assert value in given, f"{name}: {value} is no secret of {service}"
    named = {f"{SECRETS}/{name}" for name in table.get("secrets", [])}
    told = json.dumps([environment, table.get("command"), table["healthcheck"]])
    for path in named:
        assert path in told, f"{service} is given {path} and never reads it"


def test_workers_can_be_many() -> None:
    """Nothing in the service exists once a host."""
    worker = SERVICES["worker"]
    assert "container_name" not in worker
    assert "ports" not in worker


def test_worker_is_given_the_time_that_it_needs_to_stop() -> None:
    """Killed within its bound, it would leave requests whose outcome is unknown."""
    grace_ms = 1_000 * seconds(SERVICES["worker"]["stop_grace_period"])
    assert grace_ms >= 2 * Engine().shutdown_ms


def test_only_workers_see_the_keys() -> None:
    """The accounts' secrets reach nothing else."""
    seeing = [name for name, table in SERVICES.items() if "worker.toml" in table.get("secrets", [])]
    assert seeing == ["worker"]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_files_of_the_repository_are_there(service: str) -> None:
    """What is mounted from it exists."""
    for here, _ in mounts(COMPOSE, service):
        if here.is_relative_to(TOP / "ops"):
            assert here.exists()


def test_alertmanager_takes_its_routes() -> None:
    """As its own checker reads them; every alert has a receiver."""
    tool = [str(TOP / "ops" / "debian-tool"), "prometheus-alertmanager", "amtool"]
    found = subprocess.run(tool, capture_output=True, text=True, check=False, timeout=90)
    if found.returncode:
        pytest.skip(found.stderr.strip())
    routes = TOP / "ops" / "compose" / "alertmanager.yml"
    command = [found.stdout.strip(), "check-config", str(routes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_prometheus_sends_to_alertmanager() -> None:
    """By the name of its service and its port."""
    prometheus = yaml.safe_load((TOP / "ops" / "compose" / "prometheus.yml").read_text())
    ((group,),) = [each["static_configs"] for each in prometheus["alerting"]["alertmanagers"]]
    (listens,) = [
        each for each in SERVICES["alertmanager"]["command"] if "listen-address=0" in each
    ]
    assert group["targets"] == [f"alertmanager:{listens.rpartition(':')[2]}"]
    grafana = SERVICES["grafana"]["environment"]["ALERTMANAGER_URL"]
    assert grafana == f"http://{group['targets'][0]}"


def test_redis_is_durable() -> None:
    """The configuration that the service starts with keeps what was accepted."""
    ((config, _),) = [it for it in mounts(COMPOSE, "redis") if it[0].name == "redis.conf"]
    text = config.read_text()
    assert re.search(r"^appendonly yes$", text, re.MULTILINE)
    assert re.search(r"^maxmemory-policy noeviction$", text, re.MULTILINE)


def test_grafana_knows_where_its_dashboards_are() -> None:
    """Each variable of its provisioning is set, and leads to a mount or a service."""
    environment = SERVICES["grafana"]["environment"]
    text = "".join(
        path.read_text() for path in (TOP / "ops" / "grafana" / "provisioning").rglob("*.y*ml")
    )
    asked = set(re.findall(r"\$\{(\w+)\}", text))
    assert asked <= set(environment)
    seen = {there: here for here, there in mounts(COMPOSE, "grafana")}
    assert list(seen[environment["DASHBOARDS"]].glob("*.json"))
    assert "/etc/grafana/provisioning" in seen
    host, port = environment["PROMETHEUS_URL"].removeprefix("http://").split(":")
    assert f"--web.listen-address=0.0.0.0:{port}" in SERVICES[host]["command"]


def test_simulated_accounts_are_those_of_the_simulator() -> None:
    """The settings that come along open the simulator's doors."""
    with Simulator() as simulator:
        mine = simulator.base_url()
        text = settings_text(
            open_accounts(simulator),
            reachable=lambda url: url.replace(mine, f"http://127.0.0.1:{SIMULATOR_PORT}"),
        )
    kept = (TOP / "ops" / "compose" / "simulated.toml").read_text()
    assert kept.partition("\n\n")[2].strip() == text.strip()
    assert str(SIMULATOR_PORT) in SERVICES["simulator"]["command"]


def test_dockerfile_is_sound() -> None:
    """The linter finds nothing."""
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, image.FILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_dockerfile_copies_what_is_there_and_let_in() -> None:
    """Every source exists, and .dockerignore lets it through."""
    ignored = (TOP / ".dockerignore").read_text().splitlines()
    sources = [source for *sources, _ in image.copied() for source in sources]
    assert sources
    for source in sources:
        assert (TOP / source).exists(), source
        assert f"!{source}" in ignored, source
    assert "*" in ignored


def test_image_runs_unprivileged_and_starts_a_worker() -> None:
    """By number, so that Kubernetes sees that it is not root."""
    users = [rest for word, rest in image.steps() if word == "USER"]
    assert users == ["10001:10001"]
    assert image.entry() == SERVICES["worker"]["command"]


@pytest.mark.parametrize("service", OURS)
def test_our_services_are_built_from_the_dockerfile(service: str) -> None:
    """One image for all of them."""
    assert SERVICES[service]["build"] == {"context": ".", "dockerfile": "ops/Dockerfile"}
    assert SERVICES[service]["image"] == SERVICES["worker"]["image"]
