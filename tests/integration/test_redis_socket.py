"""Redis by a Unix socket: store, broker and commands."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from celery import Celery

from tests.support.polling import eventually
from tests.support.shell import run_main
from tests.support.unix_socket_redis import socket_redis
from tests.support.world import World
from worker.client.producer import Producer
from worker.config.settings import Settings
from worker.errors import StoreUnavailable
from worker.simulator import Simulator

PASSWORD = "pass#word/of?redis@0"


def test_worker_producer_and_commands_reach_it(
    tmp_path: Path,
    sim: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a password that is not encoded, in a database of its own."""
    with socket_redis(tmp_path, password=PASSWORD) as path:
        world = World(sim, f"unix://:{PASSWORD}@{path}?db=2", tmp_path)
        try:
            worker = world.worker()
            (order, plain) = world.place("ev", 2)
            assert world.producer().cancel("ev", order).wait(timeout_ms=20_000).proven
            login = quote(PASSWORD, safe="")
            client = Celery("plain", broker=f"redis+socket://:{login}@{path}?virtual_host=2")
            client.send_task("worker.cancel", args=["ev", plain])
            eventually(lambda: world.status("ev", plain) == "canceled", what="plain cancel")
            monkeypatch.setenv("WORKER_CONFIG", str(world.config()))
            _, out, err = run_main(capsys, "check")
            assert f"answers at {path}" in out
            assert PASSWORD not in out + err + worker.text()
            assert worker.stop() == 0
        finally:
            world.close()


def test_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As for a host that does not answer."""
    settings = Settings(
        redis_url=f"unix://{tmp_path}/none.sock", accounts={"ev": {"exchange": "everstrike"}}
    )
    with pytest.raises(StoreUnavailable, match="Redis did not answer"):
        Producer(settings).cancel("ev", "a1")
