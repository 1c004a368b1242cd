"""Finding the master that Sentinels watch, and connections that follow it.

All Sentinels are asked at once: a dead one costs a bounded wait, never a hang,
and one that was cut off and tells of an old master is outvoted by whoever
knows of a later election.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker import clock
from worker.store.address import Address

LOOKUP_SHARE = 0.4
"""Part of the time for connecting that asking the Sentinels may take."""
LEAST_MS = 10
LEFT = {
    "READONLY": "it is no longer the master; a failover is under way",
    "NOREPLICAS": "it has too few replicas to take writes; a failover may be under way",
}
"""What a server answers that is no longer to be asked, and why, for people. One that was
replaced has no replicas at once, and is told to be one itself some 10 s later."""


class NoMasterError(redis.ConnectionError):
    """Nobody says who the master is, or who is said to be it is not. Its text is for people."""


@dataclass(frozen=True, slots=True)
class _Named:
    """The master as one Sentinel has it, and by which election."""

    epoch: int
    host: str
    port: int


class Sentinels:
    """Who is the master, according to the Sentinels of an address."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._options: dict[str, Any] = {**(address.tls or {}), **address.sentinel_login}

    def master(self, *, within_ms: float) -> tuple[str, int]:
        """Return host and port of the master.

        The one of the latest election wins, among the Sentinels that answer in
        time; all that answer are waited for.

        Raises:
            NoMasterError: None of them answered in time, or none knows
                a master of that name.
        """
        answers: queue.SimpleQueue[_Named | Exception] = queue.SimpleQueue()
        until = clock.monotonic_ms() + within_ms
        for host, port in self._address.hosts:
            threading.Thread(
                target=self._ask, args=(host, port, within_ms, answers), daemon=True
            ).start()
        known: list[_Named] = []
        failed: Exception | None = None
        for _ in self._address.hosts:
            try:
                answer = answers.get(timeout=max(0.0, until - clock.monotonic_ms()) / 1_000)
            except queue.Empty:
                break
            if isinstance(answer, Exception):
                failed = answer
            else:
                known.append(answer)
        if not known:
            raise NoMasterError(
                f"no Sentinel names the master: {_reason(failed)}; see redis_url"
            ) from failed
        latest = max(known, key=lambda named: named.epoch)
        return latest.host, latest.port

    def _ask(
        self,
        host: str,
        port: int,
        within_ms: float,
        answers: queue.SimpleQueue[_Named | Exception],
    ) -> None:
        client = redis.Redis(
            host=host,
            port=port,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=within_ms / 1_000,
            socket_connect_timeout=within_ms / 1_000,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            lib_name=None,
            lib_version=None,
            ssl=self._address.tls is not None,
            **self._options,
        )
        try:
            # While it carries out a failover, a Sentinel has the new epoch with the old
            # address in the first answer, and the new address in the second alone.
            pipe = client.pipeline(transaction=False)
            for ask in ("SENTINEL MASTER", "SENTINEL GET-MASTER-ADDR-BY-NAME"):
                pipe.execute_command(ask, self._address.master)  # type: ignore[no-untyped-call]
            state, (host, port) = pipe.execute()
            answers.put(_Named(int(state["config-epoch"]), str(host), int(port)))
        except Exception as error:  # noqa: BLE001  whoever waits judges it
            answers.put(error)
        finally:
            client.close()


class MasterConnection(redis.Connection):
    """A connection to whoever is the master when it connects.

    One whose server turns out not to be, or to be no longer, is closed, so
    that the next call looks anew.

    Args:
        sentinels: Who is asked for the master.
        options: As for `redis.Connection`. `socket_connect_timeout` bounds all
            of the look-up, connecting and logging in together.
    """

    def __init__(
        self,
        *,
        sentinels: Sentinels,
        health_check_interval: int = 0,  # kombu looks for the name before it gives it
        **options: Any,  # noqa: ANN401
    ) -> None:
        self._sentinels = sentinels
        self._until = 0.0
        super().__init__(  # type: ignore[no-untyped-call]
            host="", port=0, health_check_interval=health_check_interval, **options
        )
        self._connect_ms = (self.socket_connect_timeout or 0) * 1_000

    def _connect(self) -> Any:  # noqa: ANN401  redis-py's signature
        self._until = clock.monotonic_ms() + self._connect_ms
        self.host, self.port = self._sentinels.master(within_ms=self._connect_ms * LOOKUP_SHARE)
        waiting = self.socket_timeout
        try:
            # Of TLS's handshake too, which goes by the one for reading.
            self.socket_timeout = self.socket_connect_timeout = self._left_s()
            sock = super()._connect()  # type: ignore[no-untyped-call]
        finally:
            self.socket_timeout = waiting
        sock.settimeout(self._left_s())
        return sock

    def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        """Log in, and see that it is the master."""
        super().on_connect_check_health(check_health=check_health)
        self.send_command("ROLE", check_health=False)  # type: ignore[no-untyped-call]
        try:
            role: Any = self.read_response(disable_decoding=True)
        except redis.ResponseError:
            role = (b"master",)  # not ours to ask: a write will tell
        if role[0] != b"master":
            raise NoMasterError("who the Sentinels name is a replica; a failover may be under way")
        if self._sock is not None:
            self._sock.settimeout(self.socket_timeout)

    def read_response(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  redis-py's signature
        """Read, and leave a server that is a replica by now, or may have been replaced."""
        try:
            return super().read_response(*args, **options)  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            for sign, reason in LEFT.items():
                # A script's error only holds that of the command in it.
                if sign in str(error):
                    self.disconnect()  # type: ignore[no-untyped-call]
                    raise NoMasterError(reason) from error
            raise

    def _left_s(self) -> float:
        return max(LEAST_MS, self._until - clock.monotonic_ms()) / 1_000


class MasterSSLConnection(MasterConnection, redis.SSLConnection):
    """The same, with TLS."""


def _reason(error: Exception | None) -> str:
    """Say why a Sentinel was of no help, without its address or our password."""
    if isinstance(error, redis.AuthenticationError):
        return "sentinel_password is wrong or missing"
    if isinstance(error, redis.ResponseError):
        return str(error).splitlines()[0][:100]
    return type(error).__name__ if error else "none answered in time"
