"""Flower as a process, and its pages over HTTP."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.polling import eventually
from worker.store.embedded import own_port

LOGIN = "desk:flower-password-0123"


class FlowerProcess:
    """`celery -A worker.celery_app flower`, on a settings file and a login file."""

    def __init__(self, config: Path, folder: Path, *options: str) -> None:
        self.port = own_port()
        self.log = folder / "flower.log"
        login = folder / "flower_login"
        login.write_text(f"{LOGIN}\n")
        command = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "flower"]
        environment = {**os.environ, "WORKER_CONFIG": str(config)}
        environment["FLOWER_BASIC_AUTH_FILE"] = str(login)
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, f"--port={self.port}", *options], env=environment, stdout=out, stderr=out
            )

    def url(self, path: str, *, login: str = "") -> str:
        """Return a page's address."""
        return f"http://{login}{'@' if login else ''}127.0.0.1:{self.port}{path}"

    def ask(self, path: str, *, login: str = LOGIN, method: str = "GET") -> tuple[int, str]:
        """Return status and text of a page; 0 while nothing answers."""
        request = urllib.request.Request(self.url(path), method=method)  # noqa: S310  loopback
        if login:
            request.add_header(
                "Authorization", f"Basic {base64.b64encode(login.encode()).decode()}"
            )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  loopback
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def json(self, path: str) -> Any:
        """Return what the API answers."""
        status, text = self.ask(path)
        assert status == 200, text
        return json.loads(text)

    def wait_ready(self) -> None:
        """Wait until it serves."""

        def serves() -> bool:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            return self.ask("/healthcheck")[0] == 200

        eventually(serves, within_ms=30_000, what="Flower serves")

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
