"""/metrics and /healthz, of real processes and of broken ones."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import get, served_at
from tests.support.polling import eventually
from tests.support.world import SECRETS, World
from worker.dispatch.dispatcher import Dispatcher
from worker.factory import build_dispatcher, build_sessions
from worker.gateway.budgets import budgets_of
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis, own_port
from worker.telemetry import liveness
from worker.telemetry.health import Monitor, ports_of
from worker.telemetry.health.reading import Watch
from worker.telemetry.health.server import Page, Server, open_server


@contextlib.contextmanager
def watched(world: World) -> Iterator[tuple[Dispatcher, Monitor, str]]:
    """Run an engine of this process, and serve what it shows."""
    settings = world.settings()
    engine = build_dispatcher(settings)
    watch = Watch(world.store(), budgets_of(build_sessions(settings).values()))
    monitor = Monitor("worker", engine.liveness, watch)
    monitor.serve("127.0.0.1", [0])
    assert monitor.server is not None
    try:
        yield engine, monitor, monitor.server.url
    finally:
        engine.stop()
        monitor.stop()


def health(url: str, path: str = "/healthz") -> tuple[int, dict[str, object]]:
    """Return status and document of a probe."""
    status, body, headers = get(url, path)
    assert headers["content-type"] == "application/json"
    return status, json.loads(body)


def ready_at(url: str) -> dict[str, object]:
    """Wait until a process is ready; return its answer."""

    def told() -> dict[str, object]:
        status, document = health(url)
        return document if status == 200 else {}

    return eventually(told, within_ms=60_000, what="ready")


def test_a_worker_shows_what_it_does(world: World) -> None:
    """A cancel is counted where it belongs, and the probes count what there is."""
    world.tables["metrics"] = {"port": own_port(), "beat_port": own_port()}
    worker = world.worker()
    url = served_at(worker)
    assert f":{world.tables['metrics']['port']}/" in url
    producer = world.producer()
    (order,) = world.place("ix", pair="btc_idr", side="buy")
    producer.cancel("ix", order, pair="btc_idr", side="buy").wait(timeout_ms=10_000)
    producer.arm("ev", order_ids=["tracked-1"], timeout_ms=600_000)
    world.ledger().bury(reason="not a message", raw="x")

    lines = eventually(
        lambda: [
            line
            for line in get(url, "/metrics")[1].splitlines()
            if 'attempts_total{exchange="indodax",outcome="CANCELED"} 1.0' in line
        ],
        what="the attempt counted",
    )
    assert len(lines) == 1
    status, text, headers = get(url, "/metrics")
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    for line in (
        'cancel_worker_send_delay_seconds_count{exchange="indodax"} 1.0',
        'cancel_worker_proof_delay_seconds_count{exchange="indodax"} 1.0',
        'cancel_worker_switches{account="ev",exchange="everstrike",state="armed"} 1.0',
        "cancel_worker_redis_up 1.0",
        "cancel_worker_redis_appendonly 1.0",
        "cancel_worker_workers 1.0",
        "cancel_worker_dead_letters 1.0",
    ):
        assert line in text.splitlines()

    ready = ready_at(url)
    assert ready["faults"] == []
    assert (ready["role"], ready["workers"], ready["dead_letters"]) == ("worker", 1, 1)
    assert health(url, "/healthz/ready")[0] == health(url, "/healthz/live")[0] == 200

    for secret in SECRETS:
        for shown_text in (text, json.dumps(ready)):
            assert secret not in shown_text

    assert get(url, "/nothing")[0] == 404
    assert get(url)[0] == 404, "the page is that of another process"
    assert get(url, "/metrics?paused=1")[0] == 200
    assert get(url, "/metrics", method="HEAD")[:2] == (200, "")
    assert get(url, "/metrics", method="POST")[0] == 501
    assert "default-src 'none'" in get(url, "/metrics")[2]["content-security-policy"]
    assert worker.stop() == 0


def test_redis_down_is_reported_and_ends_nothing(own_redis: EmbeddedRedis, tmp_path: Path) -> None:
    """A scrape shows it; the process is live, so that it is not restarted, and not ready."""
    with Simulator(seed=7) as sim:
        world = World(sim, own_redis.url, tmp_path)
        with watched(world) as (engine, _, url):
            assert health(url)[1]["faults"] == ["not started yet"]
            assert health(url, "/healthz/live")[0] == 200
            engine.start()
            eventually(lambda: health(url)[0] == 200, what="ready")
            assert own_redis.process is not None
            own_redis.process.kill()
            own_redis.process.wait()
            eventually(lambda: health(url)[0] == 503, what="not ready")
            told = health(url)[1]
            assert told["redis"] == {
                "up": False,
                "error": "Redis did not answer: port refused, no server listens",
            }
            status, text, _ = get(url, "/metrics")
            assert status == 200
            assert "cancel_worker_redis_up 0.0" in text
            assert "cancel_worker_workers" not in text
            assert "cancel_worker_attempts_total" in text
            assert health(url, "/healthz/live")[0] == 200
            own_redis.start()
            eventually(lambda: health(url)[0] == 200, what="ready again")


def test_a_process_that_hangs_is_not_live(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sweep no longer runs; once it does, all is well again."""
    held, release = threading.Event(), threading.Event()
    with watched(world) as (engine, _, url):
        engine.start()
        eventually(lambda: health(url)[0] == 200, what="ready")
        look = engine._sweep._poll  # noqa: SLF001  where a deadlock would be

        def hang() -> float:
            held.set()
            release.wait()
            return look()

        monkeypatch.setattr(engine._sweep, "_poll", hang)  # noqa: SLF001  same
        assert held.wait(10)
        assert health(url, "/healthz/live")[0] == 200
        monkeypatch.setattr(liveness, "LIVE_MS", 50)
        monkeypatch.setattr(liveness, "READY_MS", 50)
        eventually(lambda: health(url, "/healthz/live")[0] == 503, what="not live")
        status, told = health(url)
        assert (status, told["live"]) == (503, False)
        assert "its loop has made no progress for" in str(told["faults"])
        monkeypatch.undo()
        release.set()
        eventually(lambda: health(url, "/healthz/live")[0] == 200, what="live again")
        engine.stop()
        assert health(url)[1]["faults"] == ["stopping"]
        assert health(url, "/healthz/live")[0] == 200


