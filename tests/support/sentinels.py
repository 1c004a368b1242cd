"""A Redis that fails over: a master, a replica and three Sentinels, as real processes.

They run on the very files of `ops/redis`, users and passwords included; a
user's password is its name and `-password`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.polling import eventually
from worker.store.embedded import own_port, server_binary

OPS = Path(__file__).parents[2] / "ops" / "redis"
MASTER = "mymaster"
SENTINELS = 3
START_MS = 30_000
FAILOVER_MS = 30_000


def password(user: str) -> str:
    """Return the password of a user in these tests."""
    return f"{user}-password"


def rendered_users() -> str:
    """Return `users.acl` with the users' passwords filled in."""

    def digest(found: re.Match[str]) -> str:
        return hashlib.sha256(password(found[1].lower()).encode()).hexdigest()

    return re.sub(r"@([A-Z]+)@", digest, (OPS / "users.acl").read_text())


class Node:
    """One server process, a Redis or a Sentinel, with a folder of its own.

    Args:
        folder: Made if it is not there; holds its configuration, data and log.
        conf: The text of its configuration.
        options: More options, which go before what `conf` says.
    """

    def __init__(
        self, folder: Path, conf: str, *options: str, user: str = "", port: int | None = None
    ) -> None:
        self.folder = folder
        self.port = port or own_port()
        self.options = options
        self._user = user
        self._conf = folder / "server.conf"
        folder.mkdir(parents=True, exist_ok=True)
        self._conf.write_text(conf)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it answers."""
        log = self.folder / "server.log"
        command = [server_binary(), str(self._conf), "--port", str(self.port)]
        command += ["--bind", "127.0.0.1", "--dir", str(self.folder), "--logfile", str(log)]
        self.process = subprocess.Popen(
            [*command, *self.options],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def answers() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, log.read_text()[-2_000:]
            with contextlib.closing(self.client()) as client:
                try:
                    client.ping()
                    # Another server may have the port; it would answer as well.
                    server: Any = client.info("server")
                    return bool(server["process_id"] == self.process.pid)
                except redis.AuthenticationError:
                    return True  # it has a password that is the test's business
                except redis.RedisError:
                    return False

        try:
            eventually(answers, within_ms=START_MS, what=f"{self.folder.name} answers")
        except BaseException:  # an interrupt too must leave no server behind
            self.kill()
            raise
        return self

    def client(self, user: str | None = None, *, patience_s: float = 2) -> redis.Redis:
        """Return a client, logged in as the operator or as another user."""
        name = self._user if user is None else user
        login = {"username": name, "password": password(name)} if name else {}
        return redis.Redis(
            port=self.port,
            decode_responses=True,
            socket_timeout=patience_s,
            retry=Retry(NoBackoff(), 0),
            **login,  # type: ignore[arg-type]
        )

    def ask(self, *command: str, user: str | None = None) -> Any:
        """Run one command, as the operator or as another user."""
        with contextlib.closing(self.client(user)) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def url(self, user: str) -> str:
        """Return the address for a user."""
        return f"redis://{user}:{password(user)}@127.0.0.1:{self.port}/0"

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill it: it has nothing to keep."""
        self.kill()


