"""Flower as shipped: what it shows, what it hides, and that it changes nothing."""

from __future__ import annotations

import html
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.browser import Browser
from tests.support.flower import LOGIN, FlowerProcess
from tests.support.polling import eventually
from tests.support.world import KEYS, World
from worker.simulator import Simulator
from worker.store.embedded import EmbeddedRedis

REDIS_PASSWORD = "redis-password-0123456789"
PLANTED = KEYS["ev"][2]
PAGES = ("/workers", "/tasks", "/broker", "/api/workers?refresh=1", "/api/tasks", "/metrics")


@dataclass
class Scene:
    """A worker, Flower, a cancel that ran and a message that holds a secret."""

    flower: FlowerProcess
    worker: str
    order_id: str
    tasks: dict[str, Any]

    def task(self, text: str) -> str:
        """Return the id of the task whose arguments hold `text`."""
        return next(uuid for uuid, task in self.tasks.items() if text in task["kwargs"])


@pytest.fixture
def scene(own_redis: EmbeddedRedis, sim: Simulator, tmp_path: Path) -> Iterator[Scene]:
    """Everything that there is to look at."""
    redis.Redis(port=own_redis.port).config_set("requirepass", REDIS_PASSWORD)
    world = World(sim, f"redis://:{REDIS_PASSWORD}@127.0.0.1:{own_redis.port}/0", tmp_path)
    flower = FlowerProcess(world.config(), tmp_path)
    try:
        world.worker()
        flower.wait_ready()
        yield play(world, flower)
    finally:
        world.close()
        flower.stop()


def test_flower_as_shipped(scene: Scene, tmp_path: Path) -> None:
    """It shows cancels, hides secrets, asks for the login and changes nothing."""
    browser_shows_a_cancel(scene, Browser(tmp_path / "profile"))
    no_page_shows_a_secret(scene)
    no_page_opens_without_the_login(scene)
    nothing_can_be_changed(scene)


def play(world: World, flower: FlowerProcess) -> Scene:
    """Cancel until Flower has seen it, then send what no client should."""
    producer = world.producer()

    def seen() -> str:
        (order_id,) = world.place("ev")
        assert producer.cancel("ev", order_id).wait(timeout_ms=10_000).proven
        shown = flower.json("/api/tasks").values()
        return order_id if any(order_id in str(task["kwargs"]) for task in shown) else ""

    order_id = eventually(seen, within_ms=30_000, what="Flower has the worker send events")
    from worker.celery_app import make_app  # noqa: PLC0415  it reads the settings at import

    app = make_app(world.settings())
    wrong = {"account": "ev", "order_id": "sent-with-a-secret", "api_secret": PLANTED}
    app.send_task("worker.cancel", kwargs=wrong)
    app.close()

    def done() -> dict[str, Any]:
        tasks: dict[str, Any] = flower.json("/api/tasks")
        told = str([task["kwargs"] for task in tasks.values()])
        ended = all(task["state"] == "SUCCESS" for task in tasks.values())
        return tasks if ended and "sent-with-a-secret" in told else {}

    tasks = eventually(done, within_ms=30_000, what="Flower shows the wrong message")
    (worker,) = eventually(
        lambda: list(flower.json("/api/workers?refresh=1")), what="Flower knows the worker"
    )
    return Scene(flower, worker, order_id, tasks)


def browser_shows_a_cancel(scene: Scene, browser: Browser) -> None:
    """The table of tasks, filled in by the page's own scripts, and one task's page."""
    table = browser.dom(scene.flower.url("/tasks", login=LOGIN))
    assert scene.order_id in table
    assert "&#39;account&#39;: &#39;ev&#39;" in table or "'account': 'ev'" in table
    page = browser.dom(scene.flower.url(f"/task/{scene.task(scene.order_id)}", login=LOGIN))
    assert scene.order_id in page
    assert "SUCCESS" in page
    workers = browser.dom(scene.flower.url("/workers", login=LOGIN))
    assert scene.worker in workers
    assert PLANTED not in table + page + workers


def no_page_shows_a_secret(scene: Scene) -> None:
    """Neither keys nor Redis's password, even where a message or the settings hold them."""
    wrong = scene.task("sent-with-a-secret")
    pages = [*PAGES, f"/worker/{scene.worker}", f"/task/{wrong}", f"/api/task/info/{wrong}"]
    secrets = [REDIS_PASSWORD, *(text for key in KEYS.values() for text in key[1:] if text)]
    for path in pages:
        status, text = scene.flower.ask(path)
        assert status == 200, f"{path}: {status}"
        for secret in secrets:
            assert secret not in html.unescape(text), f"{path} shows {secret}"
    assert "sent-with-a-secret" in scene.flower.ask(f"/task/{wrong}")[1]


def no_page_opens_without_the_login(scene: Scene) -> None:
    """Pages and API alike; what is open shows no task."""
    paths = ["/", "/workers", "/tasks", "/broker", "/api/tasks", "/api/workers"]
    for login in ("", "desk:wrong", f"{LOGIN}x"):
        for path in [*paths, f"/task/{scene.task(scene.order_id)}"]:
            assert scene.flower.ask(path, login=login)[0] == 401, path
    for path in ("/healthcheck", "/metrics"):
        status, text = scene.flower.ask(path, login="")
        assert status == 200
        assert scene.order_id not in text


def nothing_can_be_changed(scene: Scene) -> None:
    """A client with the login may look."""
    uuid = scene.task(scene.order_id)
    for path in (
        f"/api/worker/shutdown/{scene.worker}",
        f"/api/worker/pool/grow/{scene.worker}?n=1",
        f"/api/worker/queue/cancel-consumer/{scene.worker}?queue=celery",
        f"/api/task/revoke/{uuid}",
        "/api/task/send-task/worker.cancel",
        "/api/task/async-apply/worker.cancel",
    ):
        assert scene.flower.ask(path, method="POST")[0] == 403, path


REFUSED: list[tuple[dict[str, str], tuple[str, ...], str]] = [
    ({}, (), "a login is required"),
    ({}, ("--basic_auth=desk:short",), "8 characters or more"),
]


def test_it_does_not_start_open(world: World) -> None:
    """One line that names the fix, exit code 2."""
    base = {**os.environ, "WORKER_CONFIG": str(world.config())}
    command = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "flower"]
    started = [
        subprocess.Popen(
            [*command, *options], env={**base, **more}, stderr=subprocess.PIPE, text=True
        )
        for more, options, _ in REFUSED
    ]
    for process, (_, _, said) in zip(started, REFUSED, strict=True):
        _, told = process.communicate(timeout=60)
        assert process.returncode == 2
        assert said in told
        assert "FLOWER_BASIC_AUTH_FILE" in told
        assert len(told.splitlines()) == 1
