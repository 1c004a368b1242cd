"""Connect to a host by whichever of its addresses answers, and drop what was given up.

Closing a socket leaves its unacknowledged bytes with the kernel, which sends
them again for minutes, after the death of the process too. A request that
was given up would take effect once the network is back. `guard` has a close
reset the connection and drop those bytes; `drop_unsent_after` bounds how long
the kernel tries while the process is alive but does not run.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import struct
from typing import cast

from worker import clock
from worker.net.dns import Row, addresses

STAGGER_MS = 250
"""How long an address may take before the next is tried beside it (RFC 8305, section 5)."""
STAGGER_MIN_MS = 10
RESET_ON_CLOSE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
"""Linux has it; elsewhere a process that is stopped may yet send what it had begun to."""
HOSTS_MAX = 256

_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
_ranks: dict[tuple[str, int], dict[str, int]] = {}
"""By host and port: the address that answered last (-1), and those that did not (1)."""


def guard(sock: socket.socket) -> None:
    """Have a close, or the death of this process, drop what was not acknowledged."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def drop_unsent_after(sock: socket.socket, left_ms: float) -> None:
    """Have the kernel reset the connection if bytes stay unacknowledged for so long.

    It holds for what is sent from now on, until it is set again. A system
    without `TCP_USER_TIMEOUT` ignores it.
    """
    if USER_TIMEOUT is not None:
        sock.setsockopt(socket.IPPROTO_TCP, USER_TIMEOUT, max(1, int(left_ms)))


def connect(
    host: str, port: int, *, until_ms: float, source: tuple[str, int] | None = None
) -> socket.socket:
    """Return a guarded connection to the first address of a host that accepts one.

    The address that worked last is tried first, then both families in turn; an
    address that is slow is not waited for before the next is tried beside it.
    Nothing is sent.

    Args:
        host: A name or an address.
        port: Where the host listens.
        until_ms: When to give up, by `clock.monotonic_ms`; the look-up counts.
        source: Local address and port. Addresses of another family are left out.

    Raises:
        TimeoutError: No address answered in time.
        OSError: Each address failed, or the name has none.
        ValueError: `host` is no name.
    """
    rows = _in_order(host, port, addresses(host, port, until_ms=until_ms))
    if source is not None:
        family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
        rows = [row for row in rows if row[0] == family]
    if not rows:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    return _Race(rows, until_ms, source).run()


def rank(host: str, port: int, address: str, *, answered: bool) -> None:
    """Note whether an address answers: if so it is tried first from now on, else last."""
    key, place = (host, port), -1 if answered else 1
    ranks = _ranks.get(key, {})
    if ranks.get(address) == place:
        return
    if len(_ranks) >= HOSTS_MAX:
        _ranks.clear()
    # Without a lock, which a fork might copy locked: of two notes at once one is lost.
    others = {other: known for other, known in ranks.items() if known > 0 or not answered}
    _ranks[key] = {**others, address: place}


class _Race:
    """Attempts to connect, of which the first that succeeds is kept."""

    def __init__(self, rows: list[Row], until_ms: float, source: tuple[str, int] | None) -> None:
        self._rows = rows
        self._until_ms = until_ms
        self._source = source
        self._pending: set[socket.socket] = set()
        self._ready = _Selector()
        self._error: OSError = TimeoutError("no address answered in time")

    def run(self) -> socket.socket:
        """Return the first connection."""
        try:
            return self._run()
        finally:
            for sock in self._pending:
                sock.close()
            self._ready.close()

    def _run(self) -> socket.socket:
        rows = self._rows
        while rows or self._pending:
            left_ms = self._until_ms - clock.monotonic_ms()
            if left_ms <= 0:
                raise TimeoutError("no address answered in time") from self._error
            if rows:
                begun = len(self._pending)
                if (sock := self._begin(rows.pop(0))) is not None:
                    return sock
                if len(self._pending) == begun:
                    continue  # it failed at once
            wait_ms = left_ms
            if rows:
                wait_ms = min(wait_ms, max(STAGGER_MIN_MS, left_ms / (len(rows) + 2)), STAGGER_MS)
            for key, _ in self._ready.select(wait_ms / 1_000):
                if (sock := self._end(cast("socket.socket", key.fileobj))) is not None:
                    return sock
        raise self._error

    def _begin(self, row: Row) -> socket.socket | None:
        """Start to connect; return the socket if that is done at once."""
        family, kind, proto, _, address = row
        sock: socket.socket | None = None
        try:
            sock = socket.socket(family, kind, proto)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            guard(sock)
            if self._source is not None:
                sock.bind(self._source)
            sock.settimeout(0)
            code = sock.connect_ex(address)
        except OSError as error:
            self._error = error
            if sock is not None:
                sock.close()
            return None
        if code == 0:
            return sock
        if code not in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._error = OSError(code, os.strerror(code))
            sock.close()
            return None
        self._pending.add(sock)
        self._ready.register(sock, selectors.EVENT_WRITE)
        return None

    def _end(self, sock: socket.socket) -> socket.socket | None:
        self._pending.remove(sock)
        self._ready.unregister(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0:
            return sock
        self._error = OSError(code, os.strerror(code))
        sock.close()
        return None


def _in_order(host: str, port: int, rows: list[Row]) -> list[Row]:
    """Put the address that worked first, one that failed last, and alternate families."""
    if len(rows) == 1:
        return rows[:]
    first = [row for row in rows if row[0] == rows[0][0]]
    other = [row for row in rows if row[0] != rows[0][0]]
    turns = [row for pair in zip(first, other, strict=False) for row in pair]
    turns += first[len(other) :] + other[len(first) :]
    ranks = _ranks.get((host, port), {})
    return sorted(turns, key=lambda row: ranks.get(str(row[4][0]), 0))
