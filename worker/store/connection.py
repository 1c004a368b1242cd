"""Reaching Redis, with every wait bounded, and its scripts."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry

from worker import clock
from worker.errors import NotReplicated, StoreUnavailable
from worker.store.address import Address, parse
from worker.store.calls import Caller
from worker.store.full import FULL, is_full
from worker.store.guarded import LEAST_MS, GuardedConnection, GuardedSSLConnection
from worker.store.packer import packer
from worker.store.redis_versions import NAMELESS, take_connection
from worker.store.sentinels import MasterConnection, MasterSSLConnection, NoMasterError, Sentinels
from worker.store.sharedtime import SteppedError
from worker.store.steps import Ask, Drop, Exchange, Latest, Pause, Run, Steps, drive
from worker.store.tls import tls_error

T = TypeVar("T")

CONNECT_SHARE = 0.5
"""Part of the time allowed that connecting may take, so that a cold call
against a silent Redis ends within it too."""

UNBOUNDED_MS = 60_000
"""How long a call is valid on a connection whose waits are not bounded."""


def local_ms() -> float:
    """Return the local clock, as a test that replaces it has it."""
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
        raise StoreUnavailable(silence(error)) from error
    except redis.RedisError as error:
        if is_full(error):
            raise StoreUnavailable(FULL) from error
        text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise StoreUnavailable(f"Redis refused: {text}") from error


def silence(error: BaseException) -> str:
    """Return why Redis could not be used: refused password, unknown host, refused port, silence."""
    if isinstance(error, redis.AuthenticationError):
        return "Redis refused the password, or needs one"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "Redis did not answer: unknown host"
        if isinstance(cause, ConnectionRefusedError):
            return "Redis did not answer: port refused, no server listens"
        cause = cause.__cause__ or cause.__context__
    return f"Redis did not answer ({type(error).__name__})"


class Store(Caller):
    """One Redis, one key prefix, and the scripts by name; calls block.

    Each call of a script carries the shared time until which its caller waits for
    it; a script that Redis runs later is refused and changes nothing. For that,
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
        super().__init__(prefix=prefix, clock=clock, replicas=replicas, local=local)
        self.client = client

    def shared_ms(self) -> int:
        """Return shared time, Unix ms.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        return sum(self.clocks())

    def clocks(self) -> tuple[int, int]:
        """Return the clock of Redis's host, Unix ms, and what shared time is ahead of it.

        The latter is 0 for a user who may not read it.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        pipe = self.client.pipeline(transaction=False)
        pipe.time()
        pipe.hmget(self.key("clock"), ["offset"])
        with unavailable():
            time, offset = pipe.execute(raise_on_error=False)
            if isinstance(time, Exception):
                raise time
        seconds, micros = time
        known = 0 if isinstance(offset, Exception) else int(offset[0] or 0)
        return int(seconds) * 1_000 + int(micros) // 1_000, known

    def run(self, name: str, *args: str | float, promised: bool = False) -> Any:  # noqa: ANN401  Redis's answer
        """Run the script of that name in one round trip.

        Args:
            name: Lua file, without its ending.
            args: Its arguments after the prefix.
            promised: Whether the caller reports that it is done, so that the
                replicas are waited for, if that is asked for at all. Where its
                connection breaks, the call does not fail before it is no longer valid:
                what its caller does next is not overtaken by it.

        Raises:
            StoreUnavailable: Redis did not answer, or refused. The script may
                have run; if `promised`, it does not run later.
            NotReplicated: It has run, but too few replicas have it.
        """
        call = self.call(name, args, budget_ms=self._budget, promised=promised)
        with self._connected() as connection:
            steps = self.calling(call, connection._sock)  # noqa: SLF001
            return drive(steps, partial(self._on, connection))

    def ask(self, *commands: tuple[str | float, ...]) -> list[Any]:
        """Send commands in one round trip; return their answers as Redis sends them.

        Raises:
            StoreUnavailable: Redis did not answer, or refused one of them.
        """
        with self._connected() as connection:
            answers = exchange(connection, self.named(commands))
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    def carry(self, steps: Steps[T]) -> T:
        """Carry out a procedure; return what it returns.

        Raises:
            StoreUnavailable: Redis did not answer, and the procedure does not handle it.
        """
        return drive(steps, self._step)

    def _step(self, step: Run | Ask | Pause | Latest) -> Any:  # noqa: ANN401  Redis's answer
        match step:
            case Run():
                return self.run(step.name, *step.args, promised=step.promised)
            case Ask():
                return self.ask(*step.commands)
            case Pause():
                return clock.sleep_ms(step.ms)
            case Latest():
                return self.time.latest(step.local_ms)

    def _on(self, connection: redis.Connection, step: Exchange | Pause | Drop) -> Any:  # noqa: ANN401
        match step:
            case Exchange(within_ms=None):
                return exchange(connection, step.commands, certain=step.certain)
            case Exchange():
                with kept_to(connection, step.within_ms or 0):
                    return exchange(connection, step.commands, certain=step.certain)
            case Pause():
                return clock.sleep_ms(step.ms)
            case Drop():
                return connection.disconnect()  # type: ignore[no-untyped-call]

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        with unavailable():
            connection = take_connection(self.client.connection_pool)
            try:
                yield connection
            except (redis.ResponseError, NotReplicated):
                raise
            except BaseException:
                connection.disconnect()
                raise
            finally:
                self.client.connection_pool.release(connection)

    @property
    def _budget(self) -> float:
        """How long a call waits for Redis, in ms; its answer may come later, but is not needed."""
        timeout_s = self.client.get_connection_kwargs().get("socket_timeout")
        return UNBOUNDED_MS if timeout_s is None else timeout_s * 1_000


def exchange(
    connection: redis.Connection, commands: Sequence[tuple[Any, ...]], *, certain: bool = False
) -> list[Any]:
    """Send commands at once and read their answers, errors of Redis among them.

    Args:
        connection: Where.
        commands: What.
        certain: Raise such errors instead.
    """
    connection.send_packed_command(connection.pack_commands(commands))  # type: ignore[no-untyped-call]
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(connection.read_response())  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            if certain:
                raise
            answers.append(error)
    return answers


@contextmanager
def kept_to(connection: redis.Connection, left_ms: float) -> Iterator[None]:
    """Bound each wait for Redis on a connection further."""
    socket = connection._sock  # noqa: SLF001
    if socket is None:
        yield
        return
    timeout_s = socket.gettimeout()
    left_s = max(LEAST_MS, left_ms) / 1_000
    socket.settimeout(left_s if timeout_s is None else min(timeout_s, left_s))
    try:
        yield
    finally:
        if socket is connection._sock:  # noqa: SLF001
            socket.settimeout(timeout_s)
