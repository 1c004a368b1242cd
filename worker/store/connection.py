"""Reaching Redis, with every wait bounded, and its scripts."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.connection import HiredisRespSerializer
from redis.exceptions import NoScriptError
from redis.retry import Retry

from worker.errors import NotReplicated, StoreUnavailable
from worker.store.address import Address, parse
from worker.store.sentinels import (
    MasterConnection,
    MasterSSLConnection,
    NoMasterError,
    Sentinels,
)

CONNECT_SHARE = 0.5
"""Part of the time allowed that connecting may take, so that a cold call
against a silent Redis ends within it too."""


@cache
def source(name: str) -> str:
    """Return the text of one Lua file."""
    return resources.files("worker.store").joinpath("lua", f"{name}.lua").read_text()


class _Packer(HiredisRespSerializer):
    """Writes any text: hiredis refuses halves of surrogate pairs, which JSON may hold."""

    def pack(self, *args: Any) -> Any:  # noqa: ANN401  redis-py's signature
        try:
            return super().pack(*args)
        except UnicodeEncodeError:
            return super().pack(*[_writable(arg) for arg in args])


def _writable(arg: Any) -> Any:  # noqa: ANN401  text, bytes or a number
    return arg.encode(errors="replace") if isinstance(arg, str) else arg


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
        "command_packer": _Packer(),
        "socket_timeout": timeout_ms / 1_000,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        # Two round trips less, and nothing that a narrow user is refused.
        "lib_name": None,
        "lib_version": None,
        **address.login,
        **(address.tls or {}),
    }
    if address.master:
        # All of it together: whom to ask, connecting, logging in.
        options["socket_connect_timeout"] = timeout_ms / 1_000
        options["sentinels"] = Sentinels(address)
    else:
        options["socket_connect_timeout"] = timeout_ms * CONNECT_SHARE / 1_000
        options["host"], options["port"] = address.hosts[0]
    kind = connection_class(address)
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=kind, **options))


def connection_class(address: Address) -> type[redis.Connection]:
    """Return the kind of connection that reaches an address."""
    if address.master:
        return MasterConnection if address.tls is None else MasterSSLConnection
    return redis.Connection if address.tls is None else redis.SSLConnection


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn what redis-py raises into `StoreUnavailable`, without the URL."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        if refused := _tls_error(error):
            raise StoreUnavailable(f"no TLS with Redis: {refused}") from error
        if isinstance(error, NoMasterError):
            raise StoreUnavailable(f"Redis has no master: {error}") from error
        raise StoreUnavailable(f"Redis did not answer ({type(error).__name__})") from error
    except redis.RedisError as error:
        text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise StoreUnavailable(f"Redis refused: {text}") from error


def _tls_error(error: BaseException | None) -> str:
    """Say why TLS came to nothing, if that is what an error is about."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {error.verify_message}; mend ssl_ca_certs"
        if isinstance(error, ssl.SSLError):
            reason = (error.reason or "broken off").lower().replace("_", " ")
            return f"{reason}; see rediss:// and the ssl_ options of redis_url"
        error = error.__cause__ or error.__context__
    return ""


class Sent:
    """A script on its way, on a connection of its own until its answer is read or dropped."""

    def __init__(
        self, pool: redis.ConnectionPool, connection: redis.Connection, again: Callable[[], Any]
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._again = again

    def answer(self) -> Any:  # noqa: ANN401  Redis's answer
        """Wait for the answer; to be called once.

        Raises:
            StoreUnavailable: Redis did not answer, or refused. The script may
                have run.
        """
        try:
            with unavailable():
                return self._connection.read_response()  # type: ignore[no-untyped-call]
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        finally:
            self._pool.release(self._connection)
        return self._again()  # Redis did not know the script, so it has not run

    def drop(self) -> None:
        """Give the answer up."""
        _give_up(self._pool, self._connection)


def _give_up(pool: redis.ConnectionPool, connection: redis.Connection) -> None:
    connection.disconnect()  # type: ignore[no-untyped-call]
    pool.release(connection)


class Store:
    """One Redis, one key prefix, and the scripts by name.

    Args:
        client: From `connect`.
        prefix: Begins every key of this program.
        clock: Lua that defines `now_ms()`; tests step it.
        replicas: How many must have what is promised, and for how many ms at
            most that is waited for.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str,
        clock: str | None = None,
        replicas: tuple[int, int] = (0, 0),
    ) -> None:
        self.client = client
        self.prefix = prefix
        self._replicas = replicas
        self._clock = source("now") if clock is None else clock
        self._scripts: dict[str, Script] = {}

    def key(self, name: str) -> str:
        """Return the full name of a key."""
        return self.prefix + name

    def run(self, name: str, *args: str | float, shared: str = "", promised: bool = False) -> Any:  # noqa: ANN401  Redis's answer
        """Run the script of that name in one round trip.

        Args:
            name: Lua file, without its ending.
            args: Its arguments after the prefix.
            shared: Lua files to put before it, in order, parted by spaces.
            promised: Whether somebody is told that it is done, so that the
                replicas are waited for, if that is asked for at all.

        Raises:
            StoreUnavailable: Redis did not answer, or refused. The script may
                have run.
            NotReplicated: It has run, but too few replicas have it.
        """
        script = self._script(name, shared)
        with unavailable():
            if not (promised and self._replicas[0]):
                return script(args=[self.prefix, *args])
            answer, acknowledged = self._run_and_wait(script, [self.prefix, *args])
        wanted, within_ms = self._replicas
        if acknowledged < wanted:
            raise NotReplicated(
                f"recorded, but {acknowledged} of {wanted} replicas have it after {within_ms} ms; "
                f"it is lost if the master is lost now; asking again is safe"
            )
        return answer

    def send(self, name: str, *args: str | float, shared: str = "") -> Sent:
        """Send the script of that name, and leave its answer to be read later.

        Args: as for `run`.

        Raises:
            StoreUnavailable: Redis was out of reach. The script may have run.
        """
        script = self._script(name, shared)
        pool = self.client.connection_pool
        with unavailable():
            connection = pool.get_connection()
            try:
                connection.send_command("EVALSHA", script.sha, 0, self.prefix, *args)  # type: ignore[no-untyped-call]
            except BaseException:
                _give_up(pool, connection)
                raise
        return Sent(pool, connection, lambda: self.run(name, *args, shared=shared))

    def _script(self, name: str, shared: str) -> Script:
        script = self._scripts.get(name)
        if script is None:
            parts = [self._clock, *map(source, shared.split()), source(name)]
            with unavailable():
                script = self.client.register_script("\n".join(parts))
            self._scripts[name] = script
        return script

    def _run_and_wait(self, script: Script, args: list[str | float]) -> tuple[Any, int]:
        """Run a script and wait for replicas, on one connection, as `WAIT` asks for.

        It waits for all that the master had been told by then: so also for what
        an earlier call has recorded, when this one finds nothing left to do.
        """
        pipe = self.client.pipeline(transaction=False)
        for _ in range(2):
            pipe.evalsha(script.sha, 0, *map(str, args))
            pipe.wait(*self._replicas)
            answer, acknowledged = pipe.execute(raise_on_error=False)
            if not isinstance(answer, NoScriptError):
                break
            self.client.script_load(script.script)
        for each in (answer, acknowledged):
            if isinstance(each, Exception):
                raise each
        return answer, int(acknowledged)
