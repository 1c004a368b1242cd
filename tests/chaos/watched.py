"""Redis under Sentinels, set up such that a failover loses nothing that was promised.

A master, a replica, three Sentinels. What a producer is answered waits for the
replica (`redis_wait_replicas`), since replication is asynchronous. And a
master without its replica takes no writes (`min-replicas-to-write`), so that
one that does not know yet that it was replaced grants nothing, and answers no
beat, that the new one knows nothing of. The price: after a failover there are no
writes until the former master is back as a replica, which is done here at
once; Sentinels would take 10 s.
"""

from __future__ import annotations

import signal
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import redis

from tests.chaos.deployment import ALIVE, EMPTIED, fill, told
from tests.support.polling import eventually
from tests.support.sentinels import FAILOVER_MS, MASTER, Node, SentinelRedis, password
from worker import clock

REPLICAS = "min-replicas-to-write"
OPTIONS = (f"--{REPLICAS}", "1", "--repl-diskless-sync-delay", "0")
TOO_MANY = 9
FAILOVER_TIMEOUT_MS = 3_000
"""A machine that was stopped looks dead, and a try that failed delays the next."""
STEADY_MS = 1_000
FAILOVERS = ("failover", "kill-master", "freeze-master")
"""In good order; by its sudden end; by a silence, after which it is back and knows nothing."""


class Watched:
    """A master and a replica under Sentinels, each reached as the user that it is for."""

    def __init__(self, folder: Path) -> None:
        self._redis = SentinelRedis(
            folder, failover_timeout_ms=FAILOVER_TIMEOUT_MS, options=OPTIONS
        )
        self._nodes = (*self._redis.redises, *self._redis.sentinels)
        self._lost: Node | None = None
        self._writes_since_ms: float | None = None
        self.ports: tuple[int, ...] = tuple(node.port for node in self._nodes)
        self.faults: tuple[str, ...] = ("full", "no-replicas", "freeze-replica")
        self.freezes: tuple[str, ...] = ()  # its Sentinels take a frozen one for dead
        self.failovers: tuple[str, ...] = FAILOVERS
        self.death = "kill-master"
        self.settings: Mapping[str, Any] = {"redis_wait_replicas": 1}
        self.bulk: Collection[str] = ("ev",)
        self._redis.__enter__()

    def url(self, user: str, doors: Sequence[int]) -> str:
        """Return the URL for a user."""
        return self._redis.url(user, doors[len(self._redis.redises) :])

    def broker(self, doors: Sequence[int]) -> tuple[str, dict[str, Any]]:
        """Return what Celery's own support of Sentinels takes, for the user `sender`."""
        login = f"sender:{password('sender')}"
        sentinels = doors[len(self._redis.redises) :]
        url = ";".join(f"sentinel://{login}@127.0.0.1:{door}/0" for door in sentinels)
        return url, {"master_name": MASTER}

    def client(self) -> redis.Redis:
        """Return the operator's client of the master of now, past every proxy."""
        return self._redis.master.client(patience_s=30)

    def harm(self, fault: str) -> None:
        """Do one of its faults or failovers."""
        match fault:
            case "full":
                fill(self.client())
            case "no-replicas":
                told(self.client(), f"CONFIG SET {REPLICAS} {TOO_MANY}")
            case "freeze-replica":
                self._redis.replica.send_signal(signal.SIGSTOP)
            case "failover":
                self._lost = self._redis.master
                eventually(self._redis.begin_failover, within_ms=FAILOVER_MS, what="it begins")
            case "kill-master":
                self._lost = self._redis.kill_master()
            case "freeze-master":
                self._lost = self._redis.master
                self._lost.send_signal(signal.SIGSTOP)
            case _:
                raise ValueError(fault)

    def mend(self, fault: str) -> bool:
        """Undo a fault; of a failover, make the former master a replica."""
        if fault == "full":
            told(self.client(), *EMPTIED)
        elif fault == "no-replicas":
            told(self.client(), f"CONFIG SET {REPLICAS} 1")
        elif fault == "freeze-replica":
            self._redis.replica.send_signal(signal.SIGCONT)
        elif self._lost is not None:
            master = self._redis.agreed()
            if master is self._lost and fault == "failover":
                self._redis.begin_failover()  # the last try may have failed
            if master is None or master is self._lost:
                return False
            if self._writes_since_ms is None and not self._follows(self._lost, master):
                return False
        return self._takes_writes()

    def _follows(self, lost: Node, master: Node) -> bool:
        """Have a former master follow the new one; return whether it knows of it."""
        try:
            self._redis.follow(lost, master)
        except redis.RedisError:  # it is still reading its data
            return False
        return True

    def _takes_writes(self) -> bool:
        """Return whether it does, and after a failover has for a while.

        Sentinels that do not know of it yet may have the replica follow
        another once more, and need 10 s to see it.
        """
        try:
            told(self.client(), ALIVE)
        except redis.RedisError:
            self._writes_since_ms = None
            return False
        now_ms = clock.monotonic_ms()
        if self._writes_since_ms is None:
            self._writes_since_ms = now_ms
        if self._lost is not None and now_ms - self._writes_since_ms < STEADY_MS:
            return False
        self._lost = self._writes_since_ms = None
        return True

    def close(self) -> None:
        """End it."""
        self._redis.close()
