"""A TCP server with a thread per connection, which leaves none behind."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable

from worker.simulator.connection import Connection
from worker.simulator.wire import Delivery, Request

BACKLOG = 4_096
_PATIENCE_S = 5.0


class Server:
    """Listen on one address until stopped."""

    def __init__(self, host: str, port: int, serve: Callable[[Request], Delivery]) -> None:
        self._address = (host, port)
        self._serve = serve
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, Connection] = {}

    def start(self) -> int:
        """Bind, accept from now on, and return the port.

        Raises:
            OSError: The address cannot be bound.
        """
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._listener = socket.create_server(self._address, family=family, backlog=BACKLOG)
        self._listener.setblocking(False)  # noqa: FBT003
        self._waker, self._woken = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="simulator", daemon=True)
        self._acceptor.start()
        port = self._listener.getsockname()[1]
        return int(port)

    def stop(self) -> None:
        """Stop accepting, end every connection, and wait for the threads."""
        self._stopping.set()
        self._waker.send(b"x")
        self._acceptor.join(_PATIENCE_S)
        for sock in (self._listener, self._waker, self._woken):
            sock.close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            connection.end()
        for thread in connections:
            thread.join(_PATIENCE_S)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                self._accept_waiting()

    def _accept_waiting(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # Out of descriptors, or the peer is gone already: let others end first.
                self._stopping.wait(0.01)
                return
            sock.setblocking(True)  # noqa: FBT003
            connection = Connection(sock, str(address[0]), self._serve, self._stopping)
            thread = threading.Thread(
                target=self._run, args=(connection,), name="simulator-connection", daemon=True
            )
            with self._lock:
                self._connections[thread] = connection
            try:
                thread.start()
            except RuntimeError:
                self._forget(thread)
                sock.close()

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            self._forget(threading.current_thread())

    def _forget(self, thread: threading.Thread) -> None:
        with self._lock, contextlib.suppress(KeyError):
            del self._connections[thread]
