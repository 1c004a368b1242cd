"""A replica takes over that lacks the last grants: no window at the exchange is overfilled."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.links import Links
from tests.support.polling import eventually
from tests.support.sentinels import Node, password, redis_node
from worker.model.limits import Rule
from worker.store.connection import Store, connect
from worker.store.embedded import own_port
from worker.store.ledger import Ledger
from worker.store.limiter import Limiter
from worker.store.replicas import PROOF_MS

WINDOW_MS, FLIGHT_MS = 60_000, 1_000
RULES = [Rule("r", 10, WINDOW_MS)]
PROVEN = [Rule("few", 5, WINDOW_MS, proven=True)]
PRESENCE_MS = 60_000
LOOK_MS = 200


class Worker:
    """What a worker process does each second, and what it remembers."""

    def __init__(self, node: Node, name: str) -> None:
        self.name = name
        self.store = Store(connect(node.url("worker"), timeout_ms=5_000), prefix="cx:")
        self.limiter = Limiter(self.store)
        self.ledger = Ledger(self.store, digest="d")

    def open(self, node: Node) -> None:
        """Speak to that Redis from now on."""
        self.store.client = connect(node.url("worker"), timeout_ms=5_000)
        self.store._scripts.clear()  # noqa: SLF001  they hold on to their client

    def beat(self) -> None:
        """Beat, and report what was granted if that is asked for."""
        self.ledger.heartbeat(self.name, ttl_ms=PRESENCE_MS)
        if self.ledger.owes:
            self.limiter.recall(self.name)

    def wait_ms(self, rules: Sequence[Rule] = RULES) -> int:
        """Ask for a slot; return how long to wait for it."""
        grant = self.limiter.reserve(rules, flight_ms=FLIGHT_MS)
        if not grant.wait_ms:
            self.limiter.landed(grant)
        return grant.wait_ms


class Pair:
    """A master, a replica, and the failover from one to the other."""

    def __init__(self, master: Node, replica: Node) -> None:
        self.master = master
        self.replica = replica

    def cut(self) -> None:
        """Keep from the replica what the master receives from now on."""
        eventually(lambda: self.master.ask("WAIT", "1", "100") == 1, what="in step")
        self.replica.ask("REPLICAOF", "127.0.0.1", str(own_port()))

    def promote(self, *workers: Worker) -> None:
        """Lose the master, make the replica one, and have the workers speak to it."""
        self.master.kill()
        self.replica.ask("REPLICAOF", "NO", "ONE")
        for worker in workers:
            worker.open(self.replica)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two servers in step."""
    login = ("--masteruser", "replica", "--masterauth", password("replica"))
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(redis_node(tmp_path / "master", *login))
        source = ("--replicaof", "127.0.0.1", str(master.port))
        replica = stack.enter_context(redis_node(tmp_path / "replica", *login, *source))
        yield Pair(master, replica)


def test_grants_that_were_lost_are_reported_again(pair: Pair) -> None:
    """Once all live workers have reported, what is left of the window is given, and no more."""
    one, other = Worker(pair.master, "one"), Worker(pair.master, "other")
    for worker in (one, other):
        worker.beat()
        assert [worker.wait_ms() for _ in range(2)] == [0, 0]
    pair.cut()
    assert [worker.wait_ms() for worker in (one, one, other)] == [0, 0, 0]
    pair.promote(one, other)
    assert pair.replica.ask("ZCARD", "cx:limit:r") == 4
    assert one.wait_ms() == LOOK_MS
    one.beat()
    assert one.wait_ms() == LOOK_MS, "the other has not told yet"
    other.beat()
    assert pair.replica.ask("ZCARD", "cx:limit:r") == 7
    assert [one.wait_ms(), other.wait_ms(), one.wait_ms()] == [0, 0, 0]
    assert WINDOW_MS - 30_000 < other.wait_ms() <= WINDOW_MS + 1


def test_a_worker_that_died_with_the_master_costs_a_window(pair: Pair) -> None:
    """What it was granted is unknown; until it has left the window there is no slot."""
    one, dead = Worker(pair.master, "one"), Worker(pair.master, "dead")
    one.beat()
    dead.beat()
    pair.cut()
    assert dead.wait_ms() == 0
    pair.promote(one)
    one.beat()
    one.beat()
    assert one.wait_ms() == LOOK_MS
    assert pair.replica.ask("SMEMBERS", "cx:owed") == {"dead"}
    short = [Rule("short", 10, 300)]
    eventually(lambda: not one.limiter.reserve(short, flight_ms=1).wait_ms, what="the window over")


def test_a_restart_is_no_failover(pair: Pair) -> None:
    """The data is what it was, and slots continue."""
    one = Worker(pair.master, "one")
    one.beat()
    assert one.wait_ms() == 0
    pair.master.kill()
    pair.master.start()
    one.beat()
    assert one.wait_ms() == 0
    assert pair.master.ask("GET", "cx:lost_ms") is None


def test_a_second_failover_counts_too(pair: Pair, tmp_path: Path) -> None:
    """Also from one that was a replica itself."""
    one = Worker(pair.master, "one")
    one.beat()
    pair.cut()
    pair.promote(one)
    one.beat()
    assert one.wait_ms() == 0
    login = ("--masteruser", "replica", "--masterauth", password("replica"))
    source = ("--replicaof", "127.0.0.1", str(pair.replica.port))
    with redis_node(tmp_path / "third", *login, *source) as third:
        then = Pair(pair.replica, third)
        then.cut()
        assert one.wait_ms() == 0
        then.promote(one)
        assert third.ask("ZCARD", "cx:limit:r") == 1
        assert one.wait_ms() == LOOK_MS
        one.beat()
        assert third.ask("ZCARD", "cx:limit:r") == 2
        assert one.wait_ms() == 0


