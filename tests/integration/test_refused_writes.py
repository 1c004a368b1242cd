"""A Redis that answers and takes no new work: `check` and readiness say so, and why."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import redis

from tests.support.full_redis import fill
from worker.cli import main
from worker.config.settings import Settings
from worker.store.embedded import EmbeddedRedis
from worker.store.opening import build_store
from worker.telemetry.health.reading import Watch
from worker.telemetry.health.serving import Monitor
from worker.telemetry.liveness import Liveness


def alone(client: redis.Redis) -> None:
    """Have it want replicas that it has not."""
    client.config_set("min-replicas-to-write", 3)


def read_only(client: redis.Redis) -> None:
    """Make it a replica of a server that does not answer."""
    client.replicaof("127.0.0.1", 1)


WAYS = [(fill, "it is full"), (alone, "NOREPLICAS"), (read_only, "read only replica")]


@pytest.mark.parametrize(("refuse", "reason"), WAYS)
def test_check_and_readiness_fail(
    own_redis: EmbeddedRedis,
    refuse: Callable[[redis.Redis], None],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the reason; before that, both are fine and leave nothing behind."""
    monkeypatch.setenv("WORKER_REDIS_URL", own_redis.url)
    client = redis.Redis(port=own_redis.port)
    settings = Settings()
    liveness = Liveness()
    liveness.moved()
    liveness.answered()

    def writes() -> tuple[str, str]:
        main(["check", "--json"])
        rows = json.loads(capsys.readouterr().out)["findings"]
        (found,) = [row for row in rows if row["subject"] == "redis writes"]
        return found["level"], found["detail"]

    def ready() -> tuple[int, str]:
        page = Monitor("worker", liveness, Watch(build_store(settings))).ready()
        return int(page.status), str(page.body)

    assert writes() == ("ok", "new work is accepted")
    assert ready()[0] == 200
    assert client.keys("cx:job:*") == []
    refuse(client)
    level, detail = writes()
    assert level == "fail"
    assert reason in detail
    assert main(["check"]) == 1
    status, body = ready()
    assert status == 503
    assert reason in body
