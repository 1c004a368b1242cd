"""Reaching Redis, with every wait bounded, and its scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.connection import AbstractConnection
from redis.exceptions import NoScriptError
from redis.retry import Retry

from worker import clock
from worker.errors import NotReplicated, StoreUnavailable
from worker.store import scripts
from worker.store.address import Address, parse
from worker.store.full import FULL, is_full
from worker.store.guarded import LEAST_MS, GuardedConnection, GuardedSSLConnection
from worker.store.packer import packer
from worker.store.redis_versions import NAMELESS, take_connection
from worker.store.sentinels import MasterConnection, MasterSSLConnection, NoMasterError, Sentinels
from worker.store.sharedtime import SharedTime, SteppedError, exchange, kept_to
from worker.store.timing import Reading
from worker.store.tls import tls_error

CONNECT_SHARE = 0.5
"""Part of the time allowed that connecting may take, so that a cold call
against a silent Redis ends within it too."""

UNBOUNDED_MS = 60_000
"""How long a call is valid on a connection whose waits are not bounded."""
NOT_RUN = (redis.exceptions.BusyLoadingError, redis.AuthenticationError)
"""Errors of a connection that are Redis's answers: what was sent does not run later."""


def local_ms() -> float:
    """Return the local clock, as whoever replaces it has it."""
    return clock.monotonic_ms()


def connect(url: str, *, timeout_ms: int) -> redis.Redis:
    """Make a client; it connects at its first call.

    Nothing is retried below: a call that fails is reported at once, as what
    calls it knows whether to ask again.

    Args:
        url: As `address.parse` takes it.
        timeout_ms: Longest that one call waits for Redis.

    Raises:
        SettingsError: The URL is no Redis URL. It is not shown, since it may
            hold a password.
    """
    address = parse(url)
    options: dict[str, Any] = {
        "db": address.db,
        "decode_responses": True,
        "encoding_errors": "replace",
        "command_packer": packer(),
        "socket_timeout": timeout_ms / 1_000,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        **NAMELESS,
        **address.login,
        **(address.tls or {}),
    }
    if address.master:
        # All of it together: whom to ask, connecting, logging in.
        options["socket_connect_timeout"] = timeout_ms / 1_000
        options["sentinels"] = Sentinels(address)
    else:
        options["socket_connect_timeout"] = timeout_ms * CONNECT_SHARE / 1_000
        if address.socket:
            del options["socket_keepalive"]
            options["path"] = address.socket
        else:
            options["host"], options["port"] = address.hosts[0]
    kind = connection_class(address)
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=kind, **options))


def connection_class(address: Address) -> type[AbstractConnection]:
    """Return the kind of connection that reaches an address."""
    if address.socket:
        return redis.UnixDomainSocketConnection
    if address.master:
        return MasterConnection if address.tls is None else MasterSSLConnection
    return GuardedConnection if address.tls is None else GuardedSSLConnection


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn what redis-py raises into `StoreUnavailable`, without the URL."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        if refused := tls_error(error):
            raise StoreUnavailable(f"no TLS with Redis: {refused}") from error
        if isinstance(error, SteppedError):
            raise StoreUnavailable(f"Redis cannot be used: {error}") from error
        if isinstance(error, NoMasterError):
            raise StoreUnavailable(f"Redis has no master: {error}") from error
        raise StoreUnavailable(f"Redis did not answer ({type(error).__name__})") from error
    except redis.RedisError as error:
        if is_full(error):
            raise StoreUnavailable(FULL) from error
        text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise StoreUnavailable(f"Redis refused: {text}") from error


def _is_late(answer: object) -> bool:
    return isinstance(answer, redis.ResponseError) and str(answer).startswith("LATE ")


