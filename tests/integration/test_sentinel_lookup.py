"""Whatever the Sentinels do, a call ends within a second, and none is misled."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.polling import eventually
from tests.support.sentinels import MASTER, OPS, Node, SentinelRedis, password, redis_node
from worker import Producer, StoreUnavailable, clock
from worker.config.settings import Settings
from worker.store.address import parse
from worker.store.embedded import own_port
from worker.store.sentinels import Sentinels

WITHIN_MS = 1_000
SECRET = password("producer")


class Stand:
    """A Redis, and Sentinels that say where it is; each of them a process of its own."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.redis = stack.enter_context(redis_node(folder / "redis"))

    def sentinel(self, *, port: int | None = None, conf: str = "") -> Node:
        """Start a Sentinel that names a port; that of the Redis if not given."""
        text = (OPS / "sentinel.conf").read_text().replace("@MASTER_HOST@", "127.0.0.1")
        text = text.replace("@MASTER_PORT@", str(port or self.redis.port))
        text = text.replace("port 26379", "")
        node = Node(self._folder / f"sentinel-{own_port()}", f"{text}\n{conf}\n", "--sentinel")
        return self._stack.enter_context(node)

    def silent(self) -> int:
        """Return a port that takes connections and never says a word."""
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        return int(listener.getsockname()[1])


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """A Redis, no Sentinel yet."""
    with contextlib.ExitStack() as stack:
        yield Stand(tmp_path, stack)