def test_a_beat_shows_itself_too(world: World) -> None:
    """Ready while it stands by or ticks; the ticks that workers run are seen."""
    world.tables["metrics"] = {"port": 0, "beat_port": own_port()}
    beat = world.beat()
    url = served_at(beat)
    ready = ready_at(url)
    assert (ready["role"], ready["workers"]) == ("beat", 0)
    assert health(url, "/healthz/live")[0] == 200
    worker = world.worker()
    eventually(
        lambda: "cancel_worker_celery_beat_lag_seconds" in get(url, "/metrics")[1],
        what="a tick run",
    )
    assert "cancel_worker_celery_beat_ticking 1.0" in get(url, "/metrics")[1]
    assert "probes at" not in worker.text()
    assert beat.stop() == 0


def test_a_taken_port_costs_no_worker_its_life(caplog: pytest.LogCaptureFixture) -> None:
    """The next free one, named in a line; none, or another's address: a warning."""
    caplog.set_level(logging.INFO)
    pages = {"/": lambda: Page("here")}
    first = open_server("127.0.0.1", [0], pages)
    assert first is not None
    taken, spare = first.port, own_port()
    second = open_server("127.0.0.1", [taken, spare], pages)
    assert second is not None
    assert get(second.url)[:2] == (200, "here")
    assert f"port {taken} is in use" in caplog.messages[-1]
    assert second.url in caplog.messages[-1]
    assert open_server("127.0.0.1", [taken, spare], pages) is None
    assert f"ports [{taken}, {spare}] are in use" in caplog.messages[-1]
    assert open_server("203.0.113.7", [0], pages) is None
    assert "no metrics and no probes: metrics.host 203.0.113.7:" in caplog.messages[-1]
    first.stop()
    second.stop()


def test_ports_are_the_ones_set_and_those_after(world: World) -> None:
    """Never the other's, and none for 0."""
    settings = world.settings(metrics={"port": 9464, "beat_port": 9465})
    assert ports_of(settings, "worker")[:3] == [9464, 9467, 9468]
    assert ports_of(settings, "beat")[:2] == [9465, 9467]
    assert ports_of(world.settings(metrics={"port": 0}), "worker") == []
    assert ports_of(world.settings(metrics={"port": 65_535}), "worker") == [65_535]


def test_a_page_that_cannot_be_made_harms_no_other() -> None:
    """Its error is in the log, and nothing of it in the reply."""

    def broken() -> Page:
        raise RuntimeError("secret detail")

    server = Server("127.0.0.1", 0, {"/": broken, "/well": lambda: Page("here")})
    server.start()
    assert get(server.url)[:2] == (500, "see the log\n")
    assert get(server.url, "/well")[:2] == (200, "here")
    server.stop()


def test_redis_is_not_asked_again_for_each_reader(world: World) -> None:
    """Several who ask at once share a look."""
    watch = Watch(world.store(), budgets_of(build_sessions(world.settings()).values()))
    assert watch.look() is watch.look()
