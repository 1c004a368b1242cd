"""Celery variables of another program do not change our queues."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import Celery

from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.world import World

NOWHERE = "redis://127.0.0.1:1/0"
CONFIG = """
task_always_eager = True
task_default_queue = "theirs"
task_routes = {"*": {"queue": "theirs"}}
worker_disable_rate_limits = True
broker_url = "redis://127.0.0.1:1/0"
"""
VARIABLES = {
    "broker": {"CELERY_BROKER_URL": NOWHERE, "CELERY_BROKER_READ_URL": NOWHERE},
    "command line's broker": {"BROKER_URL": NOWHERE, "RESULT_BACKEND": NOWHERE},
    "result": {"CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/0"},
    "queues": {"CELERY_WORKER_QUEUES": "theirs", "CELERY_WORKER_Q": "theirs"},
    "module": {"CELERY_CONFIG_MODULE": "celeryconfig", "CONFIG_MODULE": "celeryconfig"},
    "loader": {"CELERY_LOADER": "default", "LOADER": "default"},
    "pool": {"CELERY_WORKER_POOL": "solo", "CELERY_WORKER_EXCLUDE_QUEUES": "celery"},
    "purge": {"CELERY_WORKER_PURGE": "1"},
    "django": {"DJANGO_SETTINGS_MODULE": "nosuch.settings"},
    "old names": {"CELERY_TASK_DEFAULT_QUEUE": "theirs", "CELERY_DEFAULT_QUEUE": "theirs"},
    "root": {"C_FORCE_ROOT": "1", "CELERY_CUSTOM_WORKER_POOL": "no:such"},
}


@pytest.mark.parametrize("case", VARIABLES)
def test_a_worker_ignores_foreign_celery_variables(world: World, tmp_path: Path, case: str) -> None:
    """It reads plain messages and producers' messages from the Redis of its own settings."""
    (tmp_path / "celeryconfig.py").write_text(CONFIG)
    client = Celery("stranger", broker=world.redis_url)
    plain, own = world.place("ev", 2)
    client.send_task("worker.cancel", args=["ev", plain])
    worker = WorkerProcess(
        world.config(),
        tmp_path / "worker.log",
        fresh=True,
        environment={"PYTHONPATH": str(tmp_path), **VARIABLES[case]},
    )
    world.workers.append(worker.start())
    eventually(lambda: world.status("ev", plain) == "canceled")
    assert world.producer().cancel("ev", own).wait(timeout_ms=10_000).proven
    named = [name for name in VARIABLES[case] if name.startswith("CELERY_")]
    assert all(name in worker.text() for name in named)
    assert worker.text().count(": ignored; ") == (1 if "ignored" in worker.text() else 0)