def test_a_worker_that_died_costs_little_under_a_proven_rule(pair: Pair) -> None:
    """The new master has every grant that the dead one used; only who lives is waited for."""
    one, dead = Worker(pair.master, "one"), Worker(pair.master, "dead")
    one.beat()
    dead.beat()
    eventually(lambda: pair.master.ask("WAIT", "1", "100") == 1, what="in step")
    assert [dead.wait_ms(PROVEN) for _ in range(3)] == [0, 0, 0]
    # At once, and with nothing waited for: what was granted is there already.
    pair.promote(one)
    assert pair.replica.ask("ZCARD", "cx:limit:few") == 3
    one.beat()
    assert [one.wait_ms(), one.wait_ms(PROVEN)] == [LOOK_MS, LOOK_MS]
    eventually(lambda: one.wait_ms(PROVEN) == 0, what="who lives has had its time")
    assert one.wait_ms() == LOOK_MS, "others are held off for the dead worker's sake"
    assert one.wait_ms(PROVEN) == 0
    assert one.wait_ms(PROVEN) > WINDOW_MS - 30_000


def test_under_a_proven_rule_the_living_are_waited_for_too(pair: Pair) -> None:
    """No replica kept up, and nothing was proven: what they remember counts all the same."""
    one, other = Worker(pair.master, "one"), Worker(pair.master, "other")
    one.beat()
    other.beat()
    pair.cut()
    eventually(lambda: pair.master.ask("INFO", "replication")["connected_slaves"] == 0, what="cut")
    assert [other.wait_ms(PROVEN) for _ in range(4)] == [0] * 4
    pair.promote(one, other)
    assert pair.replica.ask("ZCARD", "cx:limit:few") == 0
    one.beat()
    assert one.wait_ms(PROVEN) == LOOK_MS
    other.beat()
    assert one.wait_ms(PROVEN) == 0
    assert one.wait_ms(PROVEN) > WINDOW_MS - 30_000


def test_what_a_replica_does_not_know_of_is_not_used(pair: Pair) -> None:
    """One that hangs holds it back until it counts as fallen behind; no slot is spent."""
    one = Worker(pair.master, "one")
    one.beat()
    eventually(lambda: pair.master.ask("WAIT", "1", "100") == 1, what="in step")
    assert one.wait_ms(PROVEN) == 0
    pair.replica.send_signal(signal.SIGSTOP)
    try:
        assert [one.wait_ms(PROVEN) for _ in range(3)] == [PROOF_MS] * 3
        assert pair.master.ask("ZCARD", "cx:limit:few") == 1
        eventually(lambda: one.wait_ms(PROVEN) == 0, what="it is left out")
    finally:
        pair.replica.send_signal(signal.SIGCONT)
    assert pair.master.ask("ZCARD", "cx:limit:few") == 2
    eventually(lambda: pair.master.ask("WAIT", "1", "100") == 1, what="in step")
    assert one.wait_ms(PROVEN) == 0


def test_a_grant_that_the_master_has_forgotten_is_not_used(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Granted by one master, proven by the next: that one does not know it."""
    one = Worker(pair.master, "one")
    one.beat()
    pair.cut()
    eventually(lambda: pair.master.ask("INFO", "replication")["connected_slaves"] == 0, what="cut")
    run = one.store.run

    def then_fail_over(name: str, *args: str | float, **options: Any) -> Any:
        answer = run(name, *args, **options)
        if name == "reserve":
            pair.promote(one)
        return answer

    monkeypatch.setattr(one.store, "run", then_fail_over)
    assert one.limiter.reserve(PROVEN, flight_ms=FLIGHT_MS).wait_ms == PROOF_MS


@pytest.mark.parametrize("refused", ["-wait", "-info"])
def test_who_may_not_ask_for_replicas_gets_its_slots(pair: Pair, refused: str) -> None:
    """A user of one's own without WAIT or INFO is kept from nothing by that."""
    eventually(lambda: pair.master.ask("WAIT", "1", "100") == 1, what="in step")
    pair.master.ask("ACL", "SETUSER", "worker", refused)
    assert Worker(pair.master, "one").wait_ms(PROVEN) == 0


def test_a_replica_that_is_far_away_is_not_waited_for_long(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """It keeps up, but never confirms in time: that is reported, and work continues without."""
    one = Worker(pair.master, "one")
    one.beat()
    with Links({"far": [pair.master.port]}) as links:
        pair.replica.ask("REPLICAOF", "127.0.0.1", str(links.doors["far"][0]))
        eventually(lambda: pair.master.ask("WAIT", "1", "100") == 1, what="in step")
        links.turn("far", "delay", delay_ms=2 * PROOF_MS)
        assert [one.wait_ms(PROVEN) for _ in range(2)] == [PROOF_MS] * 2
        eventually(lambda: one.wait_ms(PROVEN) == 0, what="it is gone on without")
        assert "no word of Redis's replicas" in caplog.text
        assert one.wait_ms(PROVEN) == 0, "and is so for as long as that lasts"
        links.turn("far", "pass")
