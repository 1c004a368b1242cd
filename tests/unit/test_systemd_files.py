"""ops/systemd as written: what systemd itself says of it, and what must hold."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.systemd import read, template
from worker.config.settings import Engine

SERVICES = ("cancel-worker@worker.service", "cancel-worker@beat.service")
FURTHER = ("cancel-worker-flower.service", "cancel-worker-web.service")
UNITS = (*SERVICES, *FURTHER, "cancel-worker.target")
EXPOSURE_MAX = 15
"""Tenths, of 100; systemd calls up to 20 fine. What is left is the network."""
SYSTEMD = shutil.which("systemd-analyze") or ""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The units as they would be installed, with a program where theirs is."""
    program = tmp_path / "celery"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    for unit in UNITS:
        text = re.sub(r"/opt/cancel-worker/bin/\S+", str(program), template(unit).read_text())
        (tmp_path / unit).write_text(text)
    return tmp_path


@pytest.mark.skipif(not SYSTEMD, reason="systemd-analyze is not installed")
def test_systemd_takes_every_unit(host: Path) -> None:
    """No unknown key, no bad value, no unit that is not there."""
    done = subprocess.run(
        [SYSTEMD, "verify", "--man=no", *(f"./{unit}" for unit in UNITS)],
        cwd=host,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not SYSTEMD, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", [*SERVICES, *FURTHER])
def test_service_is_hardened(host: Path, unit: str) -> None:
    """Little is left that it could do to the host."""
    done = subprocess.run(
        [
            SYSTEMD,
            "security",
            "--offline=yes",
            f"--threshold={EXPOSURE_MAX}",
            f"./{unit}",
        ],
        cwd=host,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1_000:]


@pytest.mark.parametrize("unit", [*SERVICES, *FURTHER])
def test_service_is_kept_alive(unit: str) -> None:
    """Whatever it dies of but wrong settings."""
    service = read(unit)["Service"]
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == "2"
    assert read(unit)["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["DynamicUser"] == "yes"
    assert service["ProtectSystem"] == "strict"


@pytest.mark.parametrize("unit", SERVICES)
def test_service_is_given_the_time_that_it_needs_to_stop(unit: str) -> None:
    """Killed within its bound, it would leave requests whose outcome is unknown."""
    assert 1_000 * int(read(unit)["Service"]["TimeoutStopSec"]) >= 2 * Engine().shutdown_ms


def test_target_wants_worker_and_beat() -> None:
    """One name starts and stops all of it."""
    assert read("cancel-worker.target")["Unit"]["Wants"].split() == list(SERVICES)
    for unit in SERVICES:
        assert read(unit)["Unit"]["PartOf"] == "cancel-worker.target"
        assert read(unit)["Install"]["WantedBy"] == "cancel-worker.target"
