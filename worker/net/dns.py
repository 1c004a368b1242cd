"""Look up host names in bounded time; cache the last good answer of each.

`getaddrinfo` has no timeout: without a resolver it returns after 5 to 30 s. It runs
in a thread here, and each caller waits at most until its own deadline.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from dataclasses import dataclass, field

from worker import clock

LOOKUPS_MAX = 16
"""Maximum concurrent look-ups; each stuck one blocks a thread."""
SHARE_MS = 1_000
"""Maximum age of a running look-up that a new caller joins; an older one is not shared."""
PATIENCE_SHARE = 0.25
"""Share of the caller's time that a look-up may take if an older answer is cached."""
STALE_MAX_MS = 86_400_000
"""Maximum age of a cached answer (RFC 8767 suggests one to three days)."""
WARN_MS = 60_000
HOSTS_MAX = 256
DEFINITE = tuple(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)
)
"""Resolver errors that mean: the name has no address."""

Row = tuple[int, int, int, str, tuple[str | int | bytes, ...]]
"""Family, type, protocol, canonical name and address, as `getaddrinfo` returns them."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Host:
    """Look-ups of one host and port. Times are those of `clock.monotonic_ms`.

    Attributes:
        rows: The last good answer; empty without one.
        at_ms: When the last good answer arrived.
        ended: Number of finished look-ups.
        error: What the latest look-up raised; None if it succeeded.
        running: Number of running look-ups.
        asked_ms: When the latest look-up began.
        warned_ms: When the last warning about a stale answer was logged.
    """

    rows: list[Row] = field(default_factory=list)
    at_ms: float = 0.0
    ended: int = 0
    error: OSError | ValueError | None = None
    running: int = 0
    asked_ms: float = 0.0
    warned_ms: float = 0.0


class Resolver:
    """Looks up names for all threads of a process. A forked child needs a new one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._hosts: dict[tuple[str, int], _Host] = {}
        self._running = 0

    def addresses(self, host: str, port: int, *, until_ms: float) -> list[Row]:
        """Return the addresses of a host in `getaddrinfo`'s order.

        If the resolver is slow or fails, return the last good answer, unless it is
        older than `STALE_MAX_MS`.

        Args:
            host: A name, or an address, which needs no look-up.
            port: Part of each returned address.
            until_ms: Deadline, as `clock.monotonic_ms`.

        Raises:
            TimeoutError: No answer arrived in time. The look-up continues for
                later callers.
            OSError: The name has no address, or the look-up failed.
            ValueError: `host` is not a valid name.
        """
        if _is_address(host):
            return _look_up(host, port)
        with self._changed:
            known = self._hosts.get((host, port)) or self._add(host, port)
            now = clock.monotonic_ms()
            self._begin(host, port, known, now)
            stale = known.rows if now - known.at_ms < STALE_MAX_MS else []
            wait_ms = (until_ms - now) * (PATIENCE_SHARE if stale else 1.0)
            seen = known.ended

            def over() -> bool:
                if not known.running and known.ended == seen:
                    self._begin(host, port, known, now)  # retry: LOOKUPS_MAX was reached before
                return known.ended > seen

            ended = self._changed.wait_for(over, max(0.0, wait_ms) / 1_000)
            if ended and known.error is None:
                return known.rows
            error = known.error if ended else None
            if stale and not _is_definite(error):
                self._warn(host, known, error)
                return stale
        if error is not None:
            # Raise a copy: threads that wait for one look-up must not share a traceback.
            raise type(error)(*error.args)
        raise TimeoutError("the resolver did not answer in time")

    def _add(self, host: str, port: int) -> _Host:
        if len(self._hosts) >= HOSTS_MAX:
            idle = [key for key, known in self._hosts.items() if not known.running]
            for key in idle[: HOSTS_MAX // 2]:
                del self._hosts[key]
        return self._hosts.setdefault((host, port), _Host())

    def _begin(self, host: str, port: int, known: _Host, now: float) -> None:
        """Start a look-up, unless a recent one is running."""
        recent = known.running and now - known.asked_ms < SHARE_MS
        if recent or self._running >= LOOKUPS_MAX:
            return
        thread = threading.Thread(
            target=self._run, args=(host, port, known), name=f"resolve {host}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return  # the system has no free thread
        known.asked_ms = now
        known.running += 1
        self._running += 1

    def _run(self, host: str, port: int, known: _Host) -> None:
        rows: list[Row] = []
        error: OSError | ValueError | None = None
        try:
            rows = _look_up(host, port)
        except (OSError, ValueError) as raised:
            error = raised
        finally:
            with self._changed:
                self._running -= 1
                known.running -= 1
                known.ended += 1
                known.error = error
                if rows:
                    known.rows, known.at_ms = rows, clock.monotonic_ms()
                self._changed.notify_all()

    def _warn(self, host: str, known: _Host, error: OSError | ValueError | None) -> None:
        now = clock.monotonic_ms()
        if known.warned_ms and now - known.warned_ms < WARN_MS:
            return
        known.warned_ms = now
        log.warning(
            "the resolver %s for %s; using its addresses from %.0f s ago",
            "fails" if error else "is slow",
            host,
            (now - known.at_ms) / 1_000,
        )


def addresses(host: str, port: int, *, until_ms: float) -> list[Row]:
    """Return the addresses of a host from this process's resolver; see `Resolver.addresses`."""
    return _resolver.addresses(host, port, until_ms=until_ms)


def _look_up(host: str, port: int) -> list[Row]:
    rows = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
    if not rows:
        raise OSError("the resolver returned no address")
    return [(family, kind, proto, name, (*address,)) for family, kind, proto, name, address in rows]


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except (OSError, ValueError):
            continue
        return True
    return False


def _is_definite(error: OSError | ValueError | None) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno in DEFINITE
    return isinstance(error, ValueError)


def _start_over() -> None:
    """Replace the resolver in a forked child: its look-up threads run only in the parent."""
    global _resolver  # noqa: PLW0603  one per process
    _resolver = Resolver()


_resolver = Resolver()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_over)
