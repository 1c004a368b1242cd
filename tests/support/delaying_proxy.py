"""A way to a server that holds back what is sent, and delivers it later all the same."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

CHUNK = 65_536


class Held:
    """A TCP proxy, as a network that loses a segment and delivers it when it is back.

    Args:
        port: Of the server, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._holding = threading.Event()
        self._holding_answers = threading.Event()
        self._delivered = threading.Event()
        self._awaited = b""
        self._skipped = 0
        self._sockets = [self._listener]
        self._clients: list[socket.socket] = []
        self.held = threading.Event()
        """Set once something is held back."""
        self._threads: list[threading.Thread] = []

    def hold(self) -> None:
        """Hold back the next piece of each connection that is open, and what follows it."""
        self._holding.set()

    def hold_answers_from(self, part: bytes, *, skipped: int) -> None:
        """Hold back what the server sends from such an answer on.

        Args:
            part: Bytes that it contains. What clients send arrives in time.
            skipped: How many such answers pass first.
        """
        self._delivered.clear()
        self._skipped = skipped
        self._awaited = part

    def pass_new(self) -> None:
        """Hold back nothing more; what is held stays so."""
        self._awaited = b""
        self._holding.clear()
        self._holding_answers.clear()

    def deliver(self) -> None:
        """Deliver what is held, though its receiver may have closed the connection."""
        self.pass_new()
        self._delivered.set()

    def cut(self) -> None:
        """Close each client's connection; what is held can still be delivered."""
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.deliver()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [client, server]
                self._clients.append(client)
                self._start(self._pump, client, server, self._holding)
                self._start(self._pump, server, client, self._holding_answers)

    def _pump(self, source: socket.socket, sink: socket.socket, holding: threading.Event) -> None:
        answers = holding is self._holding_answers
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if answers and self._awaited and self._awaited in data:
                    self._skipped -= 1
                    if self._skipped < 0:
                        self._holding_answers.set()
                if holding.is_set():
                    self.held.set()
                    self._delivered.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