def producer_by(*ports: int, query: str = f"master={MASTER}") -> Producer:
    """Return a producer that asks these Sentinels and has not spoken to any yet."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    url = f"sentinel://producer:{SECRET}@{hosts}/0?{query}"
    return Producer(Settings(redis_url=url, accounts={"ev": {"exchange": "everstrike"}}))


def within(call: Callable[[], object]) -> None:
    """Make a call that ends in time."""
    began_ms = clock.monotonic_ms()
    call()
    assert clock.monotonic_ms() - began_ms < WITHIN_MS


def refused(call: Callable[[], object]) -> str:
    """Return what a call says that fails in time."""

    def failing() -> None:
        with pytest.raises(StoreUnavailable) as caught:
            call()
        said.append(str(caught.value))

    said: list[str] = []
    within(failing)
    assert SECRET not in said[0]
    assert "127.0.0.1" not in said[0]
    assert "\n" not in said[0]
    return said[0]


def served(producer: Producer) -> bool:
    """Return whether a call reaches the master; a machine that is held up may miss its time."""
    try:
        producer.switches()
    except StoreUnavailable:
        return False
    return True


def test_one_that_lives_is_enough(stand: Stand) -> None:
    """The others are dead, deaf or frozen."""
    frozen = stand.sentinel()
    frozen.send_signal(signal.SIGSTOP)
    live = stand.sentinel()
    producer = producer_by(own_port(), stand.silent(), frozen.port, live.port)
    within(lambda: producer.cancel("ev", "a1"))
    within(lambda: producer.cancel("ev", "a2"))


@pytest.mark.parametrize("password_at_fault", [True, False])
def test_that_no_sentinel_helps_is_reported(stand: Stand, password_at_fault: bool) -> None:  # noqa: FBT001
    """All dead, all deaf, of another name, or with another password."""
    if password_at_fault:
        guarded = stand.sentinel(conf="requirepass sentinel-secret")
        query = f"master={MASTER}&sentinel_password="
        right = producer_by(guarded.port, query=f"{query}sentinel-secret")
        eventually(lambda: served(right), what="an answer to who knows the password")
        said = refused(producer_by(guarded.port, query=f"{query}{SECRET}").switches)
        assert "sentinel_password is wrong" in said
        return
    dead, deaf = [own_port() for _ in range(3)], [stand.silent() for _ in range(3)]
    assert "no Sentinel names the master" in refused(lambda: producer_by(*dead).switches())
    assert "none answered in time" in refused(lambda: producer_by(*deaf).switches())
    live = stand.sentinel()
    other = producer_by(live.port, query="master=another")
    assert "No such master with that name" in refused(lambda: other.cancel("ev", "a1"))


def test_a_master_that_is_dead_or_frozen_is_reported_in_time(stand: Stand) -> None:
    """Cold and warm, with one Sentinel deaf as well."""
    ports = (stand.silent(), stand.sentinel().port)
    warm = producer_by(*ports)
    warm.cancel("ev", "a1")
    stand.redis.send_signal(signal.SIGSTOP)
    try:
        for producer in (warm, warm, producer_by(*ports)):
            refused(lambda producer=producer: producer.cancel("ev", "a2"))  # type: ignore[misc]
    finally:
        stand.redis.send_signal(signal.SIGCONT)
    within(lambda: warm.cancel("ev", "a2"))
    stand.redis.kill()
    for producer in (warm, producer_by(*ports)):
        refused(lambda producer=producer: producer.cancel("ev", "a3"))  # type: ignore[misc]


def test_who_knows_of_a_later_election_is_believed(stand: Stand, tmp_path: Path) -> None:
    """A Sentinel that was cut off still names the old master, which takes writes."""
    with redis_node(tmp_path / "old") as old:
        stale = [stand.sentinel(port=old.port) for _ in range(2)]
        told = stand.sentinel(conf=f"sentinel config-epoch {MASTER} 7")
        producer_by(*(node.port for node in stale), told.port).cancel("ev", "a1")
        assert stand.redis.ask("ZCARD", "cx:lanes") == 1
        assert old.ask("ZCARD", "cx:lanes") == 0


def test_a_master_that_was_made_a_replica_is_left(stand: Stand, tmp_path: Path) -> None:
    """The write that meets it fails, and the next call looks for the master again."""
    with redis_node(tmp_path / "new") as new:
        first = stand.sentinel()
        then = stand.sentinel(port=new.port, conf=f"sentinel config-epoch {MASTER} 7")
        then.send_signal(signal.SIGSTOP)
        producer = producer_by(first.port, then.port)
        producer.cancel("ev", "a1")
        stand.redis.ask("REPLICAOF", "127.0.0.1", str(new.port))
        assert "no longer the master" in refused(lambda: producer.cancel("ev", "a2"))
        assert "is a replica" in refused(lambda: producer.cancel("ev", "a2"))
        then.send_signal(signal.SIGCONT)
        within(lambda: producer.cancel("ev", "a2"))
        assert new.ask("ZCARD", "cx:lanes") == 1


def test_a_master_without_its_replicas_is_left(stand: Stand, tmp_path: Path) -> None:
    """One that was replaced refuses writes long before it knows; so does one that was not."""
    with redis_node(tmp_path / "new") as new:
        first = stand.sentinel()
        then = stand.sentinel(port=new.port, conf=f"sentinel config-epoch {MASTER} 7")
        then.send_signal(signal.SIGSTOP)
        producer = producer_by(first.port, then.port)
        producer.cancel("ev", "a1")
        stand.redis.ask("CONFIG", "SET", "min-replicas-to-write", "1")
        for _ in range(2):
            assert "too few replicas" in refused(lambda: producer.cancel("ev", "a2"))
        then.send_signal(signal.SIGCONT)
        within(lambda: producer.cancel("ev", "a2"))
        assert new.ask("ZCARD", "cx:lanes") == 1


def test_no_client_is_sent_back_to_the_old_master(tmp_path: Path) -> None:
    """The Sentinel that carries a failover out names it until all replicas have followed."""
    made = SentinelRedis(tmp_path)
    login = ("--masteruser", "replica", "--masterauth", password("replica"))
    where = ("--replicaof", "127.0.0.1", str(made.redises[0].port))
    made.redises.append(redis_node(tmp_path / "redis-2", *login, *where))
    with made:
        first, *_ = made.sentinels
        eventually(lambda: first.ask("SENTINEL MASTER", MASTER)["num-slaves"] == 2)
        old, named = made.master, Sentinels(parse(made.url()))
        eventually(made.begin_failover)
        ports: list[int] = []

        def moved() -> bool:
            ports.append(named.master(within_ms=WITHIN_MS)[1])
            return made.agreed() not in (None, old)

        eventually(moved, pause_ms=5)
    new = next(n for n, port in enumerate(ports) if port != old.port)
    assert old.port not in ports[new:]