def redis_node(folder: Path, *options: str) -> Node:
    """Return a Redis on the configuration and the users of `ops/redis`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "users.acl").write_text(rendered_users())
    return Node(folder, (OPS / "redis.conf").read_text(), *options, user="admin")


class SentinelRedis:
    """A master and a replica, watched by three Sentinels.

    Args:
        folder: For everything they keep.
        down_after_ms: For how long the master is silent before it counts as
            down; `ops/redis/sentinel.conf` has more patience.
        failover_timeout_ms: Half of what Sentinels wait from one try to the next.
        options: Of both Redises, beside those of `ops/redis/redis.conf`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        down_after_ms: int = 1_000,
        failover_timeout_ms: int = 10_000,
        options: tuple[str, ...] = (),
    ) -> None:
        login = ("--masteruser", "replica", "--masterauth", password("replica"))
        self._options = (*login, *options)
        self._first = redis_node(folder / "redis-0", *self._options)
        self._second = redis_node(
            folder / "redis-1", *self._options, "--replicaof", "127.0.0.1", str(self._first.port)
        )
        self.redises = [self._first, self._second]
        text = (OPS / "sentinel.conf").read_text()
        filled = {
            "@MASTER_HOST@": "127.0.0.1",
            "@MASTER_PORT@": str(self._first.port),
            "@SENTINEL_PASSWORD@": password("sentinel"),
            "milliseconds mymaster 2000": f"milliseconds mymaster {down_after_ms}",
            "failover-timeout mymaster 10000": f"failover-timeout mymaster {failover_timeout_ms}",
            "port 26379": "",
        }
        for name, value in filled.items():
            assert name in text
            text = text.replace(name, value)
        self.sentinels = [
            Node(folder / f"sentinel-{n}", text, "--sentinel") for n in range(SENTINELS)
        ]

    def url(self, user: str = "worker", doors: Sequence[int] = ()) -> str:
        """Return the address for a user: all Sentinels, or doors to them, and the master's name."""
        ports = doors or [node.port for node in self.sentinels]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"sentinel://{user}:{password(user)}@{hosts}/0?master={MASTER}"

    def start(self) -> Self:
        """Start all, and wait until the Sentinels know the replica and each other."""
        for node in (*self.redises, *self.sentinels):
            node.start()
        eventually(self._ready, within_ms=START_MS, pause_ms=50, what="Sentinels agree")
        return self

    @property
    def master(self) -> Node:
        """The Redis that all Sentinels name as the master."""
        node = self.agreed()
        assert node is not None, "the Sentinels do not agree"
        return node

    def agreed(self) -> Node | None:
        """Return the Redis that all Sentinels name as the master, if they agree."""
        ports = {int(self._state(sentinel)["port"]) for sentinel in self.sentinels}
        found = [node for node in self.redises if {node.port} == ports]
        return found[0] if found else None

    @property
    def replica(self) -> Node:
        """The other one."""
        master = self.master
        (node,) = [node for node in self.redises if node is not master]
        return node

    def until_replicated(self) -> None:
        """Wait until the replica has all that the master received."""
        with contextlib.closing(self.master.client()) as client:

            def caught_up() -> bool:
                found: Any = client.info("replication")
                first = found.get("slave0")
                return bool(first) and first["offset"] == found["master_repl_offset"]

            eventually(caught_up, what="the replica has caught up")

    def kill_master(self) -> Node:
        """Kill the master; return it. The Sentinels take a while to notice."""
        node = self.master
        node.kill()
        return node

    def until_failed_over(self, old: Node) -> None:
        """Wait until all Sentinels name another master than `old`."""

        def moved() -> bool:
            return all(
                int(self._state(sentinel)["port"]) != old.port for sentinel in self.sentinels
            )

        eventually(moved, within_ms=FAILOVER_MS, pause_ms=20, what="failed over")

    def begin_failover(self) -> bool:
        """Ask for the master to hand over; whether the Sentinels have agreed to begin."""
        try:
            self.sentinels[0].ask("SENTINEL FAILOVER", MASTER)
        except redis.ResponseError:
            return False  # one is under way, or no replica is fit yet
        return True

    def failover(self) -> None:
        """Have the master hand over in good order, and wait for it."""
        old = self.master
        eventually(
            self.begin_failover, within_ms=FAILOVER_MS, pause_ms=100, what="a failover has begun"
        )
        self.until_failed_over(old)

    def restore(self, node: Node) -> None:
        """Start a Redis that was killed, and wait until it replicates again."""
        node.start()
        eventually(self._ready, within_ms=START_MS, pause_ms=50, what="replicates again")

    def follow(self, node: Node, master: Node) -> None:
        """Have a Redis replicate another, which may be dead, frozen or still a master itself."""
        where = ("127.0.0.1", str(master.port))
        if node.process is None:
            node.options = (*self._options, "--replicaof", *where)
            node.start()
            return
        node.send_signal(signal.SIGCONT)
        node.ask("REPLICAOF", *where)

    def close(self) -> None:
        """End all."""
        for node in (*self.sentinels, *self.redises):
            node.kill()

    def __enter__(self) -> Self:
        """Start."""
        try:
            return self.start()
        except BaseException:  # an interrupt too must leave no server behind
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all."""
        self.close()

    def _state(self, sentinel: Node) -> dict[str, Any]:
        state: dict[str, Any] = sentinel.ask("SENTINEL MASTER", MASTER)
        return state

    def _ready(self) -> bool:
        states = [self._state(sentinel) for sentinel in self.sentinels]
        agreed = all(
            state["flags"] == "master"
            and state["num-other-sentinels"] == SENTINELS - 1
            and state["num-slaves"] >= 1
            for state in states
        )
        if not agreed or len({state["port"] for state in states}) != 1:
            return False
        with contextlib.closing(self.master.client()) as client:
            found: Any = client.info("replication")
        return bool(found.get("slave0", {}).get("state") == "online")
