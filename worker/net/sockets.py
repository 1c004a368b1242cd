"""Connect to the first address of a host that answers; discard unsent bytes on close.

After a normal close the kernel retransmits unacknowledged bytes for minutes, even
if the process has died. An abandoned request would then take effect once the
network is back. `guard` makes a close reset the connection and discard those bytes.
`drop_unsent_after` limits retransmission while the process is suspended.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import struct
from collections.abc import Iterable
from typing import cast

from worker import clock
from worker.net.dns import Row, addresses

STAGGER_MS = 250
"""Time after which the next address is tried in parallel (RFC 8305, section 5)."""
STAGGER_MIN_MS = 10
RESET_ON_CLOSE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
"""Linux only. On other systems a suspended process may still send unacknowledged bytes."""
HOSTS_MAX = 256

_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
_ranks: dict[tuple[str, int], dict[str, int]] = {}
"""By host and port: rank of each address; -1 answered last, 1 did not answer."""


def free_port(host: str, ports: Iterable[int]) -> int | None:
    """Return the first of these TCP ports that is free at an address now.

    Returns:
        The port; None if all are taken, or if the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in ports:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host, port))
                sock.listen()
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                return None
            return int(sock.getsockname()[1])
    return None


def guard(sock: socket.socket) -> None:
    """Make a close, or the death of this process, discard unacknowledged bytes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def drop_unsent_after(sock: socket.socket, left_ms: float) -> None:
    """Make the kernel reset the connection if bytes stay unacknowledged for `left_ms`.

    Applies to bytes sent from now on, until the next call. Systems without
    `TCP_USER_TIMEOUT` ignore it.
    """
    if USER_TIMEOUT is not None:
        sock.setsockopt(socket.IPPROTO_TCP, USER_TIMEOUT, max(1, int(left_ms)))


def connect(
    host: str, port: int, *, until_ms: float, source: tuple[str, int] | None = None
) -> socket.socket:
    """Return a guarded connection to the first address of a host that accepts one.

    The address that worked last is tried first, then the families alternate. A slow
    address does not delay the next: they are tried in parallel. No byte is sent.

    Args:
        host: A name or an address.
        port: Port of the host.
        until_ms: Deadline, as `clock.monotonic_ms`; it includes the look-up.
        source: Local address and port. Addresses of another family are skipped.

    Raises:
        TimeoutError: No address answered in time.
        OSError: Every address failed, or the name has no address.
        ValueError: `host` is not a valid name.
    """
    rows = _in_order(host, port, addresses(host, port, until_ms=until_ms))
    if source is not None:
        family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
        rows = [row for row in rows if row[0] == family]
    if not rows:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    return _Race(rows, until_ms, source).run()


def rank(host: str, port: int, address: str, *, answered: bool) -> None:
    """Record whether an address answered: it is then tried first, else last."""
    key, place = (host, port), -1 if answered else 1
    ranks = _ranks.get(key, {})
    if ranks.get(address) == place:
        return
    if len(_ranks) >= HOSTS_MAX:
        _ranks.clear()
    # No lock: a fork could copy it locked. Of two concurrent records one is lost.
    others = {other: known for other, known in ranks.items() if known > 0 or not answered}
    _ranks[key] = {**others, address: place}


class _Race:
    """Parallel connection attempts; the first that succeeds wins."""

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
                    continue  # the attempt failed immediately
            wait_ms = left_ms
            if rows:
                wait_ms = min(wait_ms, max(STAGGER_MIN_MS, left_ms / (len(rows) + 2)), STAGGER_MS)
            for key, _ in self._ready.select(wait_ms / 1_000):
                if (sock := self._end(cast("socket.socket", key.fileobj))) is not None:
                    return sock
        raise self._error

    def _begin(self, row: Row) -> socket.socket | None:
        """Start an attempt; return the socket if it connected immediately."""
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
    """Sort: working address first, failed ones last, families alternating."""
    if len(rows) == 1:
        return rows[:]
    first = [row for row in rows if row[0] == rows[0][0]]
    other = [row for row in rows if row[0] != rows[0][0]]
    turns = [row for pair in zip(first, other, strict=False) for row in pair]
    turns += first[len(other) :] + other[len(first) :]
    ranks = _ranks.get((host, port), {})
    return sorted(turns, key=lambda row: ranks.get(str(row[4][0]), 0))
