"""Each process logs in as its own user of `ops/redis/users.acl`, with least privilege."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from redis.exceptions import NoPermissionError

from tests.support.flower import FlowerProcess
from tests.support.full_redis import VERSIONS, use_redis
from tests.support.manual_jobs import Hand
from tests.support.polling import eventually
from tests.support.processes import WorkerProcess
from tests.support.sentinels import OPS, Node, redis_node
from tests.support.web_server import serving
from tests.support.world import World
from worker import Outcome, Producer
from worker.celery_app import make_app
from worker.config.settings import Settings
from worker.simulator import Simulator
from worker.store.api_tokens import ApiTokens
from worker.store.ledger import Ledger
from worker.store.opening import build_store
from worker.store.reading import read
from worker.telemetry.health.reading import Watch

DONE_MS = 10_000
REFUSAL = r"(?i)permission|can't run|access at least one of the keys|acl failure"
"""As different releases of Redis put it."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A Redis with the configuration and the users of `ops/redis`."""
    with redis_node(tmp_path / "redis") as made:
        yield made


@pytest.fixture
def world(sim: Simulator, node: Node, tmp_path: Path) -> Iterator[World]:
    """A world whose workers log in as such."""
    made = World(sim, node.url("worker"), tmp_path)
    yield made
    made.close()


def denied(node: Node) -> list[str]:
    """Return what users were refused, as Redis logged it."""
    rows = node.ask("ACL", "LOG")
    entries = [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]
    return [" ".join(entry[name] for name in ("username", "reason", "object")) for entry in entries]


HARMLESS = {
    "sender command client",  # a foreign client's library says its name, or does not
    "flower command client",
    "worker command config",  # `appendfsync` is asked for, and may stay unknown
    "monitor command config",
}


def test_a_cancel_and_a_switch_work_with_least_privilege_users(world: World, node: Node) -> None:
    """No command is refused."""
    world.tables["notify"] = {"urls": ["json://127.0.0.1:9/nobody"]}
    beat = WorkerProcess(
        world.config(),
        world.folder / "beat.log",
        command="beat",
        environment={"WORKER_REDIS_URL": node.url("beat")},
    )
    world.workers.append(beat.start(wait=False))
    world.worker(options=("-E",))
    producer = Producer(world.settings(redis_url=node.url("producer")))

    orders = world.place("ev", 2)
    assert producer.cancel("ev", orders[0]).wait(timeout_ms=DONE_MS).proven
    sender = Celery("sender", broker=node.url("sender"))
    sender.send_task("worker.cancel", kwargs={"account": "ev", "order_id": orders[1]})
    eventually(lambda: world.status("ev", orders[1]) == "canceled", what="the message is done")
    (order,) = world.place("bm")
    assert producer.cancel("bm", order).wait(timeout_ms=DONE_MS).outcome is Outcome.CANCELED
    tripping = {}
    for alias in ("ix", "ev"):
        (order,) = world.place(alias, pair="btc_idr")
        switch = producer.arm(alias, pairs=["btc_idr"], timeout_ms=30_000)
        switch.beat()
        switch.disarm()
        producer.arm(alias, pairs=["btc_idr"], timeout_ms=1_500)
        tripping[alias] = order
    more = iter(world.place("ev", 9))
    events = _events_seen(node, world, lambda: producer.cancel("ev", next(more)))
    assert events >= {"worker-heartbeat", "task-received"}
    _start_flower(node, world)
    for alias, order in tripping.items():
        eventually(functools.partial(_is_off, world, alias, order), what="tripped")

    settings = world.settings(redis_url=node.url("monitor"))
    seen = read(build_store(settings))
    assert seen.workers == 1
    assert seen.redis is not None
    assert seen.redis.appendonly
    assert {lane.served for lane in seen.lanes} == {True}
    assert seen.tick_ago_ms is not None
    assert [job.account for job in Ledger(build_store(settings)).recent(limit=99)].count("bm") == 1
    assert set(denied(node)) <= HARMLESS


