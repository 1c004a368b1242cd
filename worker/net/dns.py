"""Look up host names in bounded time, and keep the last good answer of each.

`getaddrinfo` takes no deadline: with a dead resolver it returns after 5 to 30 s.
It runs in a thread here, and a caller waits for it as long as the caller can.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from dataclasses import dataclass, field

from worker import clock

LOOKUPS_MAX = 16
"""Most look-ups that run at once; each stuck one holds a thread."""
SHARE_MS = 1_000
"""How old a look-up may be that a new caller joins; after that the resolver is asked again."""
PATIENCE_SHARE = 0.25
"""Part of the time given that a look-up may take where an older answer is known."""
STALE_MAX_MS = 86_400_000
"""Oldest answer that is used in place of a new one (RFC 8767 suggests one to three days)."""
WARN_MS = 60_000
HOSTS_MAX = 256
DEFINITE = tuple(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)
)
"""Errors by which the resolver says that the name has no address."""

Row = tuple[int, int, int, str, tuple[str | int | bytes, ...]]
"""Family, type, protocol, canonical name and address, as `getaddrinfo` returns them."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Host:
    """What is known of one host and port.

    Attributes:
        rows: The last good answer; empty if there was none.
        at_ms: When it came.
        ended: How many look-ups have ended.
        error: What the latest look-up raised; None if it succeeded.
        running: Look-ups under way.
        asked_ms: When the latest look-up began.
        warned_ms: When its age was last logged.
    """

    rows: list[Row] = field(default_factory=list)
    at_ms: float = 0.0
    ended: int = 0
    error: OSError | ValueError | None = None
    running: int = 0
    asked_ms: float = 0.0
    warned_ms: float = 0.0


class Resolver:
    """Looks up names for all threads of a process; after a fork a new one is needed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._hosts: dict[tuple[str, int], _Host] = {}
        self._running = 0

    def addresses(self, host: str, port: int, *, until_ms: float) -> list[Row]:
        """Return the addresses of a host, as `getaddrinfo` orders them.

        Where the resolver is slow or fails, the last good answer is returned, if
        it is not older than `STALE_MAX_MS`.

        Args:
            host: A name, or an address, which needs no look-up.
            port: Part of each address returned.
            until_ms: When to stop waiting, by `clock.monotonic_ms`.

        Raises:
            TimeoutError: There is no answer in time. The look-up goes on, for
                the next caller.
            OSError: The name has no address, or cannot be looked up.
            ValueError: It is no name.
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
                    self._begin(host, port, known, now)  # there may be room for it by now
                return known.ended > seen

            ended = self._changed.wait_for(over, max(0.0, wait_ms) / 1_000)
            if ended and known.error is None:
                return known.rows
            error = known.error if ended else None
            if stale and not _is_definite(error):
                self._warn(host, known, error)
                return stale
        if error is not None:
            # A copy: the threads that wait for one look-up must not share its traceback.
            raise type(error)(*error.args)
        raise TimeoutError("the resolver did not answer in time")

    def _add(self, host: str, port: int) -> _Host:
        if len(self._hosts) >= HOSTS_MAX:
            idle = [key for key, known in self._hosts.items() if not known.running]
            for key in idle[: HOSTS_MAX // 2]:
                del self._hosts[key]
        return self._hosts.setdefault((host, port), _Host())

    def _begin(self, host: str, port: int, known: _Host, now: float) -> None:
        """Start a look-up, unless one that began lately is under way."""
        recent = known.running and now - known.asked_ms < SHARE_MS
        if recent or self._running >= LOOKUPS_MAX:
            return
        thread = threading.Thread(
            target=self._run, args=(host, port, known), name=f"resolve {host}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return  # no thread to be had
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
            "the resolver %s for %s; its addresses of %.0f s ago are used",
            "fails" if error else "is slow",
            host,
            (now - known.at_ms) / 1_000,
        )


def addresses(host: str, port: int, *, until_ms: float) -> list[Row]:
    """Return the addresses of a host by the resolver of this process."""
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
    """Drop what a fork left behind: its look-ups end in the parent alone."""
    global _resolver  # noqa: PLW0603  one per process
    _resolver = Resolver()


_resolver = Resolver()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_over)
