"""`simulator` as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from worker.cli import main
from worker.cli.commands.simulator import reachable
from worker.simulator import SimulatorClient


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run it; give the process and what it prints at first."""
    process = subprocess.Popen(
        [sys.executable, "-m", "worker", "simulator", *options],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        try:
            text = ""
            while not text.endswith("\n\n\n") and (line := process.stdout.readline()):
                text += line
                if line.startswith("memo"):
                    break
            yield process, text
        finally:
            process.kill()


def test_what_it_prints_is_a_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The keys in it are registered, and Ctrl-C is a clean end."""
    with running(tmp_path, "--seed", "3") as (process, text):
        path = tmp_path / "worker.toml"
        path.write_text(text)
        path.chmod(0o600)
        (url,) = re.findall(r"POST (\S+)/_sim/", text)
        client = SimulatorClient(url)
        for exchange, key in re.findall(r'exchange   = "(.*)"\n.*\napi_key    = "(.*)"', text):
            assert client.place(exchange, key)
        for name in [name for name in os.environ if name.startswith("WORKER_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("WORKER_CONFIG", str(path))
        monkeypatch.setenv("WORKER_REDIS_URL", "redis://127.0.0.1:1/0")
        assert main(["check"]) == 1  # no Redis there
        out = capsys.readouterr().out
        assert all(f"ok    accounts.{alias}" in out for alias in ("ev", "ix", "bm"))
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    """Exit code 1."""
    with running(tmp_path) as (_, text):
        (port,) = re.findall(r"POST http://127.0.0.1:(\d+)/_sim/", text)
        with running(tmp_path, "--port", port) as (process, told):
            assert process.wait(10) == 1
            assert told == ""
            assert process.stderr is not None
            assert f"cannot listen on 127.0.0.1:{port}" in process.stderr.read()


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://0.0.0.0:8400/x", "http://127.0.0.1:8400/x"),
        ("http://[::]:8400", "http://[::1]:8400"),
        ("http://127.0.0.1:8400", "http://127.0.0.1:8400"),
    ],
)
def test_a_server_on_every_address_is_reached_by_loopback(url: str, wanted: str) -> None:
    """The settings refuse plain http to any other host."""
    assert reachable(url) == wanted