def test_web_serves_every_call_with_least_privilege(world: World, node: Node) -> None:
    """No command is refused; tokens are made with the same rights."""
    url = node.url("web")
    hand = Hand(world)
    letters = [hand.dead("d1"), hand.dead("d2")]
    asking = World(world.sim, url, world.folder)
    with serving(asking) as web:
        client = web.client()
        key = {"Idempotency-Key": "once"}
        one = {"account": "ev", "order_id": "a1"}
        job = client.post("/v1/cancels", one, status=202, headers=key)
        whole = {"account": "ev", "hold_ms": 60_000}
        (held,) = client.post("/v1/cancel-all", whole, status=202)["jobs"]
        client.delete(f"/v1/holds/{held['id']}")
        client.post("/v1/panic", status=202)
        call = {"account": "ix", "pairs": ["btc_idr"], "timeout_ms": 60_000}
        made = client.post("/v1/switches", call, status=201)
        client.post(made["beat_url"], status=200)
        path = f"/v1/switches/{made['id']}"
        client.post(f"{path}/beat", status=200)
        client.delete(path)
        orders = {"account": "ev", "order_ids": ["s1"], "timeout_ms": 60_000}
        path = f"/v1/switches/{client.post('/v1/switches', orders, status=201)['id']}"
        client.post(f"{path}/track", {"order_ids": ["s2"]}, status=200)
        client.post(f"{path}/untrack", {"order_ids": ["s2"]}, status=200)
        client.post(f"/v1/dead-letters/{letters[0]}/replay", status=202)
        client.delete(f"/v1/dead-letters/{letters[1]}")
        client.get(f"/v1/jobs/{job['id']}", wait_ms=1)
        for lists in ("jobs", "switches", "dead-letters", "status", "audit"):
            client.get(f"/v1/{lists}")
        tokens = ApiTokens(asking.store())
        assert tokens.revoke(tokens.every()[0].name)
    assert set(denied(node)) <= HARMLESS


@pytest.mark.parametrize("user", ["worker", "beat", "web"])
def test_every_process_shows_health_with_least_privilege(
    world: World, node: Node, user: str
) -> None:
    """It counts dead letters, also without the right to read jobs."""
    store = build_store(world.settings(redis_url=node.url("worker")))
    Ledger(store).bury(reason="no-such-thing", raw="x")
    reading = Watch(build_store(world.settings(redis_url=node.url(user)))).look()
    assert reading.dead == 1
    assert reading.redis is not None


def _is_off(world: World, alias: str, order: str) -> bool:
    return world.status(alias, order) == "canceled"


def _events_seen(node: Node, world: World, cancel: Callable[[], object]) -> set[str]:
    """Return the kinds of events that Flower's user receives, those of a cancel among them."""
    app = make_app(world.settings(redis_url=node.url("flower")))
    assert app.control.ping(timeout=DONE_MS / 1_000, limit=1)
    seen: set[str] = set()

    def note(event: dict[str, Any]) -> None:
        seen.add(event["type"])
        receiver.should_stop = {"worker-heartbeat", "task-received"} <= seen
        if event["type"] == "worker-heartbeat" and not receiver.should_stop:
            cancel()

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": note})
        receiver.capture(limit=None, timeout=DONE_MS / 1_000, wakeup=True)
    return seen


def _start_flower(node: Node, world: World) -> None:
    """Start Flower with its user until it knows the worker; it logs no refusal."""
    folder = world.folder / "flower"
    folder.mkdir()
    flower = FlowerProcess(World(world.sim, node.url("flower"), folder).config(), folder)
    try:
        flower.wait_ready()
        eventually(
            lambda: list(flower.json("/api/workers?refresh=1")),
            within_ms=60_000,
            what="Flower knows the worker",
        )
    finally:
        flower.stop()
    log = flower.log.read_text()
    assert "Visit me" in log
    assert not re.search(REFUSAL, log), log


