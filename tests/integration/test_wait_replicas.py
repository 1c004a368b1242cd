"""Waiting for replicas: what the producer returns rests on their replies, and on nothing else."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.sentinels import Node, password, redis_node
from worker import NotReplicated, Producer, StoreUnavailable, Ticket, clock
from worker.cli.check.findings import Finding, Level
from worker.cli.check.redis import check_redis
from worker.config.settings import Settings, load_settings
from worker.errors import SettingsError

ACCOUNTS = {"ev": {"exchange": "everstrike"}}
WITHIN_MS = 1_000


@pytest.fixture
def master(tmp_path: Path) -> Iterator[Node]:
    """A master that takes the replica's login."""
    with redis_node(tmp_path / "master") as node:
        yield node


@pytest.fixture
def replica(master: Node, tmp_path: Path) -> Iterator[Node]:
    """A replica that is in step with the master."""
    login = ("--masteruser", "replica", "--masterauth", password("replica"))
    source = ("--replicaof", "127.0.0.1", str(master.port))
    with redis_node(tmp_path / "replica", *login, *source) as node:
        eventually(lambda: master.ask("WAIT", "1", "100") == 1, what="the replica is in step")
        yield node


def producer_on(master: Node, *, wanted: int = 1) -> Producer:
    """Return a producer that waits for replicas."""
    return Producer(
        Settings(redis_url=master.url("producer"), redis_wait_replicas=wanted, accounts=ACCOUNTS)
    )


def test_with_its_replica_all_is_as_ever(master: Node, replica: Node) -> None:
    """What is confirmed has reached the replica by then."""
    producer = producer_on(master)
    ticket = producer.cancel("ev", "a1")
    assert replica.ask("HGET", f"cx:job:{ticket.id}", "order_id") == "a1"
    switch = producer.arm("ev", order_ids=["a1"], timeout_ms=30_000)
    switch.track("a2")
    assert replica.ask("SCARD", f"cx:switch:{switch.id}:orders") == 2
    switch.disarm()
    assert replica.ask("HGET", f"cx:switch:{switch.id}", "state") == "disarmed"


def test_a_replica_that_hangs_is_reported_every_time(master: Node, replica: Node) -> None:
    """Recorded, reported so, and never taken for replicated by asking again."""
    producer = producer_on(master)
    switch = producer.arm("ev", order_ids=["a1"], timeout_ms=30_000)
    calls: list[Callable[[], object]] = [
        lambda: producer.cancel("ev", "a1"),
        lambda: producer_on(master).cancel("ev", "a1"),
        lambda: producer.arm("ev", order_ids=["b1"], timeout_ms=30_000),
        lambda: switch.track("a2"),
        switch.disarm,
        switch.disarm,
    ]
    replica.send_signal(signal.SIGSTOP)
    try:
        for call in calls:
            began_ms = clock.monotonic_ms()
            with pytest.raises(NotReplicated, match="recorded, but 0 of 1 replicas"):
                call()
            assert clock.monotonic_ms() - began_ms < WITHIN_MS
        assert switch.record() is not None
    finally:
        replica.send_signal(signal.SIGCONT)
    again = eventually(lambda: _accepted(producer), what="the replica catches up")
    assert again is not None
    assert not again.fresh
    assert replica.ask("HGET", f"cx:job:{again.id}", "order_id") == "a1"


def test_without_the_replicas_asked_for_nothing_is_promised(master: Node) -> None:
    """None is there at all."""
    with pytest.raises(NotReplicated):
        producer_on(master, wanted=2).cancel("ev", "a1")
    assert producer_on(master, wanted=0).cancel("ev", "a1").id


def test_check_counts_the_replicas(master: Node, replica: Node) -> None:
    """Too few are found before the first call fails for it; one that is silent is none."""

    def told(wanted: int) -> Finding:
        settings = Settings(
            redis_url=master.url("worker"), redis_wait_replicas=wanted, accounts=ACCOUNTS
        )
        (found,) = [it for it in check_redis(settings) if it.subject == "redis replicas"]
        return found

    assert told(1).level is Level.WARN
    assert told(2).level is Level.FAIL
    assert "1 in sync, redis_wait_replicas = 2" in told(2).detail
    assert told(2).fix
    replica.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: told(1).level is Level.FAIL, within_ms=60_000, what="its silence told")
    finally:
        replica.send_signal(signal.SIGCONT)


def test_a_master_that_is_down_raises(master: Node) -> None:
    """That is no matter of replicas."""
    producer = producer_on(master)
    master.kill()
    with pytest.raises(StoreUnavailable) as caught:
        producer.cancel("ev", "a1")
    assert not isinstance(caught.value, NotReplicated)


def test_waiting_longer_than_for_redis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would always look like an outage."""
    monkeypatch.setenv("WORKER_CONFIG", "")
    with pytest.raises(SettingsError, match="redis_wait_ms must be less than redis_timeout_ms"):
        load_settings(redis_wait_replicas=1, redis_wait_ms=800)


def _accepted(producer: Producer) -> Ticket | None:
    try:
        return producer.cancel("ev", "a1")
    except NotReplicated:
        return None
