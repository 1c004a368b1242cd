"""Connections to Redis for asyncio, each used by one call at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import redis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from worker import clock
from worker.errors import NotReplicated
from worker.net import sockets
from worker.store.address import Address, parse
from worker.store.guarded import LEAST_MS
from worker.store.packer import packer
from worker.store.redis_versions import NAMELESS
from worker.store.sentinels import LEFT, LOOKUP_SHARE, NoMasterError, Sentinels

CONNECTIONS = 8
"""Connections of one producer; more calls at a time take turns."""
STAGGER_MS = 0.1
"""Between the ends of two calls without an answer, so that they do not all end at once."""


class GuardedAsyncConnection(Connection):
    """A connection that drops what Redis has not acknowledged once it is given up."""

    def __init__(self, *, unsent_ms: float, **options: Any) -> None:  # noqa: ANN401  redis-py's
        self._unsent_ms = unsent_ms
        super().__init__(**options)

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]
        if self._writer is not None:
            sock = self._writer.transport.get_extra_info("socket")
            sockets.drop_unsent_after(sock, self._unsent_ms)


class GuardedAsyncSSLConnection(SSLConnection, GuardedAsyncConnection):
    """The same, with TLS."""


class MasterAsyncConnection(GuardedAsyncConnection):
    """A connection to the server that the Sentinels name as the master when it connects."""

    def __init__(self, *, sentinels: Sentinels, **options: Any) -> None:  # noqa: ANN401
        self._sentinels = sentinels
        super().__init__(host="", port=0, **options)

    async def _connect(self) -> None:
        within_ms = self._unsent_ms * LOOKUP_SHARE
        # Asks by threads of its own; only a new connection comes here.
        self.host, self.port = await asyncio.to_thread(self._sentinels.master, within_ms=within_ms)
        await super()._connect()

    async def read_response(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  redis-py's
        """Read, and leave a server that is a replica by now, or may have been replaced."""
        try:
            return await super().read_response(*args, **options)
        except redis.ResponseError as error:
            for sign, reason in LEFT.items():
                if sign in str(error):
                    await self.disconnect(nowait=True)
                    raise NoMasterError(reason) from error
            raise


class MasterAsyncSSLConnection(MasterAsyncConnection, GuardedAsyncSSLConnection):
    """The same, with TLS."""


def maker(url: str, *, timeout_ms: int) -> Callable[[], AbstractConnection]:
    """Return what makes connections, which are not connected yet.

    Args:
        url: As `address.parse` takes it.
        timeout_ms: Longest that one call waits for Redis; callers bound their waits.

    Raises:
        SettingsError: The URL is no Redis URL. It is not shown, since it may
            hold a password.
    """
    address = parse(url)
    options: dict[str, Any] = {
        "db": address.db,
        "decode_responses": True,
        "encoding_errors": "replace",
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        **NAMELESS,
        **address.login,
        **(address.tls or {}),
    }
    if address.socket:
        return lambda: UnixDomainSocketConnection(path=address.socket, **options)
    options |= {"unsent_ms": timeout_ms, "socket_keepalive": True}
    if address.master:
        options["sentinels"] = Sentinels(address)
    else:
        options["host"], options["port"] = address.hosts[0]
    kind = _kind(address)
    return lambda: kind(**options)


def _kind(address: Address) -> type[GuardedAsyncConnection]:
    if address.master:
        return MasterAsyncConnection if address.tls is None else MasterAsyncSSLConnection
    return GuardedAsyncConnection if address.tls is None else GuardedAsyncSSLConnection


class Turns:
    """Lends connections, at most `CONNECTIONS` at a time, in the order of asking.

    Args:
        make: Makes a connection.
        patience_ms: How long to wait for a turn while Redis answers no call.
    """

    def __init__(self, make: Callable[[], AbstractConnection], *, patience_ms: float) -> None:
        self._make = make
        self._patience_ms = patience_ms
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[AbstractConnection] = []
        self._waiting = 0
        self._answered_ms = 0.0
        self._failed_ms = 0.0
        self._closed = False

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[tuple[AbstractConnection, float]]:
        """Lend a connection, connected or not, and for how many ms.

        It is closed after an error or a cancellation, as its answer may still come. While
        Redis answers no call, waiting for the turn counts, so that every call ends in time.

        Raises:
            TimeoutError: Redis answers no call.
        """
        left_ms = await self._wait()
        connection = self._idle.pop() if self._idle else self._make()
        sound = False
        try:
            yield connection, left_ms
            sound = True
        except (redis.ResponseError, NotReplicated):
            sound = True
            raise
        except Exception:
            self._failed_ms = clock.monotonic_ms()
            raise
        finally:
            if sound:
                self._answered_ms = clock.monotonic_ms()
            if sound and connection.is_connected and not self._closed:
                self._idle.append(connection)
            else:
                await connection.disconnect(nowait=True)
            self._free.release()

    async def _wait(self) -> float:
        if not self._free.locked():
            await self._free.acquire()
            return self._patience_ms
        began_ms = clock.monotonic_ms()
        wait_ms = self._patience_ms + self._waiting * STAGGER_MS
        self._waiting += 1
        try:
            while True:
                try:
                    async with asyncio.timeout(wait_ms / 1_000):
                        await self._free.acquire()
                except TimeoutError:
                    silent_ms = clock.monotonic_ms() - max(began_ms, self._answered_ms)
                    if silent_ms >= self._patience_ms:
                        raise
                    continue
                if self._failed_ms <= max(began_ms, self._answered_ms):
                    return self._patience_ms
                return max(LEAST_MS, began_ms + self._patience_ms - clock.monotonic_ms())
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Close the connections; those that are lent close when they come back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)
        await asyncio.sleep(0)  # asyncio closes sockets in the next turn


_PACKER = packer()


async def exchange_async(
    connection: AbstractConnection, commands: Sequence[tuple[Any, ...]], *, certain: bool = False
) -> list[Any]:
    """Send commands at once and read their answers, errors of Redis among them.

    Args:
        connection: Where.
        commands: What.
        certain: Raise such errors instead.
    """
    packed = [b"".join(_PACKER.pack(*command)) for command in commands]
    await connection.send_packed_command(packed, check_health=False)
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except redis.ResponseError as error:
            if certain:
                raise
            answers.append(error)
    return answers
