"""`status` and `check` on a real Redis."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.support.shell import Run, Told
from tests.support.world import KEYS, World
from worker import clock
from worker.errors import StoreUnavailable
from worker.store.embedded import EmbeddedRedis
from worker.store.ledger import Ledger


@pytest.fixture
def server(redis_server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """The Redis, to be set up badly for a test."""
    client = redis.Redis(port=redis_server.port)
    yield client
    client.config_set("appendonly", "yes")
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "0")
    client.close()


def document(told: Told) -> Any:
    """Return the one JSON document of an output that is nothing else."""
    assert told[2] == ""
    return json.loads(told[1])


def found(told: Told) -> dict[str, tuple[str, str]]:
    """Return level and fix of each subject that `check --json` looked at."""
    return {row["subject"]: (row["level"], row["mend"]) for row in document(told)["findings"]}


def test_status_shows_live_workers_and_pending_jobs(world: World, run: Run) -> None:
    """Workers without a sign of life for a while are not alive."""
    told = document(run("status", "--json"))
    assert (told["workers"], told["lanes"], told["dead"]) == ([], [], 0)
    assert told["redis"]["appendonly"] is True
    assert told["redis"]["maxmemory_policy"] == "noeviction"

    ledger, producer = world.ledger(), world.producer()
    producer.cancel_many("ev", ["a1", "a2"])
    producer.cancel("ix", "7", pair="btc_idr", side="buy")
    ledger.bury(reason="not a task", raw="x")
    ledger.heartbeat("host:1:aa", ttl_ms=60_000)
    ours = Ledger(world.store(), digest="ours")
    ours.register([("ev", "everstrike", 0)])
    ours.heartbeat("host:1:aa", ttl_ms=60_000)
    store = world.store()
    store.client.zadd(store.key("workers"), {"host:2:bb": ledger.now_ms() - 20_000})

    told = document(run("status", "--json"))
    assert [worker["name"] for worker in told["workers"]] == ["host:1:aa"]
    assert told["dead"] == 1
    lanes = {(lane["exchange"], lane["account"]): lane for lane in told["lanes"]}
    assert set(lanes) == {("everstrike", "ev"), ("indodax", "ix")}
    assert (lanes["everstrike", "ev"]["pending"], lanes["everstrike", "ev"]["due"]) == (2, 2)
    assert 0 <= lanes["indodax", "ix"]["oldest_due_age_ms"] < 60_000
    assert (lanes["everstrike", "ev"]["served"], lanes["indodax", "ix"]["served"]) == (True, False)

    code, out, err = run("status")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["workers", "1", "alive"] in lines
    assert ["pending", "3"] in lines
    assert ["dead", "1"] in lines
    assert ["everstrike", "ev", "2", "2"] in [line[:4] for line in lines]


def test_status_shows_accounts_without_jobs(world: World, run: Run) -> None:
    """Whether a worker would take a switch's orders off is to be seen before it trips."""
    worker = Ledger(world.store(), digest="ours")
    worker.register([("ev", "everstrike", 0)])

    def told() -> tuple[str, int, bool]:
        (lane,) = document(run("status", "--json"))["lanes"]
        return lane["account"], lane["pending"], lane["served"]

    assert told() == ("ev", 0, False)
    worker.heartbeat("host:1:aa", ttl_ms=60_000)
    assert told() == ("ev", 0, True)


def test_watching_continues_while_redis_is_down(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until Ctrl-C, which is exit code 0."""
    world.producer().cancel("ev", "a1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    looks = 0

    def next_look(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            monkeypatch.setattr("worker.store.connection.Store.shared_ms", away)
        if looks == 2:
            raise KeyboardInterrupt

    def away(_: object) -> None:
        raise StoreUnavailable("Redis did not answer (ConnectionError)")

    monkeypatch.setattr(clock, "sleep_ms", next_look)
    code, out, _ = run("status", "--watch")
    assert (code, looks) == (0, 2)
    assert "everstrike" in out
    assert "Redis did not answer (ConnectionError) at 127.0.0.1:" in out


def test_check_finds_all_well(world: World, run: Run) -> None:
    """Every line ok, exit code 0, and no secret shown; without a worker one is missed."""
    assert found(run("check", "--json"))["workers"][0] == "warn"
    world.ledger().heartbeat("host:1:aa", ttl_ms=600_000)
    told = run("check", "--json")
    assert told[0] == 0
    assert document(told)["ok"] is True
    others = {name: it for name, it in found(told).items() if not name.endswith(".exchange")}
    assert {level for level, _ in others.values()} == {"ok"}
    code, out, _ = run("check")
    assert code == 0
    for alias in KEYS:
        assert f"accounts.{alias}" in out
    assert world.redis_url.rpartition("/")[0].removeprefix("redis://") in out


def test_check_finds_a_redis_that_would_lose_jobs(run: Run, server: redis.Redis) -> None:
    """With the commands that fix it."""
    server.config_set("appendonly", "no")
    server.config_set("maxmemory-policy", "allkeys-lru")
    told = run("check", "--json")
    assert told[0] == 1
    levels = found(told)
    assert levels["redis appendonly"][0] == "fail"
    assert "CONFIG SET appendonly yes" in levels["redis appendonly"][1]
    assert levels["redis maxmemory-policy"][0] == "warn"
    server.config_set("maxmemory", "100mb")
    assert found(run("check", "--json"))["redis maxmemory-policy"][0] == "fail"


@pytest.mark.parametrize(
    ("ahead_ms", "level", "code"),
    [(0, "ok", 0), (2_000, "warn", 0), (-2_000, "warn", 0), (-60_000, "fail", 1)],
)
def test_check_finds_a_clock_that_is_off(
    run: Run, monkeypatch: pytest.MonkeyPatch, ahead_ms: int, level: str, code: int
) -> None:
    """Exchanges refuse timestamps that are."""
    now_ms = clock.now_ms
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms() + ahead_ms)
    told = run("check", "--json")
    assert told[0] == code
    assert found(told)["clock"][0] == level


def test_check_finds_a_password_that_is_wrong(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis answers, and refuses."""
    monkeypatch.setenv("WORKER_REDIS_URL", world.redis_url.replace("//", "//:planted@"))
    told = run("check")
    assert told[0] == 1
    assert "planted" not in told[1]
    assert "Redis refused" in told[1] or "Redis did not answer" in told[1]