class Store:
    """One Redis, one key prefix, and the scripts by name.

    Each call of a script carries the shared time until which its caller waits for
    it; a script that Redis comes to later is refused and changes nothing. For that,
    shared time is measured on each new connection before its first script.

    Args:
        client: From `connect`.
        prefix: Begins every key of this program.
        clock: Lua that defines `raw_ms()`, in place of `lib/raw_time`; tests step it.
        replicas: How many must have what is promised, and for how many ms at
            most that is waited for.
        local: The local clock, in ms; tests step it with the other.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str,
        clock: str | None = None,
        replicas: tuple[int, int] = (0, 0),
        local: Callable[[], float] = local_ms,
    ) -> None:
        self.client = client
        self.prefix = prefix
        self._replicas = replicas
        self._raw_time = scripts.source("lib/raw_time") if clock is None else clock
        self.local_ms = local
        self._scripts: dict[str, Script] = {}
        self.time = SharedTime(self._script, prefix, local)

    def key(self, name: str) -> str:
        """Return the full name of a key."""
        return self.prefix + name

    def text(self, name: str) -> str:
        """Return the whole text of a script, as Redis gets it."""
        return scripts.whole(name, self._raw_time)

    def sha(self, name: str) -> str:
        """Return what Redis knows a script by, once it has been loaded."""
        return str(self._script(name).sha)

    def run(self, name: str, *args: str | float, promised: bool = False) -> Any:  # noqa: ANN401  Redis's answer
        """Run the script of that name in one round trip.

        Args:
            name: Lua file, without its ending.
            args: Its arguments after the prefix.
            promised: Whether somebody is told that it is done, so that the
                replicas are waited for, if that is asked for at all. Where its
                connection breaks, the call does not fail before it is no longer valid:
                what its caller does next is not overtaken by it.

        Raises:
            StoreUnavailable: Redis did not answer, or refused. The script may
                have run; if `promised`, it does not run later.
            NotReplicated: It has run, but too few replicas have it.
        """
        call = _Call(self._script(name), (self.prefix, *args), self.local_ms(), self._budget)
        with unavailable():
            connection = take_connection(self.client.connection_pool)
            try:
                answer, acknowledged = self._ask(connection, call, promised=promised)
            except redis.ResponseError:
                raise
            except BaseException:
                connection.disconnect()
                raise
            finally:
                self.client.connection_pool.release(connection)
        wanted, within_ms = self._replicas
        if promised and acknowledged < wanted:
            raise NotReplicated(
                f"recorded, but {acknowledged} of {wanted} replicas have it after {within_ms} ms; "
                f"it is lost if the master is lost now; asking again is safe"
            )
        return answer

    @property
    def _budget(self) -> float:
        """How long a call waits for Redis, in ms; its answer may come later, but is not needed."""
        timeout_s = self.client.get_connection_kwargs().get("socket_timeout")
        return UNBOUNDED_MS if timeout_s is None else timeout_s * 1_000

    def _script(self, name: str) -> Script:
        script = self._scripts.get(name)
        if script is None:
            script = self.client.register_script(self.text(name))
            self._scripts[name] = script
        return script

    def _ask(self, connection: redis.Connection, call: _Call, *, promised: bool) -> tuple[Any, int]:
        """Run a script, and again if Redis did not know it or refused it as late.

        If it is promised to replicas, wait for them too, on the same connection, as
        `WAIT` asks for: for all that the master had been told by then, so also for what
        an earlier call has recorded, when this one finds nothing left to do.
        """
        reading = self.time.reading(connection, call.given_up_ms)
        while True:
            commands = [call.command(reading)]
            if promised and self._replicas[0] > 0:
                commands.append(("WAIT", *self._replicas))
            try:
                answer, *more = self._exchange(connection, call, commands)
            except Exception as error:
                if promised and not isinstance(error, NOT_RUN):
                    connection.disconnect()  # type: ignore[no-untyped-call]
                    clock.sleep_ms(call.given_up_ms - self.local_ms())
                raise
            if isinstance(answer, NoScriptError):
                load = ("SCRIPT LOAD", call.script.script)
                self._exchange(connection, call, [load], certain=True)
            elif _is_late(answer) and self.local_ms() < call.given_up_ms:
                reading = self.time.measure(connection, call.given_up_ms)
            else:
                break
        for each in (answer, *more):
            if isinstance(each, Exception):
                raise each
        return answer, int(more[0]) if more else 0

    def _exchange(
        self,
        connection: redis.Connection,
        call: _Call,
        commands: Sequence[tuple[Any, ...]],
        *,
        certain: bool = False,
    ) -> list[Any]:
        """Exchange commands in what connecting and measuring have left of a call's time."""
        left_ms = call.given_up_ms - self.local_ms()
        if left_ms > call.budget_ms - LEAST_MS:
            return exchange(connection, commands, certain=certain)
        with kept_to(connection, left_ms):
            return exchange(connection, commands, certain=certain)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a script, however often it must be sent.

    Attributes:
        called_ms: When it was made, on the local clock.
        budget_ms: How long it is waited for.
    """

    script: Script
    args: tuple[str | float, ...]
    called_ms: float
    budget_ms: float

    @property
    def given_up_ms(self) -> float:
        """When it is given up, on the local clock."""
        return self.called_ms + self.budget_ms

    def command(self, reading: Reading) -> tuple[Any, ...]:
        """Return what is sent to Redis."""
        times = reading.latest(self.called_ms), reading.earliest(self.given_up_ms)
        return ("EVALSHA", self.script.sha, 0, *self.args, *times)
