"""docker-compose.yml without Docker: each service's own command, files and health.

What differs from containers: a service's host name is loopback, its ports are
free ones, and its files are in a folder of its own.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support.polling import eventually
from worker.store.embedded import own_port

TOP = Path(__file__).parents[2]
FILE = TOP / "docker-compose.yml"
SECRETS = "/run/secrets"
HEALTH_MS = 60_000
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?::(-|\?)([^}]*))?\})")


def load(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the compose file as compose reads it with these variables."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if name is None:
            return "$"
        if environment.get(name):
            return environment[name]
        assert kind == "-", f"{name} is not set: {rest}"
        return str(rest)

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: filled(item) for key, item in node.items()}
        if isinstance(node, list):
            return [filled(item) for item in node]
        return _VARIABLE.sub(value, node) if isinstance(node, str) else node

    read: dict[str, Any] = filled(yaml.safe_load(FILE.read_text()))
    return read


def mounts(compose: Mapping[str, Any], service: str) -> list[tuple[Path, str]]:
    """Return the files and folders that a service sees: here, and there."""
    table = compose["services"][service]
    pairs = [volume.split(":")[:2] for volume in table.get("volumes", [])]
    files = {name: compose["secrets"][name]["file"] for name in table.get("secrets", [])}
    pairs += [[here, f"{SECRETS}/{name}"] for name, here in files.items()]
    return [((TOP / here).resolve(), there) for here, there in pairs]


class Stack:
    """Services of the compose file as processes on loopback.

    Args:
        compose: From `load`.
        folder: Where their files and logs go.
        path: Of their programs.
        programs: What the images start where a service's command is arguments alone.
    """

    def __init__(
        self,
        compose: Mapping[str, Any],
        folder: Path,
        *,
        path: Sequence[Path],
        programs: Mapping[str, str],
    ) -> None:
        self._compose = compose
        self._folder = folder
        self._path = ":".join(map(str, path))
        self._programs = programs
        text = FILE.read_text()
        named = set(re.findall(r"127\.0\.0\.1:(\d+)", text)) | set(re.findall(r":(\d{4})\b", text))
        named |= set(re.findall(r"(?:--port=|--port, |--port\n +- )\"?(\d{4})", text))
        self.ports = {port: own_port() for port in sorted(named)}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service: str) -> None:
        """Start a service's command with its environment."""
        table = self._compose["services"][service]
        home = self._home(service)
        home.mkdir(parents=True, exist_ok=True)
        for here, there in mounts(self._compose, service):
            self._bring(service, here, there)
        command = [*self._program(table), *table.get("command", [])]
        with self.log(service).open("ab") as out:
            self.processes[service] = subprocess.Popen(
                [self._here(service, part) for part in command],
                env=self._environment(service),
                cwd=home,
                stdout=out,
                stderr=out,
            )

    def wait_healthy(self, service: str) -> None:
        """Wait until a service's own healthcheck says that it is."""
        kind, *test = self._compose["services"][service]["healthcheck"]["test"]
        command = ["sh", "-c", *test] if kind == "CMD-SHELL" else test
        said = b""

        def healthy() -> bool:
            nonlocal said
            self.check_alive(service)
            done = subprocess.run(
                [self._here(service, part) for part in command],
                env=self._environment(service),
                capture_output=True,
                check=False,
                timeout=30,
            )
            said = done.stdout + done.stderr
            return done.returncode == 0

        try:
            eventually(healthy, within_ms=HEALTH_MS, pause_ms=200, what=f"{service} healthy")
        except AssertionError as error:
            log = self.log(service).read_text()[-2_000:]
            raise AssertionError(f"{error}\n{said.decode()[-500:]}\n{log}") from None

    def check_alive(self, service: str) -> None:
        """Fail with its log if a service has ended."""
        code = self.processes[service].poll()
        assert code is None, (
            f"{service} ended with {code}\n{self.log(service).read_text()[-3_000:]}"
        )

    def stop(self, service: str) -> int:
        """Stop a service within its grace period; return its exit code."""
        process = self.processes.pop(service)
        process.terminate()
        grace = self._compose["services"][service]["stop_grace_period"]
        try:
            return process.wait(float(grace.removesuffix("s")))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def close(self) -> None:
        """Kill what is left."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def log(self, service: str) -> Path:
        """Return where a service's output goes."""
        return self._folder / f"{service}.log"

    def _home(self, service: str) -> Path:
        return self._folder / service

    def _program(self, table: Mapping[str, Any]) -> list[str]:
        image = table["image"].partition(":")[0]
        return [self._programs[image]] if image in self._programs else []

    def _environment(self, service: str) -> dict[str, str]:
        given = self._compose["services"][service].get("environment", {})
        own = {name: self._here(service, str(value)) for name, value in given.items()}
        return {"PATH": self._path, "HOME": str(self._home(service)), **own}

    def _bring(self, service: str, here: Path, there: str) -> None:
        """Put a file or folder where the service looks for it; its data stay where they are."""
        target = self._home(service) / there.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        assert here.exists(), f"{service}: {here} is not there"
        if "data" in here.parts:
            if not target.exists():
                target.symlink_to(here)
            return
        for source in [path for path in (here, *here.rglob("*")) if path.is_file()]:
            copy = target / source.relative_to(here) if here.is_dir() else target
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(self._here(service, source.read_text()))
            copy.chmod(source.stat().st_mode)

    def _here(self, service: str, text: str) -> str:
        """Return a text of the compose file as it must read on this machine."""
        home = str(self._home(service))
        paths = "|".join(re.escape(there) for _, there in mounts(self._compose, service))
        if paths:
            text = re.sub(rf"(?<![\w./])(?:{paths})(?![\w.-])", rf"{home}\g<0>", text)
        names = "|".join(self._compose["services"])
        # Here no DNS shows how many containers a service has.
        text = re.sub(
            rf"dns_sd_configs:|\{{names: \[(?:{names})\], type: A, port: (\d+)[^}}]*\}}",
            lambda match: (
                f'{{targets: ["127.0.0.1:{match[1]}"]}}' if match[1] else "static_configs:"
            ),
            text,
        )
        # A user of a URL may be called like a service, its password begin with a digit.
        text = re.sub(rf"(?<![\w.])(?:{names})(?=:\d+(?![\w@-]))", "127.0.0.1", text)
        text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  the opposite
        ports = "|".join(self.ports)
        return re.sub(
            rf"(?<![\w./])({ports})(?![\w.])", lambda match: str(self.ports[match[1]]), text
        )