REFUSED = {
    "producer": (
        "GET cx:token:bm",
        "GET cx:nonce:k",
        "SET cx:nonce:k 1",
        "ZRANGE cx:limit:r 0 -1",
        "SET cx:beat me",
        "RPOP cx:everstrike",
        "LPUSH celery x",
        "HGETALL cx:unacked",
        "DEL cx:lanes",
        "PUBLISH cx:/0.celery.pidbox x",
        "EVAL return(1) 0",
        "INFO",
    ),
    "worker": ("SET other 1", "GET other", "EVAL return(1) 0", "SUBSCRIBE other"),
    "beat": ("GET cx:token:bm", "HGETALL cx:job:1", "LPUSH cx:everstrike x", "RPOP cx:celery"),
    "monitor": (
        "HSET cx:job:1 state done",
        "LPUSH cx:tripped x",
        "DEL cx:job:1",
        "SET cx:beat me",
        "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
        "GET cx:token:bm",
        "HGETALL cx:token:bm",
        "PUBLISH cx:/0.celery.pidbox x",
    ),
    "web": (
        "GET cx:token:bm",
        "GET cx:nonce:k",
        "SET cx:nonce:k 1",
        "ZRANGE cx:limit:r 0 -1",
        "RPOP cx:everstrike",
        "LPUSH celery x",
        "HGETALL cx:unacked",
        "PUBLISH cx:/0.celery.pidbox x",
        "EVAL return(1) 0",
    ),
    "flower": ("HGETALL cx:job:1", "LPUSH cx:everstrike x", "GET cx:token:bm", "RPOP cx:celery"),
    "sender": ("LPUSH cx:everstrike x", "HGETALL cx:job:1", "LPUSH cx:tripped x", "BRPOP celery 1"),
    "replica": ("GET cx:token:bm", "SET cx:beat me"),
    "sentinel": ("GET cx:token:bm", "SET cx:beat me", "CONFIG GET requirepass"),
}
NOBODY = (
    "FLUSHALL",
    "FLUSHDB",
    "CONFIG SET appendonly no",
    "CONFIG GET dir",
    "DEBUG SLEEP 0",
    "KEYS *",
    "SCAN 0",
    "SAVE",
    "SHUTDOWN NOSAVE",
    "MONITOR",
    "ACL LIST",
    "MODULE LIST",
    "REPLICAOF no one",
    "SCRIPT FLUSH",
    "SWAPDB 0 1",
    "RESTORE cx:job:1 0 x",
    "MIGRATE 127.0.0.1 1 cx:job:1 0 1",
)


def test_users_are_refused_commands_outside_their_rights(node: Node) -> None:
    """Every user but the operator is refused what would lose jobs or show secrets."""
    for user, own in REFUSED.items():
        for command in (*own, *NOBODY):
            with pytest.raises(NoPermissionError):
                node.ask(*command.split(), user=user)


def test_a_script_runs_with_the_rights_of_its_caller(node: Node) -> None:
    """A producer cannot reach other keys through scripts."""
    with contextlib.closing(node.client("producer")) as client:
        for body in (
            "return redis.call('GET', 'cx:token:bm')",
            "return redis.call('HGET', 'cx:nonce:k', 'f')",
            "return redis.call('FLUSHALL')",
        ):
            digest: Any = client.script_load(body)
            with pytest.raises(redis.ResponseError, match=REFUSAL):
                client.evalsha(digest, 0)


def test_the_default_user_is_off(node: Node) -> None:
    """Without a password no command is accepted."""
    with (
        contextlib.closing(node.client("")) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


@pytest.mark.parametrize("version", VERSIONS)
def test_what_scripts_wrote_is_there_after_a_restart(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis 7 loads its append-only file with the rights of the default user, which is off."""
    with monkeypatch.context() as patched:
        use_redis(version, patched)
        with redis_node(tmp_path / "redis") as node:
            settings = Settings(redis_url=node.url("worker"))
            job_id = Ledger(build_store(settings)).bury(reason="kept", raw="x")
            node.kill()
            node.start()
            letter = Ledger(build_store(settings)).get(job_id)
            assert letter is not None
            assert letter.detail == "kept"
            assert node.ask("ZCARD", "cx:dead") == 1


def test_redis_does_not_start_with_the_placeholder_passwords(tmp_path: Path) -> None:
    """Each password must be replaced first."""
    server = redis_node(tmp_path / "redis")
    (server.folder / "users.acl").write_text((OPS / "users.acl").read_text())
    with pytest.raises(AssertionError, match="ACL"):
        server.start()
