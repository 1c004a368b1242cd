"""Finding the master that Sentinels watch, and connections that follow it.

All Sentinels are asked at once: a dead one costs a bounded wait, never a hang,
and one that was cut off and names an old master is outvoted by any that
knows of a later election.
"""

from __future__ import annotations

import queue
import socket
import threading
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker import clock
from worker.store.address import Address
from worker.store.guarded import GuardedConnection, GuardedSSLConnection
from worker.store.redis_versions import NAMELESS

LOOKUP_SHARE = 0.4
"""Part of the time for connecting that asking the Sentinels may take."""
LEFT = {
    "READONLY": "it is no longer the master; a failover is under way",
    "NOREPLICAS": "it has too few replicas to take writes; a failover may be under way",
}
"""What a server answers that is no longer to be asked, and why, for people. One that was
replaced has no replicas at once, and becomes one itself some 10 s later."""


class NoMasterError(redis.ConnectionError):
    """No Sentinel names the master, or the named server is not one. Its text is for people."""


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
        with_tls = self._address.tls is not None
        pool = redis.ConnectionPool(
            connection_class=GuardedSSLConnection if with_tls else GuardedConnection,
            host=host,
            port=port,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=within_ms / 1_000,
            socket_connect_timeout=within_ms / 1_000,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **NAMELESS,
            **self._options,
        )
        client = redis.Redis.from_pool(pool)
        try:
            # While it carries out a failover, a Sentinel has the new epoch with the old
            # address in the first answer, and the new address in the second alone.
            pipe = client.pipeline(transaction=False)
            for ask in ("SENTINEL MASTER", "SENTINEL GET-MASTER-ADDR-BY-NAME"):
                pipe.execute_command(ask, self._address.master)  # type: ignore[no-untyped-call]
            state, (host, port) = pipe.execute()
            answers.put(_Named(int(state["config-epoch"]), str(host), int(port)))
        except Exception as error:  # noqa: BLE001  the waiting thread judges it
            answers.put(error)
        finally:
            client.close()


class MasterConnection(GuardedConnection):
    """A connection to the server that is the master when it connects.

    One whose server turns out not to be, or to be no longer, is closed, so
    that the next call looks again.

    Args:
        sentinels: Who is asked for the master.
        options: As for `GuardedConnection`; the time for connecting covers the
            look-up of the master too.
    """

    def __init__(self, *, sentinels: Sentinels, **options: Any) -> None:  # noqa: ANN401
        self._sentinels = sentinels
        super().__init__(host="", port=0, **options)

    def _reach(self) -> socket.socket:
        self.host, self.port = self._sentinels.master(within_ms=self._connect_ms * LOOKUP_SHARE)
        return super()._reach()

    def _log_in(self, *, check_health: bool) -> None:
        """Log in, and see that it is the master."""
        super()._log_in(check_health=check_health)
        self.send_command("ROLE", check_health=False)  # type: ignore[no-untyped-call]
        try:
            role: Any = self.read_response(disable_decoding=True)
        except redis.ResponseError:
            role = (b"master",)  # not ours to ask: a write will show
        if role[0] != b"master":
            raise NoMasterError("who the Sentinels name is a replica; a failover may be under way")

    def read_response(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  redis-py's signature
        """Read, and leave a server that is a replica by now, or may have been replaced."""
        try:
            return super().read_response(*args, **options)
        except redis.ResponseError as error:
            for sign, reason in LEFT.items():
                # A script's error only holds that of the command in it.
                if sign in str(error):
                    self.disconnect()  # type: ignore[no-untyped-call]
                    raise NoMasterError(reason) from error
            raise


class MasterSSLConnection(MasterConnection, GuardedSSLConnection):
    """The same, with TLS."""


def _reason(error: Exception | None) -> str:
    """Say why a Sentinel was of no help, without its address or our password."""
    if isinstance(error, redis.AuthenticationError):
        return "sentinel_password is wrong or missing"
    if isinstance(error, redis.ResponseError):
        return str(error).splitlines()[0][:100]
    if error is None or isinstance(error, TimeoutError | redis.TimeoutError):
        return "none answered in time"
    return type(error).__name__
