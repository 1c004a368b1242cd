"""Connections to Redis: connecting ends in time, and what was given up is not sent later."""

from __future__ import annotations

import socket
import weakref
from typing import Any

import redis

from worker import clock
from worker.net import sockets
from worker.store.redis_versions import CHECKS_HEALTH

LEAST_MS = 10
CONNECT_MS = 5_000
"""Time for connecting where none is given."""


class GuardedConnection(redis.Connection):
    """A connection that drops what Redis has not acknowledged once it is given up.

    Args:
        options: As for `redis.Connection`. `socket_connect_timeout` bounds the
            look-up, connecting, TLS and logging in together, and what they take
            is taken off the time in which the first answer must come.
    """

    def __init__(
        self,
        *,
        health_check_interval: int = 0,  # kombu looks for the name before it gives it
        **options: Any,  # noqa: ANN401
    ) -> None:
        self._until_ms = 0.0
        self._first_s: float | None = None
        self._peer = ""
        self._closing: weakref.finalize[..., GuardedConnection] | None = None
        super().__init__(health_check_interval=health_check_interval, **options)  # type: ignore[no-untyped-call]
        given_s = self.socket_connect_timeout
        self._connect_ms = given_s * 1_000 if given_s else CONNECT_MS

    def _connect(self) -> Any:  # noqa: ANN401  redis-py's signature
        self._first_s = None
        self._until_ms = clock.monotonic_ms() + self._connect_ms
        sock = self._reach()
        try:
            self._peer = str(sock.getpeername()[0])
            if self.socket_keepalive:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self.socket_timeout:
                sockets.drop_unsent_after(sock, self.socket_timeout * 1_000)
            sock.settimeout(self._left_s())
        except OSError:
            sock.close()
            raise
        return sock

    def _reach(self) -> socket.socket:
        """Return a connection to where this one leads."""
        return sockets.connect(self.host, self.port, until_ms=self._until_ms)

    def on_connect(self) -> None:
        """Log in, as older versions of redis-py ask for it."""
        self.on_connect_check_health()

    def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002
        """Log in, within what is left of the time for connecting."""
        self._close_at_end()
        answered = False
        try:
            self._log_in(check_health=check_health)
            answered = True
        finally:
            sockets.rank(self.host, self.port, self._peer, answered=answered)
        if self.socket_timeout:
            took_ms = self._connect_ms - (self._until_ms - clock.monotonic_ms())
            self._first_s = max(LEAST_MS, self.socket_timeout * 1_000 - took_ms) / 1_000
        if self._sock is not None:
            self._sock.settimeout(self.socket_timeout)

    def _close_at_end(self) -> None:
        """Close the socket when this object is freed, also as part of a reference cycle."""
        if self._closing is not None:
            self._closing()  # an earlier one
        if self._sock is not None:
            self._closing = weakref.finalize(self, self._sock.close)
            self._closing.atexit = False

    def _log_in(self, *, check_health: bool) -> None:
        if self._sock is not None:
            self._sock.settimeout(self._left_s())
        if CHECKS_HEALTH:
            super().on_connect_check_health(check_health=check_health)
        else:
            super().on_connect()  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  redis-py's signature
        """Read an answer; the first within the time that connecting has left for it."""
        first_s, self._first_s = self._first_s, None
        if first_s is None or self._sock is None:
            return super().read_response(*args, **options)  # type: ignore[no-untyped-call]
        before_s = self._sock.gettimeout()
        self._sock.settimeout(first_s if before_s is None else min(before_s, first_s))
        try:
            return super().read_response(*args, **options)
        finally:
            if self._sock is not None:
                self._sock.settimeout(before_s)

    def _left_s(self) -> float:
        return max(LEAST_MS, self._until_ms - clock.monotonic_ms()) / 1_000


class GuardedSSLConnection(redis.SSLConnection, GuardedConnection):
    """The same, with TLS."""
